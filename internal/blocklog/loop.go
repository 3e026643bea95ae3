//go:build linux

package blocklog

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// makesFileSystems looks for the program that does.
func makesFileSystems() error {
	_, err := exec.LookPath("mkfs.ext4")
	return err
}

// Format makes a disk of size bytes with an empty ext4 file system and a small journal.
func Format(size int64, scratch string) ([]byte, error) {
	f, err := os.CreateTemp(scratch, "disk-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return nil, err
	}
	out, err := exec.Command("mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-J", "size=4", "-N", "8192",
		"-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", f.Name()).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("mkfs.ext4: %w: %s", err, out)
	}
	return os.ReadFile(f.Name())
}

// Mount puts the file system in image at dir, through a loop device that goes away with the mount.
func Mount(image, dir string) error {
	backing, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer backing.Close()
	device, err := attach(backing)
	if err != nil {
		return fmt.Errorf("attach %s: %w", image, err)
	}
	defer device.Close()
	if err := unix.Mount(device.Name(), dir, "ext4", 0, "errors=remount-ro"); err != nil {
		return fmt.Errorf("mount %s: %w", image, err)
	}
	return nil
}

// attach finds a free loop device. Another process may take the one that was free: then the next one is asked for.
func attach(backing *os.File) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for range 64 {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, err
		}
		device, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		c := &unix.LoopConfig{Fd: uint32(backing.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
		if err = unix.IoctlLoopConfigure(int(device.Fd()), c); err == nil {
			return device, nil
		}
		device.Close()
		if !errors.Is(err, unix.EBUSY) {
			return nil, err
		}
	}
	return nil, syscall.EBUSY
}

// Unmount takes it away again; its loop device goes too.
func Unmount(dir string) error { return unix.Unmount(dir, 0) }

// Private makes the mounts of a command its own, so that they end with it; and it ends with us.
func Private(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
}
