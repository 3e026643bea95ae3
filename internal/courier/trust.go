package courier

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/root"
	"sallyport/internal/seal"
	"sallyport/internal/units"
	"sallyport/internal/verify"
)

// What a key or root file may be at most, in bytes, and how many of them one directory or medium may have.
const (
	keyMax   = 64 << 10
	rootMax  = 2 << 20
	filesMax = 2000
	rootsMax = 256
)

// trust is whom this run believes, and how it came to that.
type trust struct {
	verify.Trust
	how      string   // "--key", "--root", "--key-words", "trust directory"; "" when nobody is believed
	warnings []string // printed with every verdict
	medium   candidates
}

// candidates are the public keys and roots that lie on the medium. They are believed only when words from elsewhere match.
type candidates struct {
	keys  []*attest.Key
	roots []*root.Trusted // each at its highest version
}

// findTrust looks in the order of 20-bundle-format: what was named, else the trust directory of this binary's own kit.
func (p Program) findTrust(r request, t *tree) (*trust, error) {
	tr := &trust{medium: t.candidates()}
	var err error
	switch {
	case len(r.keys) > 0:
		tr.how = "--key"
		err = tr.fromKeys(r.keys, t)
	case len(r.roots) > 0:
		tr.how = "--root"
		err = tr.fromRoots(r.roots, t)
	case r.words != "":
		tr.how = "--key-words"
		err = tr.fromWords(r.words)
	default:
		err = tr.fromKit(p.Self, t)
	}
	if err != nil {
		return nil, err
	}
	tr.follow()
	return tr, nil
}

func (tr *trust) fromKeys(files []string, t *tree) error {
	for _, name := range files {
		b, err := readSmall(name, keyMax)
		if err != nil {
			return err
		}
		k, err := attest.ParseKey(b)
		if err != nil {
			return fmt.Errorf("--key %s: %w", name, err)
		}
		tr.Keys = append(tr.Keys, k)
		tr.sameMedium(name, t, "key")
	}
	return nil
}

// sameMedium warns when what proves and what is proved come from one hand.
func (tr *trust) sameMedium(name string, t *tree, what string) {
	if t.holds(name) {
		tr.warnings = append(tr.warnings, fmt.Sprintf("%s and bundle come from one medium: whoever wrote the bundle could have written the %s too. Compare its words with your paper: %s", what, what, tr.words()))
	}
}

// words are those of everything believed so far.
func (tr *trust) words() string {
	var all []string
	for _, k := range tr.Keys {
		all = append(all, k.Words())
	}
	for _, r := range tr.Roots {
		all = append(all, r.Words())
	}
	return strings.Join(all, " / ")
}

func (tr *trust) fromRoots(names []string, t *tree) error {
	var envs [][]byte
	for _, name := range names {
		more, err := rootFiles(name)
		if err != nil {
			return err
		}
		envs = append(envs, more...)
	}
	var err error
	if tr.Roots, err = chains(envs); err != nil {
		return err
	}
	for _, name := range names {
		tr.sameMedium(name, t, "root")
	}
	return nil
}

// rootFiles reads one trust root, or every *.root.json of a directory. A file of a later version brings its predecessors
// along when they lie beside it.
func rootFiles(name string) ([][]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, missing(name, err)
	}
	dir, only := name, ""
	if !info.IsDir() {
		dir, only = filepath.Dir(name), strings.SplitN(filepath.Base(name), ".", 2)[0]
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, missing(dir, err)
	}
	var envs [][]byte
	for _, e := range list {
		full := filepath.Join(dir, e.Name())
		sibling := strings.HasSuffix(strings.ToLower(e.Name()), ".root.json") && (only == "" || strings.HasPrefix(e.Name(), only+"."))
		if !sibling && full != filepath.Clean(name) {
			continue
		}
		if len(envs) > filesMax {
			return nil, code.New(code.RootMany, "").In(dir, "").Want(filesMax, "more")
		}
		b, err := readSmall(full, rootMax)
		if err != nil {
			return nil, err
		}
		envs = append(envs, b)
	}
	if len(envs) == 0 {
		return nil, code.New(code.Missing, "no trust root in this directory").In(name, "")
	}
	return envs, nil
}

// chains builds trusted roots from their documents: every version 1 begins one, every other must follow.
func chains(envs [][]byte) ([]*root.Trusted, error) {
	var roots []*root.Trusted
	var later [][]byte
	for _, env := range envs {
		t, err := root.First(env, time.Time{})
		switch {
		case err == nil:
			roots = append(roots, t)
		case code.Of(err) == code.RootGap:
			later = append(later, env)
		default:
			return nil, err
		}
	}
	for len(later) > 0 {
		var next []*root.Trusted
		rest := later[:0]
		var why error
		for _, env := range later {
			i, t, err := successor(roots, env)
			if err != nil {
				rest, why = append(rest, env), err
				continue
			}
			roots[i], next = t, append(next, t)
		}
		if later = rest; len(next) == 0 {
			return nil, why
		}
	}
	return roots, nil
}

func successor(roots []*root.Trusted, env []byte) (int, *root.Trusted, error) {
	var why error = code.New(code.RootGap, "its version 1 is not here")
	for i, r := range roots {
		t, err := r.Next(env, time.Time{})
		if err == nil {
			return i, t, nil
		}
		if code.Of(err) != code.RootUnknown {
			why = err
		}
	}
	return 0, nil, why
}

// fromWords believes what lies on the medium if, and only if, its fingerprint is the one on the person's paper.
func (tr *trust) fromWords(words string) error {
	for _, r := range tr.medium.roots {
		ok, err := units.MatchWords(r.ID(), words)
		if err != nil {
			return code.Wrap(code.BadUsage, err, "--key-words").Do("Type the nine words again, as they stand on your paper.")
		}
		if ok {
			tr.Roots = append(tr.Roots, r)
			return nil
		}
	}
	for _, k := range tr.medium.keys {
		ok, err := units.MatchWords(k.Fingerprint(), words)
		if err != nil {
			return code.Wrap(code.BadUsage, err, "--key-words").Do("Type the nine words again, as they stand on your paper.")
		}
		if ok {
			tr.Keys = append(tr.Keys, k)
			return nil
		}
	}
	return code.New(code.FingerprintWrong, "no key on this medium has the words that were given")
}

// fromKit reads the trust directory beside this binary's own kit, never one inside the tree that is verified.
func (tr *trust) fromKit(self string, t *tree) error {
	if self == "" {
		return nil
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	dir := filepath.Join(filepath.Dir(self), "..", "trust")
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err != nil && len(list) == 0 {
		return nil
	}
	if t.holds(dir) {
		tr.warnings = append(tr.warnings, "the trust directory beside this binary lies in the tree that is verified and was not used")
		return nil
	}
	var envs [][]byte
	for _, e := range list[:min(len(list), filesMax)] {
		name := strings.ToLower(e.Name())
		b, err := readSmall(filepath.Join(dir, e.Name()), rootMax)
		switch {
		case strings.HasSuffix(name, ".root.json") && err == nil:
			envs = append(envs, b)
		case strings.HasSuffix(name, ".pub") && err == nil:
			k, err := attest.ParseKey(b)
			if err != nil {
				return fmt.Errorf("trust directory %s: %w", e.Name(), err)
			}
			tr.Keys = append(tr.Keys, k)
		}
	}
	if tr.Roots, err = chains(envs); err != nil {
		return fmt.Errorf("trust directory: %w", err)
	}
	if len(tr.Keys)+len(tr.Roots) > 0 {
		tr.how = "trust directory " + filepath.Clean(dir)
	}
	return nil
}

// follow lets later versions of trusted roots on the medium take over, by their own rule: signed by the old and the new.
func (tr *trust) follow() {
	for i, r := range tr.Roots {
		for _, c := range tr.medium.roots {
			if c.ID() == r.ID() && c.Version() > r.Version() {
				tr.Roots[i] = c
				tr.warnings = append(tr.warnings, fmt.Sprintf("the medium carries version %d of the trust root, rightly signed after version %d; it was used", c.Version(), r.Version()))
			}
		}
	}
}

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

// identities reads the secret keys that were named.
func identities(files []string) (ids []seal.Identity, dare []seal.DareKey, err error) {
	for _, name := range files {
		b, err := readSmall(name, keyMax)
		if err != nil {
			return nil, nil, err
		}
		if bytes.HasPrefix(bytes.TrimSpace(b), []byte("aes1-")) {
			k, err := seal.ParseDareKey(b)
			if err != nil {
				return nil, nil, fmt.Errorf("--identity %s: %w", name, err)
			}
			dare = append(dare, k)
			continue
		}
		more, err := seal.ParseIdentities(b)
		if err != nil {
			return nil, nil, fmt.Errorf("--identity %s: %w", name, err)
		}
		ids = append(ids, more...)
	}
	return ids, dare, nil
}

// readSmall reads a file a person named, of at most limit bytes.
func readSmall(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, missing(name, err)
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, code.New(code.BadUsage, "not a plain file of a few KiB").In(name, "").Do("Name the right file.")
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, missing(name, err)
	}
	return b, nil
}

func missing(name string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return code.Wrap(code.Missing, err, "cannot open it").In(name, "")
	}
	return code.Wrap(code.MediumRead, err, "cannot read it").In(name, "")
}
