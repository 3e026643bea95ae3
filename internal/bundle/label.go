package bundle

import (
	"fmt"
	"slices"

	"sallyport/internal/attest"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/ident"
)

// The modes of sealing.
const (
	SealNone = "none"
	SealAge  = "age"
	SealDare = "dare"
)

// Label describes the outer bytes of one packing of a bundle (20-bundle-format, "Label").
type Label struct {
	Header
	BundleID    digest.Digest `json:"bundleId"`
	Name        string        `json:"name"`
	Kind        string        `json:"kind"`
	Variant     string        `json:"variant"`
	Tenant      string        `json:"tenant"`
	Appliance   Appliance     `json:"appliance"`
	Packer      Packer        `json:"packer"`
	CreatedAt   string        `json:"createdAt"`
	NotAfter    string        `json:"notAfter,omitempty"`
	Sealed      Sealed        `json:"sealed"`
	For         []Appliance   `json:"for,omitempty"`
	Bytes       int64         `json:"bytes"`  // of the whole outer stream
	Digest      digest.Digest `json:"digest"` // of the whole outer stream
	VolumeBytes int64         `json:"volumeBytes"`
	Volumes     []Volume      `json:"volumes"`
	Sheets      []Sheet       `json:"sheets"` // SHA256SUMS and COVER.txt, ascending by name
}

// Packer is who packed these bytes.
type Packer struct {
	ID string `json:"id"`
}

// Sealed says how the payload is encrypted and for whom.
type Sealed struct {
	Mode       string   `json:"mode"`       // SealNone, SealAge, SealDare
	Recipients []string `json:"recipients"` // seal.Tag of each, ascending; empty for SealNone
}

// Volume is one piece of the outer stream.
type Volume struct {
	N      int64         `json:"n"` // from 1
	Name   string        `json:"name"`
	Bytes  int64         `json:"bytes"`
	Digest digest.Digest `json:"digest"`
}

// Sheet is a file for people beside the volumes.
type Sheet struct {
	Name   string        `json:"name"`
	Bytes  int64         `json:"bytes"`
	Digest digest.Digest `json:"digest"`
}

// Encode writes the payload. It fills the header and lists that are nil.
func (l *Label) Encode() ([]byte, error) {
	l.fill(attest.TypeLabel)
	list(&l.Sealed.Recipients)
	list(&l.Volumes)
	list(&l.Sheets)
	return encode(MaxLabel, code.LabelBad, "label", l, l.check())
}

// ParseLabel reads a verified payload. Codes label, bad-time and those of canon.Unmarshal.
func ParseLabel(payload []byte) (*Label, error) {
	l := &Label{}
	if err := decode(payload, MaxLabel, code.LabelBad, "label", l); err != nil {
		return nil, err
	}
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("label: %w", err)
	}
	return l, nil
}

func (l *Label) check() error {
	c := &checker{code: code.LabelBad}
	c.header(&l.Header, attest.TypeLabel)
	c.wrap(c.code, "name", CheckName(l.Name))
	c.wrap(c.code, "kind", ident.Kind(l.Kind))
	c.match(wordRE, "variant", l.Variant)
	c.name("tenant", l.Tenant)
	c.appliance("appliance", l.Appliance)
	c.wrap(c.code, "packer.id", ident.Appliance(l.Packer.ID))
	c.time("createdAt", l.CreatedAt)
	if l.NotAfter != "" {
		c.time("notAfter", l.NotAfter)
	}
	c.demand(len(l.For) <= 64, "for", "at most 64", len(l.For))
	for i, a := range l.For {
		c.appliance(fmt.Sprintf("for[%d]", i), a)
		if i > 0 {
			c.ascending("for", l.For[i-1].ID, a.ID)
		}
	}
	l.checkSealed(c)
	l.checkVolumes(c)
	l.checkSheets(c)
	return c.err
}

func (l *Label) checkSealed(c *checker) {
	rs := l.Sealed.Recipients
	c.demand(slices.Contains([]string{SealNone, SealAge, SealDare}, l.Sealed.Mode), "sealed.mode", "none, age or dare", fmt.Sprintf("%.20q", l.Sealed.Mode))
	c.demand((l.Sealed.Mode == SealNone) == (len(rs) == 0) && len(rs) <= 64, "sealed.recipients", "none for mode none, else 1 to 64", len(rs))
	for i, r := range rs {
		c.match(tagRE, "sealed.recipients", r)
		if i > 0 {
			c.ascending("sealed.recipients", rs[i-1], r)
		}
	}
}

func (l *Label) checkVolumes(c *checker) {
	c.between("volumeBytes", l.VolumeBytes, 1, MaxVolume)
	c.between("volumes", int64(len(l.Volumes)), 1, MaxVolumes)
	var total int64
	for i, v := range l.Volumes {
		place := fmt.Sprintf("volumes[%d]", i)
		c.demand(v.N == int64(i+1), place+".n", i+1, v.N)
		want := VolumeName(l.Name, PayloadSuffix(l.Sealed.Mode), i+1, len(l.Volumes))
		c.demand(v.Name == want, place+".name", want, fmt.Sprintf("%.80q", v.Name))
		c.wrap(c.code, place+".name", ident.File(v.Name))
		c.between(place+".bytes", v.Bytes, 1, max(1, l.VolumeBytes))
		total += v.Bytes
		if !c.ok() {
			return
		}
	}
	c.demand(total == l.Bytes, "bytes", "the sum of the volumes, "+fmt.Sprint(total), l.Bytes)
	c.demand(len(l.Volumes) != 1 || l.Volumes[0].Digest == l.Digest, "digest", "that of the only volume", l.Digest)
}

// checkSheets demands both sheets, so that every byte we wrote beside the label is covered by it.
func (l *Label) checkSheets(c *checker) {
	names := []string{}
	for i, s := range l.Sheets {
		names = append(names, s.Name)
		c.between(fmt.Sprintf("sheets[%d].bytes", i), s.Bytes, 1, MaxLabel)
	}
	c.demand(slices.Equal(names, []string{CoverName, SumsName}), "sheets", CoverName+" and "+SumsName, fmt.Sprintf("%.80q", names))
}
