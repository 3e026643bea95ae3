package courier

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sallyport/internal/attest"
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
	tr.follow(t)
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

// follow lets later versions of trusted roots on the medium take over, by their own rule: signed by the old and the new,
// from the version that is trusted on. A chain that is whole in itself but leaves ours before that version proves nothing:
// whoever holds a root key that was rotated away can write one. At most root.MaxChain versions in a row are followed from what
// is trusted: with --key-words that is the first, and the medium's chain was gathered as far as it may count.
func (tr *trust) follow(t *tree) {
	if tr.how == "--key-words" {
		return
	}
	before := slices.Clone(tr.Roots)
	for _, name := range t.rootNames() {
		env, err := t.read(name, rootMax)
		if err != nil {
			continue
		}
		for i, r := range tr.Roots {
			next, err := r.Next(env, time.Time{})
			switch {
			case err != nil:
			case next.Version() > before[i].Version()+root.MaxChain:
				tr.warnings = append(tr.warnings, fmt.Sprintf("the medium carries more than %d later versions of the trust root: those after version %d were not used", root.MaxChain, r.Version()))
			default:
				tr.Roots[i] = next
			}
		}
	}
	for i, r := range tr.Roots {
		if r.Version() > before[i].Version() {
			tr.warnings = append(tr.warnings, fmt.Sprintf("the medium carries version %d of the trust root, rightly signed after version %d; it was used", r.Version(), before[i].Version()))
		}
	}
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
