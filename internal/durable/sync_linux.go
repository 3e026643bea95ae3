package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

func syncDir(d *os.File) error { return d.Sync() }

func syncFS(d *os.File) error { return unix.Syncfs(int(d.Fd())) }
