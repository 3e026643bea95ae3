package media

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sallyport/internal/code"
)

// image is a device of 128 KiB with some bytes set, offsets and texts in turn.
func image(pairs ...any) []byte {
	b := make([]byte, 128<<10)
	for i := 0; i < len(pairs); i += 2 {
		copy(b[pairs[i].(int):], pairs[i+1].(string))
	}
	return b
}

// images are what sticks begin with, and what they are called.
func images() map[string][]byte {
	return map[string][]byte{
		"BitLocker":       image(0, "\xeb\x58\x90-FVE-FS-", 510, "\x55\xaa"),
		"BitLocker To Go": image(0, "\xeb\x58\x90MSWIN4.1", 82, "FAT32   ", 424, "\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01", 510, "\x55\xaa"),
		"LUKS":            image(0, "LUKS\xba\xbe\x00\x02"),
		"exfat":           image(0, "\xeb\x76\x90EXFAT   ", 510, "\x55\xaa"),
		"ntfs":            image(0, "\xeb\x52\x90NTFS    ", 510, "\x55\xaa"),
		"vfat":            image(0, "\xeb\x58\x90mkfs.fat", 82, "FAT32   ", 510, "\x55\xaa"),
		"vfat 16":         image(0, "\xeb\x3c\x90mkfs.fat", 54, "FAT16   ", 510, "\x55\xaa"),
		"ext4":            image(1024, "\x10\x00\x00\x00\x20\x00\x00\x00", 1080, "\x53\xef"),
		"iso9660":         image(32768, "\x01CD001\x01", 34816, "\xffCD001\x01"),
		"udf":             image(32768, "\x00BEA01\x01", 34816, "\x00NSR03\x01", 36864, "\x00TEA01\x01"),
		"udf beside iso":  image(32768, "\x01CD001\x01", 34816, "\xffCD001\x01", 36864, "\x00BEA01\x01", 38912, "\x00NSR02\x01"),
		"apfs":            image(32, "NXSB"),
		"hfsplus":         image(1024, "H+\x00\x04"),
		"btrfs":           image(65600, "_BHRfS_M"),
		"xfs":             image(0, "XFSB"),
		"squashfs":        image(0, "hsqs"),
		"MBR":             image(446, "\x80\x00\x00\x00\x0c\x00\x00\x00\x00\x08\x00\x00\x00\x10\x00\x00", 510, "\x55\xaa"),
		"GPT":             image(512, "EFI PART"),
		"nothing":         image(),
		"chance":          image(1048, "\xff\xff\xff\xff", 1080, "\x53\xef"),
		"text":            []byte("hello"),
		"none":            nil,
	}
}

