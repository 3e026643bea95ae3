package layer

import (
	"os"
	"syscall"
)

// forget unmaps the pages of a read-only file mapping until they are touched again. It is advice: an error changes nothing.
func forget(at uintptr, bytes int64) {
	syscall.Syscall(syscall.SYS_MADVISE, at, uintptr(bytes), syscall.MADV_DONTNEED)
}

// writeback asks the kernel to begin writing a file to the disk, so that the sync to come waits less. Nothing relies on it.
func writeback(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	const write = 2 // SYNC_FILE_RANGE_WRITE
	syscall.SyncFileRange(int(f.Fd()), 0, 0, write)
}
