package cas

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// writeback asks the kernel to begin writing a staged blob to the disk, so that Commit waits less. Nothing relies on it.
func writeback(f *os.File) {
	const write = 2 // SYNC_FILE_RANGE_WRITE
	syscall.SyncFileRange(int(f.Fd()), 0, 0, write)
}

// uncache asks the kernel to forget what it has of a file, so that reading it asks the disk.
func uncache(f *os.File) { unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }
