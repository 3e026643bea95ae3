package intake

import (
	"fmt"
	"slices"
	"time"

	"sallyport/internal/digest"
	"sallyport/internal/marks"
	"sallyport/internal/root"
)

// ourselves looks on a medium for versions of our own root that this disk does not know: it was put back to an earlier day, and
// its root keys signed more than it remembers. Nothing of them is taken up here, and no such number is given out again.
func (v *visit) ourselves(sheets []sheet) {
	ours := slices.DeleteFunc(slices.Clone(sheets), func(s sheet) bool { return s.id != v.own.ID() })
	t, err := root.First(v.ownRoots[0], time.Time{})
	for i := 1; err == nil && i <= len(v.ownRoots); i++ {
		var next *root.Trusted
		if i < len(v.ownRoots) {
			next, err = t.Next(v.ownRoots[i], time.Time{})
		}
		for _, s := range ours {
			if s.version != int64(i)+1 || next != nil && s.payload == next.PayloadDigest() {
				continue
			}
			if _, err := v.step(t, s); err != nil {
				continue // nobody entitled signed it
			}
			v.published = max(v.published, s.version)
			v.trust = append(v.trust, v.forgotten(s, next))
		}
		t = next
	}
}

func (v *visit) forgotten(s sheet, known *root.Trusted) TrustChange {
	c := TrustChange{What: "own-root", Old: fmt.Sprint(v.own.Version()), New: fmt.Sprint(s.version)}
	if known != nil {
		c.Sentence = fmt.Sprintf("This appliance signed two different versions %d of its own trust root: the one known here, and the one in %s. It was put back to an earlier day after that one was published. Whoever took up one refuses the other: call them, and make this appliance again with sallyport restore --roots MEDIUM.", s.version, clean(s.file))
		return c
	}
	c.Sentence = fmt.Sprintf("This appliance signed version %d of its own trust root (%s), and this disk knows version %d: it was put back to an earlier day. Make it again with sallyport restore --roots MEDIUM before it signs another; until then it changes no keys.", s.version, clean(s.file), v.own.Version())
	return c
}

// noNumberTwice raises the mark of our own root to what a medium proves that we published.
func (r *Room) noNumberTwice(id digest.Digest, version int64) error {
	if version == 0 {
		return nil
	}
	return r.Marks.Raise(func(s *marks.Set) error {
		s.Roots[id.String()] = max(s.Roots[id.String()], version)
		return nil
	})
}
