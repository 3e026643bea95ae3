package courier

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/root"
)

// signerOf finds the key of an envelope among those on the medium, to show its words. It proves nothing.
func (c candidates) signerOf(keyIDs []string) *attest.Key {
	for _, k := range c.keys {
		if slices.Contains(keyIDs, k.ID()) {
			return k
		}
	}
	return nil
}

// candidatesMax bounds the trust roots of a medium that are held at a time, in bytes: real ones have a few KiB.
const candidatesMax = 4 << 20

// candidates collects the public keys and roots that lie on the medium. What cannot be read or parsed is left out.
func (t *tree) candidates() (c candidates) {
	if t.medium == nil {
		return c
	}
	c.roots = t.gather()
	seen := map[string]bool{}
	add := func(k *attest.Key, err error) {
		if err == nil && !seen[k.ID()] {
			seen[k.ID()] = true
			c.keys = append(c.keys, k)
		}
	}
	for _, name := range t.medium.Pubs[:min(len(t.medium.Pubs), filesMax)] {
		if b, err := t.read(name, keyMax); err == nil {
			add(attest.ParseKey(b))
		}
	}
	for _, r := range c.roots {
		for _, k := range r.All() {
			add(k, nil)
		}
	}
	for _, name := range t.medium.Cards[:min(len(t.medium.Cards), filesMax)] {
		for _, k := range t.cardKeys(name) {
			add(attest.ParseKeyText(k.Public))
		}
	}
	return c
}

// rootNames are the trust roots on the medium, by the version in their names.
func (t *tree) rootNames() []string {
	if t.medium == nil {
		return nil
	}
	names := slices.Clone(t.medium.Roots)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(versionIn(a), versionIn(b)) })
	return names[:min(len(names), rootsMax)]
}

// gather builds what chains it can, in the order of the names and at most root.MaxChain versions after the first, and drops
// the rest: nothing here is believed yet.
func (t *tree) gather() []*root.Trusted {
	var roots []*root.Trusted
	held := 0
	for _, name := range t.rootNames() {
		env, err := t.read(name, rootMax)
		if err != nil || held+len(env) > candidatesMax {
			continue
		}
		if first, err := root.First(env, time.Time{}); err == nil {
			roots = append(roots, first)
			held += len(env)
		} else if i, next, err := successor(roots, env); err == nil && next.Version() <= 1+root.MaxChain {
			held += len(env) - len(roots[i].Envelope())
			roots[i] = next
		}
	}
	return roots
}

// versionIn is the N of <id>.N.root.json: the order to try them in, believed by nobody.
func versionIn(name string) int {
	parts := strings.Split(path.Base(name), ".")
	if len(parts) != 4 {
		return 0
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		return 0
	}
	return n
}

func (t *tree) cardKeys(name string) []bundle.CardKey {
	b, err := t.read(name, rootMax)
	if err != nil {
		return nil
	}
	claim, err := attest.Inspect(b)
	if err != nil || claim.Type != attest.TypeCard {
		return nil
	}
	card, err := bundle.ParseCard(claim.Payload)
	if err != nil {
		return nil
	}
	return card.Keys
}
