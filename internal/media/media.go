// Package media is the operating system's side of a medium: what a stick is, reading it without trust, writing it so that
// it can be pulled out at any moment.
//
// Data: nothing of its own. On a medium it writes what 20-bundle-format ("Three nested things") draws:
//
//	sallyport/bundles/NAME-<8 hex>/   volumes, SHA256SUMS, COVER.txt, label; each first as *.partial
//	sallyport/cards/<appliance>.card.json     sallyport/roots/<16 hex>.<N>.root.json
//	sallyport/pub/<appliance>/tenants/<tenant>/export-center.pub     sallyport/bin/mirror
//
// Everything goes through one os.Root, so no name and no symbolic link leads out of the medium, and links inside it are
// refused, never followed.
//
// Order of a copy: what stands there is read past the page cache and compared; preflight refuses before the first byte;
// each file is written as *.partial from its first byte that is not verified, synced, renamed, its folder synced; then the
// file system is flushed and everything written is read back past the cache; the label comes last, by the same steps. A
// crash or a pulled stick leaves a folder without a label, which no reader imports and the next copy resumes.
//
// BUG: dropping the page cache asks the kernel (posix_fadvise), not the stick; a stick that answers from a cache of its
// own and loses it on power-off is found by the site, not here.
package media

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/units"
)

// Top is the folder everything of ours lies in.
const Top = "sallyport"

// Medium is one opened stick, disc or directory. It is safe for concurrent reading; one copy at a time may write.
type Medium struct {
	root   *os.Root
	path   string      // absolute, where it was opened
	at     os.FileInfo // what stood at path then: another device or folder there later means it was swapped
	device string      // "/dev/…" as the mount table names it, "" when there is none
}

// Open roots a medium at path, which must be a directory. The path itself, typed by a person, may be a symbolic link.
// It may be the stick's root or any folder on it; reading is confined to it.
func Open(path string) (*Medium, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open medium %q: %w", path, err)
	}
	st, err := os.Stat(abs)
	if errors.Is(err, os.ErrNotExist) {
		return nil, code.New(code.Missing, "there is no such directory").In(path, "").Do("Is the stick plugged in and mounted? Nothing was changed.")
	}
	if err != nil {
		return nil, code.Wrap(code.MediumRead, err, "open medium").In(path, "")
	}
	if !st.IsDir() {
		return nil, Refuse(path, st)
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, code.Wrap(code.MediumRead, err, "open medium").In(path, "")
	}
	m := &Medium{root: root, path: abs, at: st}
	if mnt, err := mountOf(abs); err == nil {
		m.device = mnt.device
	}
	return m, nil
}

// Outside refuses (code usage) a medium that is the data directory or lies in it, also by a symbolic link: what is written
// to a medium would land among what an appliance keeps.
func Outside(path, dataDir string) error {
	own, err := filepath.EvalSymlinks(dataDir)
	if err != nil {
		return fmt.Errorf("medium %q: %w", path, err)
	}
	if own, err = filepath.Abs(own); err != nil {
		return fmt.Errorf("medium %q: %w", path, err)
	}
	there := path
	if led, err := filepath.EvalSymlinks(path); err == nil {
		there = led // else opening it says what is wrong
	}
	if there, err = filepath.Abs(there); err != nil {
		return fmt.Errorf("medium %q: %w", path, err)
	}
	if rel, err := filepath.Rel(own, there); err == nil && filepath.IsLocal(rel) {
		return code.New(code.BadUsage, "a medium cannot lie inside the data directory").In(path, "").Do("Name the folder where the stick is mounted.")
	}
	return nil
}

// Path is where the medium was opened, absolute.
func (m *Medium) Path() string { return m.path }

// Close lets the medium go. Files opened from it stay usable.
func (m *Medium) Close() error { return m.root.Close() }

// Info tells what is known about a medium. Label, UUID and Serial are attacker-controlled: printable ASCII without
// spaces, quotes and backslashes, at most 64 bytes; "" when nothing tells.
type Info struct {
	FSType   string `json:"fsType"`           // as the mount table says: "vfat", "ext4", …; "" when it does not
	Device   string `json:"device,omitempty"` // "/dev/sdb1"
	Mount    string `json:"mount,omitempty"`  // mount point the medium's path lies on
	Free     int64  `json:"free"`             // bytes an ordinary user may still write
	Total    int64  `json:"total"`            // bytes
	Block    int64  `json:"block"`            // allocation unit in bytes, at least 1
	MaxFile  int64  `json:"maxFile"`          // largest file in bytes
	ReadOnly bool   `json:"readOnly"`
	Label    string `json:"label,omitempty"`
	UUID     string `json:"uuid,omitempty"`
	Serial   string `json:"serial,omitempty"`
}

// Info reads the medium's facts now.
func (m *Medium) Info() (Info, error) {
	if m.gone() {
		return Info{}, code.New(code.MediumGone, "").In(m.path, "")
	}
	return info(m.path)
}

// SharesDisk tells whether dir lies on the same file system as the medium: worth a warning (a copy on the state disk is
// no copy), never a refusal.
func (m *Medium) SharesDisk(dir string) (bool, error) { return sameDevice(m.path, dir) }

// Need is what is about to be written: bytes in blocks the medium has not given yet, and the size of the largest file.
type Need struct {
	Bytes   int64
	MaxFile int64
}

// Preflight refuses before the first byte: medium-read-only, file-system-limit, no-space with exact need and have.
func (m *Medium) Preflight(n Need) error {
	i, err := m.Info()
	if err != nil {
		return err
	}
	return i.fits(n, m.path)
}

func (i Info) fits(n Need, path string) error {
	if n.Bytes == 0 {
		return nil
	}
	if i.ReadOnly {
		return code.New(code.MediumReadOnly, "").In(path, "")
	}
	if n.MaxFile > i.MaxFile {
		return code.New(code.FileTooBig, "a %s file system cannot hold a file of %s", i.FSType, units.Size(n.MaxFile)).In(path, "").
			Want(fmt.Sprintf("files of at most %d bytes", i.MaxFile), fmt.Sprintf("%d bytes", n.MaxFile))
	}
	if n.Bytes > i.Free {
		return code.New(code.NoSpace, "%s more must be free on the medium", units.Size(n.Bytes-i.Free)).In(path, "").
			Want(fmt.Sprintf("%d bytes free", n.Bytes), fmt.Sprintf("%d bytes", i.Free))
	}
	return nil
}

// gone tells whether the medium was pulled or swapped since it was opened.
func (m *Medium) gone() bool {
	st, err := os.Stat(m.path)
	if err != nil || !os.SameFile(st, m.at) {
		return true
	}
	if m.device == "" {
		return false
	}
	_, err = os.Stat(m.device)
	return errors.Is(err, os.ErrNotExist)
}

// printable keeps what can be shown anywhere of a string an attacker chose.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r > ' ' && r < 0x7f && r != '"' && r != '\\' && r != '\'' && b.Len() < 64 {
			b.WriteRune(r)
		}
	}
	return b.String()
}
