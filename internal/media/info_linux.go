package media

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"sallyport/internal/code"
)

// noBlock keeps an open from hanging on a FIFO that took a file's place after it was looked at.
const noBlock = syscall.O_NONBLOCK

type mount struct {
	device, fsType, point string
	major, minor          int
}

// mountOf finds the innermost mount a path lies on.
func mountOf(path string) (mount, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return mount{}, fmt.Errorf("mount of %q: %w", path, err)
	}
	all, err := mountinfo.GetMounts(mountinfo.ParentsFilter(real))
	if err != nil {
		return mount{}, fmt.Errorf("mount of %q: %w", path, err)
	}
	var best mount
	for _, m := range all {
		if len(m.Mountpoint) < len(best.point) {
			continue
		}
		best = mount{fsType: m.FSType, point: m.Mountpoint, major: m.Major, minor: m.Minor}
		if strings.HasPrefix(m.Source, "/dev/") && onDisk(m.Source) {
			best.device = m.Source
		}
	}
	return best, nil
}

// onDisk is false for names like /dev/root that the mount table has but /dev has not.
func onDisk(dev string) bool {
	_, err := os.Stat(dev)
	return err == nil
}

func info(path string) (Info, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return Info{}, code.Wrap(code.MediumRead, err, "statfs").In(path, "")
	}
	block := max(int64(st.Frsize), 1)
	i := Info{
		Free: bytesOf(st.Bavail, block), Total: bytesOf(st.Blocks, block), Block: block, MaxFile: 1<<53 - 1,
		ReadOnly: st.Flags&unix.ST_RDONLY != 0,
	}
	m, err := mountOf(path)
	if err != nil {
		return i, nil // a host without a mount table still has free bytes
	}
	i.FSType, i.Device, i.Mount, i.MaxFile = m.fsType, m.device, m.point, maxFile(m.fsType)
	if m.device != "" {
		i.Label, i.UUID, i.Serial = identity(m)
	}
	return i, nil
}

func bytesOf(blocks uint64, size int64) int64 {
	if blocks > uint64(math.MaxInt64/size) {
		return math.MaxInt64
	}
	return int64(blocks) * size
}

// maxFile is the largest file of a file system type; FAT has 32 bits for it.
func maxFile(fsType string) int64 {
	switch fsType {
	case "vfat", "msdos", "fat":
		return 1<<32 - 1
	}
	return 1<<53 - 1
}

// identity reads volume label, UUID and hardware serial from what udev left, else from /dev/disk and sysfs.
func identity(m mount) (label, uuid, serial string) {
	dev := strconv.Itoa(m.major) + ":" + strconv.Itoa(m.minor)
	if b, err := os.ReadFile("/run/udev/data/b" + dev); err == nil {
		for line := range strings.Lines(string(b)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch key {
			case "E:ID_FS_LABEL":
				label = printable(value)
			case "E:ID_FS_UUID":
				uuid = printable(value)
			case "E:ID_SERIAL_SHORT":
				serial = printable(value)
			}
		}
	}
	if label == "" {
		label = byName("/dev/disk/by-label", m.device)
	}
	if uuid == "" {
		uuid = byName("/dev/disk/by-uuid", m.device)
	}
	for _, f := range []string{"/serial", "/device/serial", "/../serial", "/../device/serial"} {
		if serial != "" {
			break
		}
		if b, err := os.ReadFile("/sys/dev/block/" + dev + f); err == nil {
			serial = printable(string(b))
		}
	}
	return label, uuid, serial
}

// byName finds the link in a /dev/disk folder that points to a device.
func byName(dir, device string) string {
	want, err := filepath.EvalSymlinks(device)
	if err != nil {
		return ""
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		if got, err := filepath.EvalSymlinks(filepath.Join(dir, e.Name())); err == nil && got == want {
			return printable(e.Name())
		}
	}
	return ""
}

func sameDevice(a, b string) (bool, error) {
	var sa, sb unix.Stat_t
	if err := unix.Stat(a, &sa); err != nil {
		return false, fmt.Errorf("stat %q: %w", a, err)
	}
	if err := unix.Stat(b, &sb); err != nil {
		return false, fmt.Errorf("stat %q: %w", b, err)
	}
	return sa.Dev == sb.Dev, nil
}

// dropCache asks the kernel to forget the clean pages of f, so that the next read comes from the medium.
func dropCache(f *os.File) error {
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil && err != unix.ENOSYS && err != unix.EINVAL {
		return fmt.Errorf("fadvise %q: %w", f.Name(), err)
	}
	return nil
}
