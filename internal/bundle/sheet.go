package bundle

import (
	"bytes"
	"fmt"

	"sallyport/internal/digest"
	"sallyport/internal/units"
)

// SumsSheet is SHA256SUMS: the volumes, as `sha256sum -c` reads them.
func SumsSheet(vs []Volume) []byte {
	var b bytes.Buffer
	for _, v := range vs {
		fmt.Fprintf(&b, "%s  %s\n", v.Digest.Hex(), v.Name)
	}
	return b.Bytes()
}

// CoverSheet is COVER.txt, the sheet a person signs for: fields of the label only, without its id and sheets, which are not known
// yet. mirror is the digest of the kit's mirror binary, zero when it is not known. discs lists, for each disc the volumes are
// spread over, their positions in l.Volumes; none when they are not.
func CoverSheet(l *Label, mirror digest.Digest, discs ...[]int) []byte {
	var b bytes.Buffer
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("BUNDLE", "%s", l.Name)
	row("from", "%s of %s (%s)", l.Appliance.Name, l.Tenant, l.Appliance.ID)
	for _, f := range l.For {
		row("for", "%s (%s)", f.Name, f.ID)
	}
	row("kind", "%s %s", l.Kind, l.Variant)
	row("packed", "%s", l.CreatedAt)
	if l.NotAfter != "" {
		row("not after", "%s", l.NotAfter)
	}
	row("sealed", "%s, recipients: %d", l.Sealed.Mode, len(l.Sealed.Recipients))
	row("size", "%s (%d bytes) in %d volume(s)", units.Size(l.Bytes), l.Bytes, len(l.Volumes))
	row("bundle id", "%s", l.BundleID)
	row("digest", "%s", l.Digest)
	b.WriteString("\nVOLUMES\n")
	for _, v := range l.Volumes {
		fmt.Fprintf(&b, "%s\n  %d bytes  %s\n", v.Name, v.Bytes, v.Digest.Hex())
	}
	for i, disc := range discs {
		if i == 0 {
			b.WriteString("\nDISCS (in any order; each has this sheet and the label)\n")
		}
		first, last := l.Volumes[disc[0]].N, l.Volumes[disc[len(disc)-1]].N
		fmt.Fprintf(&b, "disc %d of %d: volumes %d to %d\n", i+1, len(discs), first, last)
	}
	b.WriteString("\nCHECK\nVerify with the `mirror` from your kit, not with the one on this medium:\n  mirror verify PATH --key YOUR-COPY-OF-THE-KEY.pub\n")
	if !mirror.IsZero() {
		fmt.Fprintf(&b, "sha256sum of that `mirror`: %s\n", mirror.Hex())
	}
	b.WriteString("\nHANDED OVER BY ____________________  DATE __________\nTAKEN OVER BY  ____________________  DATE __________\n")
	return b.Bytes()
}
