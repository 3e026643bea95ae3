package hostile

import (
	"bytes"
	"path"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/forge"
)

// cut makes a bundle of three volumes.
func cut(_ *forge.World, p *forge.Plan) { p.Cut = 2200 }

// kiosk gives the bundle a name with a k in it, for letters that look like one.
func kiosk(_ *forge.World, p *forge.Plan) {
	p.Manifest = func(m *bundle.Manifest) { m.ExportID = "mirror-20260301-full-for-kiosk" }
}

// medium edits the files.
func medium(edit func(*Medium)) func(*forge.World, *Medium) error {
	return func(_ *forge.World, m *Medium) error {
		edit(m)
		return nil
	}
}

// beside lays files beside the volumes, names and texts in turn.
func beside(pairs ...string) func(*forge.World, *Medium) error {
	return medium(func(m *Medium) {
		for i := 0; i < len(pairs); i += 2 {
			m.Files[path.Join(m.Dir, pairs[i])] = []byte(pairs[i+1])
		}
	})
}

// renamed gives the only volume another name, made from its right one.
func renamed(change func(string) string) func(*forge.World, *Medium) error {
	return medium(func(m *Medium) {
		from := m.Volume(".tar.zst")
		m.Move(from, path.Join(m.Dir, change(path.Base(from))))
	})
}