func TestSignature(t *testing.T) {
	want := map[string]string{"BitLocker To Go": "BitLocker", "vfat 16": "vfat", "udf beside iso": "udf", "MBR": wholeDisk, "GPT": wholeDisk, "nothing": "", "chance": "", "text": "", "none": ""}
	for name, b := range images() {
		w, special := want[name]
		if !special {
			w = name
		}
		if got := Signature(bytes.NewReader(b)); got != w {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// The exact sentences of 66-words-on-screen for media that are no directory.
func TestOddMedia(t *testing.T) {
	known := strings.Join(Kernel(), ", ")
	for name, want := range map[string]struct {
		code code.Code
		said string
	}{
		"BitLocker":       {code.MediumEncrypted, "This stick is encrypted with BitLocker. Unlock it on another machine and copy the folder sallyport."},
		"BitLocker To Go": {code.MediumEncrypted, "This stick is encrypted with BitLocker. Unlock it on another machine and copy the folder sallyport."},
		"LUKS":            {code.MediumEncrypted, "This stick is encrypted with LUKS. Unlock it with cryptsetup open and mount what is inside, or copy the folder sallyport on another machine."},
		"apfs":            {code.MediumFormat, "apfs cannot be read by this kernel; readable here: " + known + ". Copy the folder sallyport to a stick that has one of these."},
		"MBR":             {code.MediumUnmounted, "This is a whole disk, not one of its partitions. Mount the partition (its name ends with a number) and name that folder."},
		"ext4":            {code.MediumUnmounted, "This stick is not mounted. Mount it, for example with mount -o ro DEVICE /mnt, and name that folder."},
		"text":            {code.BadUsage, "A medium is a directory. "},
	} {
		path := filepath.Join(t.TempDir(), "stick.img")
		if err := os.WriteFile(path, images()[name], 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path)
		if said := Said(err); code.Of(err) != want.code || !strings.HasPrefix(said, want.said) {
			t.Errorf("%s: %s: %q", name, code.Of(err), said)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, images()[name]) {
			t.Errorf("%s: it was written to: %v", name, err)
		}
	}
}

// A FIFO or a character device is opened by nobody.
func TestPipesAreNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, os.DevNull} {
		if _, err := Open(p); code.Of(err) != code.BadUsage {
			t.Errorf("%s: %v", p, err)
		}
	}
}

// What a kernel reads is found in its list and among its modules, named in the order of the words on screen.
func TestKernel(t *testing.T) {
	dir := t.TempDir()
	fs, modules := filepath.Join(dir, "filesystems"), filepath.Join(dir, "modules")
	write := func(name, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write(fs, "nodev\tsysfs\n\text4\n\tvfat\n")
	if got := kernel(fs, modules); !slices.Equal(got, []string{"vfat", "ext4"}) {
		t.Errorf("%v", got)
	}
	write(filepath.Join(modules, "modules.dep"), "kernel/fs/udf/udf.ko.xz: kernel/lib/crc-itu-t.ko.xz\nkernel/fs/isofs/isofs.ko:\n")
	write(filepath.Join(modules, "modules.builtin"), "kernel/fs/exfat/exfat.ko\n")
	if got := kernel(fs, modules); !slices.Equal(got, []string{"vfat", "ext4", "iso9660", "udf", "exfat"}) {
		t.Errorf("%v", got)
	}
}

// Removable devices that nobody mounted are listed with their sentence; others are not.
func TestStrays(t *testing.T) {
	dir := t.TempDir()
	sys, dev := filepath.Join(dir, "sys"), filepath.Join(dir, "dev")
	disk := func(name, removable string, content []byte) {
		t.Helper()
		at := filepath.Join(sys, name)
		err := errors.Join(os.MkdirAll(at, 0o755), os.MkdirAll(dev, 0o755), os.WriteFile(filepath.Join(at, "size"), []byte("256\n"), 0o600),
			os.WriteFile(filepath.Join(dev, name), content, 0o600))
		if removable != "" {
			err = errors.Join(err, os.WriteFile(filepath.Join(at, "removable"), []byte(removable+"\n"), 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	disk("sda", "0", images()["ext4"])
	disk("sdb", "1", images()["BitLocker"])
	disk("sdc", "1", images()["apfs"])
	disk("sdd", "1", images()["ext4"])
	disk("sde", "1", images()["MBR"])
	disk("sdf", "1", images()["LUKS"])
	got := map[string]State{}
	for _, s := range strays(sys, dev, func(d string) string {
		if filepath.Base(d) == "sdf" {
			return "/media/x"
		}
		return ""
	}) {
		got[filepath.Base(s.Device)] = s.State
		if s.Sentence == "" {
			t.Errorf("%s: nothing is said", s.Device)
		}
	}
	want := map[string]State{"sdb": Encrypted, "sdc": Unreadable, "sdd": Unmounted}
	if len(got) != len(want) || got["sdb"] != want["sdb"] || got["sdc"] != want["sdc"] || got["sdd"] != want["sdd"] {
		t.Errorf("%v", got)
	}
}

// The sentences of media on which there is nothing of ours, and of those that cannot be written.
func TestNothing(t *testing.T) {
	blank, other := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "holiday.jpg"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		blank: "This stick is empty. Check that this is the right stick. Nothing on it was opened.",
		other: "No folder sallyport on this stick. Check that this is the right stick. Nothing on it was opened.",
	} {
		if err := open(t, dir).Nothing(); code.Of(err) != code.MediumEmpty || Said(err) != want {
			t.Errorf("%s: %q", code.Of(err), Said(err))
		}
	}
	for want, i := range map[string]Info{
		"": {Free: 1 << 30},
		"This stick is read-only: it can be imported from; what goes back needs one that can be written.":         {Free: 1 << 30, ReadOnly: true},
		"This stick is full (4.0 KiB free): it can be imported from; make room on it before anything is written.": {Free: 4096},
	} {
		if got := i.Writing(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A folder where sticks are usually mounted, empty and with nothing mounted on it.
func TestBare(t *testing.T) {
	dir, err := os.MkdirTemp("/mnt", "sallyport-test-")
	if err != nil {
		t.Skip("no right to make a folder in /mnt")
	}
	defer os.Remove(dir)
	m := open(t, dir)
	want := "This folder is empty and no medium is mounted on it. Is the stick plugged in? Mount it there, then repeat. Nothing was changed."
	if err := m.Nothing(); code.Of(err) != code.MediumUnmounted || Said(err) != want || m.Kind() != Unmounted {
		t.Errorf("%s %s: %q", code.Of(err), m.Kind(), Said(err))
	}
}

// A real file system, mounted read-only from an image: its facts are those of a medium that cannot be written.
func TestReadOnlyMount(t *testing.T) {
	img, dir := loop(t, "ext4", "ro")
	m := open(t, dir)
	i, err := m.Info()
	if err != nil || !i.ReadOnly || i.FSType != "ext4" || !strings.HasPrefix(i.Writing(), "This stick is read-only") {
		t.Fatalf("%+v, %v", i, err)
	}
	if err := m.Preflight(Need{Bytes: 1, MaxFile: 1}); code.Of(err) != code.MediumReadOnly {
		t.Errorf("%v", err)
	}
	if m.Kind() != Blank {
		t.Errorf("a fresh file system is %s", m.Kind())
	}
	if _, err := Open(img); code.Of(err) != code.MediumUnmounted {
		t.Errorf("the image: %v", err)
	}
}

// loop makes a small file system and mounts it; it skips where that is not possible.
func loop(t *testing.T, fsType, options string) (img, dir string) {
	t.Helper()
	mkfs, err := exec.LookPath("mkfs." + fsType)
	if os.Geteuid() != 0 || err != nil {
		t.Skip("needs root and mkfs." + fsType)
	}
	img, dir = filepath.Join(t.TempDir(), "stick.img"), t.TempDir()
	if err := os.WriteFile(img, make([]byte, 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mkfs, "-q", "-F", img).CombinedOutput(); err != nil {
		t.Skipf("mkfs.%s: %v: %s", fsType, err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop,"+options, img, dir).CombinedOutput(); err != nil {
		t.Skipf("mount: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return img, dir
}
