package media

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/units"
)

// State is one word for what a medium is, before anything on it is opened.
type State string

// The states of a medium. The first four are of media that are mounted.
const (
	Ours       State = "ours"        // has bundles or papers of ours
	HalfCopied State = "half-copied" // nothing but copies that were not finished
	NoFolder   State = "no-folder"   // has files, none of ours
	Blank      State = "empty"
	Unmounted  State = "not-mounted"
	Encrypted  State = "encrypted"  // BitLocker or LUKS, locked
	Unreadable State = "unreadable" // a file system this kernel does not read
)

// full is what a medium must at least have free to count as writable: a receipt, an inventory and their sheets.
const full = 1 << 20

// readable are the file systems that sticks and discs are expected to have, in the order they are named to people.
func readable() []string { return []string{"vfat", "ext4", "iso9660", "udf"} }

// wanted are all that are offered when the kernel has them.
func wanted() []string { return append(readable(), "exfat", "ntfs3", "xfs", "btrfs") }

// Sentence says what is to be read of a state of a mounted medium (66-words-on-screen); Ours has its own words elsewhere.
func (s State) Sentence() string {
	switch s {
	case HalfCopied:
		return "Copying to this stick was not finished: no label. It is resumed at the hub, not imported here."
	case NoFolder:
		return "No folder sallyport on this stick. Nothing on it was opened."
	case Blank:
		return "This stick is empty. Nothing was opened and nothing was written."
	}
	return ""
}

// Writing says why nothing can be written to a medium; "" when it can.
func (i Info) Writing() string {
	switch {
	case i.ReadOnly:
		return "This stick is read-only: it can be imported from; what goes back needs one that can be written."
	case i.Free < full:
		return fmt.Sprintf("This stick is full (%s free): it can be imported from; make room on it before anything is written.", units.Size(i.Free))
	}
	return ""
}

// Nothing is the refusal of a medium on which nothing of ours was found: code medium-not-mounted where a stick is usually
// mounted and none is, else medium-empty. Whether it is empty or has other people's files is said, and nothing about them.
func (m *Medium) Nothing() error {
	if m.bare() {
		return code.New(code.MediumUnmounted, "this folder is empty and no medium is mounted on it").In(m.path, "").
			Do("Is the stick plugged in? Mount it there, then repeat. Nothing was changed.")
	}
	s := m.Kind()
	return code.New(code.MediumEmpty, "%s", strings.TrimSuffix(firstOf(s.Sentence()), ".")).In(m.path, "").Do("Check that this is the right stick. Nothing on it was opened.")
}

// Kind is Blank, NoFolder or, where nothing is mounted, Unmounted: the state of a medium without anything of ours.
func (m *Medium) Kind() State {
	list, err := fs.ReadDir(m.FS(), ".")
	switch {
	case err != nil || slices.ContainsFunc(list, func(e fs.DirEntry) bool { return e.Name() != "lost+found" }):
		return NoFolder
	case m.bare():
		return Unmounted
	}
	return Blank
}

// Usual are the folders below which sticks are mounted by people and desktops.
func Usual() []string { return []string{"/media/", "/mnt/", "/run/media/"} }

// bare tells an empty folder in a usual place that nothing is mounted on: what a stick leaves when it was never mounted.
func (m *Medium) bare() bool {
	if !slices.ContainsFunc(Usual(), func(p string) bool { return strings.HasPrefix(m.path+"/", p) }) {
		return false
	}
	list, err := fs.ReadDir(m.FS(), ".")
	if err != nil || len(list) > 0 {
		return false
	}
	at, err := mountOf(m.path)
	return err == nil && at.point != "" && at.point != m.path && (at.point == "/" || slices.Contains(Usual(), at.point+"/"))
}

func firstOf(sentence string) string {
	first, _, _ := strings.Cut(sentence, ". ")
	return strings.ToLower(first[:1]) + first[1:]
}

// Refuse says why a path that is no directory is no medium: a locked stick, a file system this kernel does not read, one
// that is not mounted, the whole disk instead of its partition; or, for any other file, code usage. The device is only
// looked at, never written. Codes medium-encrypted, medium-format, medium-not-mounted, usage.
func Refuse(path string, st os.FileInfo) error {
	if st.Mode().IsRegular() || st.Mode()&os.ModeDevice != 0 && st.Mode()&os.ModeCharDevice == 0 {
		if err := odd(path, signatureOf(path), st.Mode().IsRegular()); err != nil {
			return err
		}
	}
	return code.New(code.BadUsage, "a medium is a directory").In(path, "").Want("directory", st.Mode().Type())
}

// signatureOf is "" for what cannot be read, too.
func signatureOf(path string) string {
	f, err := os.OpenFile(path, os.O_RDONLY|noBlock, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	return Signature(f)
}

// odd is the refusal of a device, or of an image of one, by its signature; nil for a plain file that has none.
func odd(path, signature string, image bool) error {
	switch known := Kernel(); {
	case signature == "" && image:
		return nil
	case signature == bitLocker:
		return code.New(code.MediumEncrypted, "this stick is encrypted with BitLocker").In(path, "").
			Do("Unlock it on another machine and copy the folder sallyport.")
	case signature == luks:
		return code.New(code.MediumEncrypted, "this stick is encrypted with LUKS").In(path, "").
			Do("Unlock it with cryptsetup open and mount what is inside, or copy the folder sallyport on another machine.")
	case signature == wholeDisk:
		return code.New(code.MediumUnmounted, "this is a whole disk, not one of its partitions").In(path, "").
			Do("Mount the partition (its name ends with a number) and name that folder.")
	case signature != "" && !slices.Contains(known, signature):
		return code.New(code.MediumFormat, "%s cannot be read by this kernel; readable here: %s", signature, strings.Join(known, ", ")).In(path, "").
			Do("Copy the folder sallyport to a stick that has one of these.")
	}
	if at := mountedAt(path); at != "" {
		return code.New(code.MediumUnmounted, "this is a device; it is mounted at %s", printable(at)).In(path, "").Do("Name the folder where it is mounted.")
	}
	return code.New(code.MediumUnmounted, "this stick is not mounted").In(path, "").
		Do("Mount it, for example with mount -o ro DEVICE /mnt, and name that folder.")
}

// Said is a refusal as one or two sentences for people: what is wrong, then what to do.
func Said(err error) string {
	var e *code.Error
	if !errors.As(err, &e) {
		return ""
	}
	what := e.Msg
	if what == "" {
		what = code.Lookup(e.Code).Summary
	}
	if e.Code != code.MediumFormat {
		what = strings.ToUpper(what[:1]) + what[1:]
	}
	return what + ". " + code.NextStep(err)
}