var nameCases = []Case{
	{Number: 101, Slug: "thumbs-db", Defect: "what Windows leaves beside the volumes changes no verdict", Code: OK, Listed: []string{"Thumbs.db", "desktop.ini"}, Input: beside("Thumbs.db", "\xd0\xcf\x11\xe0", "desktop.ini", "[.ShellClassInfo]\r\n")},
	{
		Number: 102, Slug: "apple-double", Defect: "what macOS leaves beside the volumes changes no verdict", Code: OK, Listed: []string{"._COVER.txt", "._SHA256SUMS"},
		Input: medium(func(m *Medium) {
			for name := range bytesOf(m.Files) {
				m.Files[path.Join(path.Dir(name), "._"+path.Base(name))] = []byte("\x00\x05\x16\x07")
			}
			m.Files[".DS_Store"] = []byte("\x00\x00\x00\x01Bud1")
		}),
	},
	{
		Number: 103, Slug: "system-volume-information", Defect: "what Windows leaves at the top of a stick changes no verdict", Code: OK,
		Input: medium(func(m *Medium) { m.Files["System Volume Information/WPSettings.dat"] = []byte{0} }),
	},
	{Number: 104, Slug: "scan-report", Defect: "a kiosk's report beside the volumes changes no verdict", Code: OK, Listed: []string{"scan-report.txt"}, Input: beside("scan-report.txt", "0 threats found\r\n")},
	{Number: 105, Slug: "device-names", Defect: "files named CON and NUL beside the volumes change no verdict", Code: OK, Listed: []string{"CON", "nul.txt"}, Big: true, Input: beside("CON", "x", "nul.txt", "x", "aux.tar.zst", "x")},
	{
		Number: 106, Slug: "names-that-write-backwards", Defect: "a right-to-left override, an escape sequence and invalid UTF-8 in names beside the volumes change no verdict", Code: OK, Big: true,
		Input: beside("invoice-\u202egpj.exe", "x", "a\x1b[2Jb", "x", "a\xff\xfe", "x", "zero\u200bwidth", "x"),
	},
	{Number: 107, Slug: "composed-and-decomposed", Defect: "the same name in NFC and in NFD beside the volumes changes no verdict", Code: OK, Big: true, Input: beside("pr\u00fcfung.txt", "x", "pru\u0308fung.txt", "y")},
	{Number: 108, Slug: "other-bundles-volume", Defect: "a volume of another bundle beside the volumes changes no verdict", Code: OK, Listed: []string{"mirror-20250101-full.tar.zst.001"}, Input: beside("mirror-20250101-full.tar.zst.001", "x")},
	{
		Number: 109, Slug: "upper-case", Defect: "all names in capitals, as FAT writes them, change no verdict", Code: OK, Plan: cut,
		Input: medium(func(m *Medium) {
			for name := range bytesOf(m.Files) {
				m.Move(name, strings.ToUpper(name))
			}
		}),
	},
	{
		Number: 111, Slug: "case-collision", Defect: "two volumes whose names differ only in case", Code: code.MediumName, Big: true, Plan: cut,
		Input: medium(func(m *Medium) {
			v := m.Volume(".002")
			m.Files[path.Join(m.Dir, strings.ToUpper(path.Base(v)))] = m.Files[v]
		}),
	},
	{
		Number: 112, Slug: "kelvin-sign", Defect: "a volume with a Kelvin sign where its name has a k", Code: code.VolumeMissing, Big: true, Plan: kiosk,
		Input: renamed(func(s string) string { return strings.Replace(s, "k", "\u212a", 1) }),
	},
	{Number: 113, Slug: "zero-width", Defect: "a volume with a zero width space in its name", Code: code.VolumeMissing, Big: true, Input: renamed(func(s string) string { return "mirror\u200b" + s[6:] })},
	{Number: 114, Slug: "right-to-left", Defect: "a volume with a right-to-left override in its name", Code: code.VolumeMissing, Big: true, Input: renamed(func(s string) string { return "\u202e" + s })},
	{Number: 115, Slug: "invalid-utf8", Defect: "a volume with a byte in its name that is no UTF-8", Code: code.VolumeMissing, Big: true, Input: renamed(func(s string) string { return s[:6] + "\xff" + s[6:] })},
	{Number: 116, Slug: "trailing-dot", Defect: "a volume with a dot behind its name", Code: code.VolumeMissing, Big: true, Input: renamed(func(s string) string { return s + "." })},
	{Number: 117, Slug: "trailing-space", Defect: "a volume with a space behind its name", Code: code.VolumeMissing, Big: true, Input: renamed(func(s string) string { return s + " " })},
	{Number: 118, Slug: "short-alias", Defect: "a volume under its 8.3 alias alone", Code: code.VolumeMissing, Input: renamed(func(string) string { return "MIRROR~1.ZST" })},
	{
		Number: 121, Slug: "volumes-swapped", Defect: "two volumes with each other's names", Code: code.VolumeDamaged, Waits: true, Plan: cut,
		Input: medium(func(m *Medium) {
			a, b := m.Volume(".001"), m.Volume(".002")
			m.Files[a], m.Files[b] = m.Files[b], m.Files[a]
		}),
	},
	{Number: 122, Slug: "volume-missing", Defect: "a volume is missing", Code: code.VolumeMissing, Waits: true, Plan: cut, Input: medium(func(m *Medium) { delete(m.Files, m.Volume(".002")) })},
	{
		Number: 123, Slug: "volume-twice", Defect: "a volume again under a number of four digits", Code: code.VolumeExtra, Plan: cut,
		Input: medium(func(m *Medium) { v := m.Volume(".002"); m.Files[strings.TrimSuffix(v, ".002")+".0002"] = m.Files[v] }),
	},
	{
		Number: 124, Slug: "volume-too-many", Defect: "a volume with a number the label does not have", Code: code.VolumeExtra, Plan: cut,
		Input: medium(func(m *Medium) { v := m.Volume(".002"); m.Files[strings.TrimSuffix(v, ".002")+".009"] = m.Files[v] }),
	},
	{
		Number: 125, Slug: "whole-beside-volumes", Defect: "the uncut file beside its volumes", Code: code.VolumeExtra, Plan: cut,
		Input: medium(func(m *Medium) { m.Files[strings.TrimSuffix(m.Volume(".002"), ".002")] = []byte("x") }),
	},
	{Number: 126, Slug: "volume-of-another-bundle", Defect: "a volume of another bundle of the same name and size", Code: code.VolumeDamaged, Waits: true, Plan: cut, Input: foreignVolume},
	{Number: 127, Slug: "volume-longer", Defect: "a volume with a byte more", Code: code.VolumeDamaged, Waits: true, Plan: cut, Input: medium(func(m *Medium) { v := m.Volume(".003"); m.Files[v] = append(m.Files[v], 0) })},
	{Number: 128, Slug: "volume-empty", Defect: "a volume without bytes", Code: code.VolumeDamaged, Waits: true, Plan: cut, Input: medium(func(m *Medium) { m.Files[m.Volume(".002")] = nil })},
	{Number: 129, Slug: "volume-flipped", Defect: "one bit of a volume is wrong", Code: code.VolumeDamaged, Waits: true, Plan: cut, Input: medium(func(m *Medium) { m.Files[m.Volume(".002")][1000] ^= 4 })},
	{
		Number: 130, Slug: "volume-symlink", Defect: "a volume is a symbolic link", Code: code.VolumeMissing, Big: true,
		Input: medium(func(m *Medium) { v := m.Volume(".tar.zst"); m.Move(v, "elsewhere"); m.Links[v] = "../../../elsewhere" }),
	},
	{
		Number: 131, Slug: "volume-directory", Defect: "a directory stands where a volume should", Code: code.VolumeMissing, Waits: true, Big: true, Plan: cut,
		Input: medium(func(m *Medium) { v := m.Volume(".003"); delete(m.Files, v); m.Dirs = append(m.Dirs, v) }),
	},
	{
		Number: 132, Slug: "volume-fifo", Defect: "a FIFO stands where a volume should", Code: code.VolumeMissing, Big: true,
		Input: medium(func(m *Medium) { v := m.Volume(".tar.zst"); delete(m.Files, v); m.Pipes = append(m.Pipes, v) }),
	},
	{Number: 133, Slug: "volume-size-limit", Defect: "volumes of 4 GiB − 1, the most there may be", Code: OK, Plan: label(func(l *bundle.Label) { l.VolumeBytes = 4<<30 - 1 })},
	{Number: 134, Slug: "volume-size-4gib", Defect: "volumes of 4 GiB, one byte over the limit", Code: code.LabelBad, Plan: label(func(l *bundle.Label) { l.VolumeBytes = 4 << 30 })},
	{
		Number: 135, Slug: "volume-numbers", Defect: "a label whose volumes are not numbered in order", Code: code.LabelBad,
		Plan: func(w *forge.World, p *forge.Plan) {
			cut(w, p)
			p.Label = func(l *bundle.Label) { l.Volumes[0], l.Volumes[1] = l.Volumes[1], l.Volumes[0] }
		},
	},
	{Number: 136, Slug: "volume-path", Defect: "a label whose volume lies in another directory", Code: code.LabelBad, Plan: label(func(l *bundle.Label) { l.Volumes[0].Name = "../../x.tar.zst" })},
	{Number: 141, Slug: "label-missing", Defect: "a copy that was not finished: no label", Code: code.LabelMissing, Input: medium(func(m *Medium) { delete(m.Files, m.Volume(".label.json")) })},
	{Number: 142, Slug: "label-twice", Defect: "two labels in one directory", Code: code.LabelBad, Input: medium(func(m *Medium) { m.Files[path.Join(m.Dir, "zzz.label.json")] = m.Files[m.Volume(".label.json")] })},
	{Number: 143, Slug: "label-renamed", Defect: "a label under another name than its bundle", Code: code.LabelBad, Input: medium(func(m *Medium) { m.Move(m.Volume(".label.json"), path.Join(m.Dir, "other.label.json")) })},
	{
		Number: 144, Slug: "label-symlink", Defect: "the label is a symbolic link", Code: code.MediumName, Mirror: code.LabelMissing, Import: code.LabelMissing, Big: true,
		Input: medium(func(m *Medium) {
			v := m.Volume(".label.json")
			m.Move(v, "elsewhere")
			m.Links[v] = "../../../elsewhere"
		}),
	},
	{Number: 145, Slug: "sheet-missing", Defect: "the sheet of sums is missing: an import needs none", Code: code.SheetBad, Import: OK, Input: medium(func(m *Medium) { delete(m.Files, m.Volume("SHA256SUMS")) })},
	{
		Number: 146, Slug: "sheet-changed", Defect: "the cover sheet was changed", Code: code.SheetBad,
		Input: medium(func(m *Medium) {
			c := m.Volume("COVER.txt")
			m.Files[c] = bytes.Replace(m.Files[c], []byte("acme"), []byte("evil"), 1)
		}),
	},
}

func bytesOf(files map[string][]byte) map[string][]byte {
	out := map[string][]byte{}
	for name, b := range files {
		out[name] = b
	}
	return out
}

// foreignVolume puts in a volume as another bundle of the same day has it.
func foreignVolume(w *forge.World, m *Medium) error {
	p := plan(w)
	cut(w, &p)
	p.Feeds[0].Generation++
	b, err := p.Build()
	if err != nil {
		return err
	}
	v := m.Volume(".002")
	m.Files[v] = b.Files[path.Join(b.Dir, path.Base(v))]
	return nil
}
