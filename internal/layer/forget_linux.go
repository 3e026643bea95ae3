package layer

import "syscall"

// forget unmaps the pages of a read-only file mapping until they are touched again. It is advice: an error changes nothing.
func forget(at uintptr, bytes int64) {
	syscall.Syscall(syscall.SYS_MADVISE, at, uintptr(bytes), syscall.MADV_DONTNEED)
}
