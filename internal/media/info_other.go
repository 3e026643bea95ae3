//go:build !linux

package media

import (
	"os"

	"sallyport/internal/code"
)

// Media are written by the daemon, which runs on Linux; elsewhere a medium can only be read.
const noBlock = 0

type mount struct{ device, point string }

func mountOf(string) (mount, error) { return mount{}, nil }

func info(string) (Info, error) { return Info{Block: 1, MaxFile: 1<<53 - 1, ReadOnly: true}, nil }

func sameDevice(string, string) (bool, error) { return false, nil }

func dropCache(f *os.File) error {
	return code.New(code.MediumReadOnly, "media are written on Linux only").In(f.Name(), "")
}
