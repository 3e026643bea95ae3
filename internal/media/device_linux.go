package media

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"sallyport/internal/code"
)

// Kernel lists the file systems of sticks and discs that this kernel reads now or has a module for, in the order of the
// words on screen: vfat, ext4, iso9660, udf first.
func Kernel() []string { return kernel("/proc/filesystems", modules()) }

func modules() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return filepath.Join("/lib/modules", unix.ByteSliceToString(u.Release[:]))
}

func kernel(filesystems, modules string) (list []string) {
	var lines []string
	for _, name := range []string{filesystems, filepath.Join(modules, "modules.builtin"), filepath.Join(modules, "modules.dep")} {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			field, _, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "nodev")), ":")
			lines = append(lines, strings.Split(filepath.Base(field), ".ko")[0])
		}
	}
	for _, fs := range wanted() {
		name := fs
		if fs == "iso9660" && slices.Contains(lines, "isofs") {
			name = "isofs" // the module's name
		}
		if slices.Contains(lines, name) {
			list = append(list, fs)
		}
	}
	return list
}

// mountedAt finds where a device is mounted; "" when nowhere.
func mountedAt(device string) string {
	real, err := filepath.EvalSymlinks(device)
	if err != nil {
		return ""
	}
	all, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) { return m.Source != real && m.Source != device, false })
	if err != nil || len(all) == 0 {
		return ""
	}
	return all[0].Mountpoint
}

// Stray is a removable device that is plugged in and not mounted.
type Stray struct {
	Device    string
	Signature string // of Signature; "" when nothing is known or it may not be read
	State     State
	Sentence  string
}

// Strays lists the removable devices, and their partitions, that are not mounted: a locked stick, or one with a file system
// that cannot be read here, would otherwise be invisible. Nothing is mounted and nothing is written.
func Strays() []Stray { return strays("/sys/class/block", "/dev", mountedAt) }

func strays(sys, dev string, mounted func(string) string) (list []Stray) {
	entries, err := os.ReadDir(sys)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		name := e.Name()
		path := filepath.Join(dev, name)
		if !removable(filepath.Join(sys, name)) || mounted(path) != "" || !onDisk(path) {
			continue
		}
		s := Stray{Device: path, Signature: signatureOf(path)}
		if s.Signature == wholeDisk || s.Signature == "" && size(filepath.Join(sys, name)) == 0 {
			continue // its partitions are listed by themselves; a reader without a disc has nothing
		}
		s.State, s.Sentence = judge(odd(path, s.Signature, false))
		list = append(list, s)
	}
	return list
}

// judge is what a refusal says on a list.
func judge(err error) (State, string) {
	state := Unmounted
	switch code.Of(err) {
	case code.MediumEncrypted:
		state = Encrypted
	case code.MediumFormat:
		state = Unreadable
	}
	return state, Said(err)
}

// removable tells whether a device, or the disk it is a partition of, can be taken out.
func removable(sys string) bool {
	real, err := filepath.EvalSymlinks(sys)
	if err != nil {
		return false
	}
	for _, dir := range []string{real, filepath.Dir(real)} {
		if word(filepath.Join(dir, "removable")) == "1" {
			return true
		}
	}
	return false
}

// size is the length of a block device in sectors; 0 when there is no medium in it.
func size(sys string) int {
	n := 0
	for _, c := range word(filepath.Join(sys, "size")) {
		if c < '0' || c > '9' || n > 1<<40 {
			return n
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// word is the first word of a small file.
func word(name string) string {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Scan()
	return strings.TrimSpace(s.Text())
}
