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

// candidates collects the public keys and roots that lie on the medium. What cannot be read or parsed is left out.
func (t *tree) candidates() (c candidates) {
	if t.medium == nil {
		return c
	}
	names := slices.Clone(t.medium.Roots)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(versionIn(a), versionIn(b)) })
	var envs [][]byte
	for _, name := range names[:min(len(names), rootsMax)] {
		if b, err := t.read(name, rootMax); err == nil {
			envs = append(envs, b)
		}
	}
	c.roots = gather(envs)
	add := func(k *attest.Key, err error) {
		if err == nil && !slices.ContainsFunc(c.keys, k.Equal) {
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

// gather builds what chains it can, in the order given, and drops the rest: nothing here is believed yet.
func gather(envs [][]byte) []*root.Trusted {
	var roots []*root.Trusted
	for _, env := range envs {
		if t, err := root.First(env, time.Time{}); err == nil {
			roots = append(roots, t)
		} else if i, t, err := successor(roots, env); err == nil {
			roots[i] = t
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
