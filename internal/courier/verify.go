package courier

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/media"
	"sallyport/internal/verify"
)

// errand is one run over one tree.
type errand struct {
	p     Program
	tree  *tree
	trust *trust
	o     verify.Options
	names string // what the person called the tree, in front of every path
}

func (p Program) verify(ctx context.Context, args []string) (int, error) {
	r, err := parse("verify", args)
	if err != nil {
		return 0, err
	}
	rep, err := p.look(ctx, r, nil)
	if err != nil {
		return 0, err
	}
	return rep.Exit, rep.print(p.Out, r.json)
}

// look verifies everything that was named. each is called for every bundle whose verdict is good.
func (p Program) look(ctx context.Context, r request, each func(*item, *verify.Bundle, *verify.Packing)) (*report, error) {
	e, err := p.prepare(r)
	if err != nil {
		return nil, err
	}
	defer e.tree.close()
	items, err := e.items(ctx, each)
	if err != nil {
		return nil, err
	}
	rep := &report{Trust: e.trust.how, Warnings: append([]string{}, e.trust.warnings...), Items: items}
	e.lonely(rep)
	rep.sum()
	return rep, nil
}

// prepare opens the tree and gathers whom to believe and what opens.
func (p Program) prepare(r request) (*errand, error) {
	t, err := openTree(r.path)
	if err != nil {
		return nil, err
	}
	e := &errand{p: p, tree: t, names: r.path}
	if t.file != "" {
		e.names = strings.TrimSuffix(r.path, t.file)
	}
	if err := e.believe(r); err != nil {
		t.close()
		return nil, err
	}
	return e, nil
}

func (e *errand) believe(r request) error {
	around, err := e.tree.above()
	if err != nil {
		return err
	}
	if around.root != e.tree.root {
		defer around.close()
	}
	if e.trust, err = e.p.findTrust(r, around); err != nil {
		return err
	}
	e.o.Trust = e.trust.Trust
	if f, ok := e.p.Err.(*os.File); ok && !r.json {
		e.o.Progress = meter(f)
	}
	e.o.Identities, e.o.Dare, err = identities(r.identity)
	return err
}

// items takes everything that was named through the gate.
func (e *errand) items(ctx context.Context, each func(*item, *verify.Bundle, *verify.Packing)) ([]*item, error) {
	if e.tree.file != "" {
		return e.one(ctx, each)
	}
	m := e.tree.medium
	var items []*item
	for _, dir := range m.Bundles {
		items = append(items, e.bundle(ctx, dir, each))
	}
	for _, dir := range m.Unfinished {
		it := e.item("bundle", dir)
		it.refuse(code.New(code.LabelMissing, "").In(dir, "").Want("a label", "none"))
		items = append(items, it)
	}
	if len(items) == 0 {
		for _, name := range slices.Concat(m.Roots, m.Cards, m.Loose) {
			items = append(items, e.paper(name))
		}
	}
	if len(items) == 0 {
		return nil, e.nothing()
	}
	return items, ctx.Err()
}

// nothing says what there is where there is nothing of ours.
func (e *errand) nothing() error {
	m, err := media.Open(e.tree.real)
	if err != nil {
		return code.New(code.MediumEmpty, "").In(e.names, "")
	}
	defer m.Close()
	return m.Nothing()
}

// one verifies the one file that was named: a label or volume with its whole bundle, a signed paper, or a bare payload.
func (e *errand) one(ctx context.Context, each func(*item, *verify.Bundle, *verify.Packing)) ([]*item, error) {
	name := e.tree.file
	info, err := fs.Lstat(e.tree.fsys, name)
	if err == nil && info.Mode()&fs.ModeDevice != 0 {
		return nil, media.Refuse(filepath.Join(e.tree.real, name), info)
	}
	if err != nil || !info.Mode().IsRegular() {
		return nil, code.New(code.BadUsage, "not a plain file").In(e.tree.file, "").Do("Name the file itself.")
	}
	if label := strings.ToLower(name); strings.HasSuffix(label, ".label.json") && !strings.HasPrefix(label, "._") || e.tree.labelled(name) {
		return []*item{e.bundle(ctx, ".", each)}, nil
	}
	f, err := e.tree.fsys.Open(name)
	if err != nil {
		return nil, missing(name, err)
	}
	defer f.Close()
	head := make([]byte, 1)
	if n, _ := f.Read(head); n == 1 && head[0] == '{' {
		return []*item{e.paper(name)}, nil
	}
	if at, ok := f.(io.ReaderAt); ok && media.Signature(at) != "" {
		return nil, media.Refuse(filepath.Join(e.tree.real, name), info) // an image of a stick, not a bundle
	}
	again, err := e.tree.fsys.Open(name)
	if err != nil {
		return nil, missing(name, err)
	}
	defer again.Close()
	return []*item{e.payload(ctx, name, again, each)}, nil
}

func (e *errand) item(what, name string) *item {
	full := path.Join(e.names, name)
	return &item{Path: clean(full), What: what, Checked: []string{}, NotChecked: []string{}}
}

// bundle verifies one bundle directory as far as the keys reach.
func (e *errand) bundle(ctx context.Context, dir string, each func(*item, *verify.Bundle, *verify.Packing)) *item {
	it := e.item("bundle", dir)
	if e.trust.how == "" {
		e.sums(ctx, it, dir)
		return it
	}
	p, err := verify.CheckLabel(ctx, e.tree.fsys, dir, e.o)
	if p != nil {
		it.packing(p)
	}
	if err != nil {
		it.refuse(e.explain(err, dir))
		return it
	}
	sealed := p.Label().Sealed.Mode
	if sealed != bundle.SealNone && len(e.o.Identities)+len(e.o.Dare) == 0 {
		e.outer(ctx, it, p, "the contents: no --identity was given", each)
		return it
	}
	b, err := verify.Open(ctx, p, e.o)
	if code.Of(err) == code.NotForUs || code.Of(err) == code.IdentityMissing {
		e.outer(ctx, it, p, "the contents: they are not encrypted for the identity that was given", each)
		if it.Error == nil {
			it.Error, it.Exit = problemOf(err), code.Lookup(code.NotForUs).Exit()
		}
		return it
	}
	if err != nil {
		it.refuse(err)
		return it
	}
	it.contents(b)
	e.limits(it, b.Root() == nil, b)
	if each != nil {
		each(it, b, p)
	}
	return it
}

// outer verifies what can be verified without opening.
func (e *errand) outer(ctx context.Context, it *item, p *verify.Packing, why string, each func(*item, *verify.Bundle, *verify.Packing)) {
	if err := verify.Outer(ctx, p, e.o); err != nil {
		it.refuse(err)
		return
	}
	l := p.Label()
	it.Verdict = intact
	it.Sentence = fmt.Sprintf("INTACT, SEALED: every outer byte is as %s (%s) signed it; the contents were not opened.", l.Tenant, packer(l))
	it.Checked = append(it.Checked, "signature of the label", fmt.Sprintf("all %d volume(s), byte for byte", len(l.Volumes)), "both sheets; nothing is missing, nothing is extra")
	it.NotChecked = append(it.NotChecked, why, "that label and manifest say the same (seen only after opening)")
	e.limits(it, p.Root() == nil, nil)
	if each != nil {
		each(it, nil, p)
	}
}

// sums checks a bundle nobody's key was given for. A key on the medium proves nothing, but a signature that does not even
// fit that key is a refusal.
func (e *errand) sums(ctx context.Context, it *item, dir string) {
	l, err := verify.Sums(ctx, e.tree.fsys, dir, e.o)
	if err == nil && e.trust.medium.signerOf(l.KeyIDs()) != nil {
		_, err = verify.CheckLabel(ctx, e.tree.fsys, dir, verify.Options{Trust: verify.Trust{Keys: e.trust.medium.keys}})
	}
	if err != nil {
		it.refuse(err)
		return
	}
	it.label(l.Label(), l.ID().String())
	it.Unlisted = cleanEach(l.Unlisted())
	it.unsigned(e.trust.medium, l.KeyIDs())
	it.Checked = append(it.Checked, "the sums of all volumes and sheets against the label")
	it.NotChecked = append(it.NotChecked, "who signed the label", "the contents")
}

// unsigned is the verdict on what was checked against itself alone.
func (it *item) unsigned(c candidates, keyIDs []string) {
	it.refuse(code.New(code.SignerNotChecked, ""))
	it.Verdict = notChecked
	it.Signer = &signer{KeyID: cleanAll(keyIDs, 3)}
	if k := c.signerOf(keyIDs); k != nil {
		it.Signer = signerOf(k, nil)
		it.Signer.Trusted = false
		for _, r := range c.roots {
			if r.Key(k.ID()) != nil {
				it.Signer.Appliance = r.Words()
			}
		}
	}
}

// payload verifies a bare payload file.
func (e *errand) payload(ctx context.Context, name string, f interface{ Read([]byte) (int, error) }, each func(*item, *verify.Bundle, *verify.Packing)) *item {
	it := e.item("payload", name)
	if e.trust.how == "" {
		it.refuse(code.New(code.SignerNotChecked, "no key was given").Do("Run again with --key, or --root."))
		return it
	}
	b, err := verify.Payload(ctx, f, name, e.o)
	if err != nil {
		it.refuse(e.explain(err, name))
		return it
	}
	it.contents(b)
	it.NotChecked = append(it.NotChecked, "the outer bytes, their packer and addressee: a bare file has no label")
	e.limits(it, b.Root() == nil, b)
	if each != nil {
		each(it, b, nil)
	}
	return it
}

// paper verifies one signed paper.
func (e *errand) paper(name string) *item {
	it := e.item("paper", name)
	env, err := e.tree.read(name, 16<<20)
	if err != nil {
		it.refuse(err)
		return it
	}
	claim, err := attest.Inspect(env)
	if err != nil {
		it.refuse(e.explain(err, name))
		return it
	}
	it.What = paperName(claim.Type)
	if e.trust.how == "" {
		it.unsigned(e.trust.medium, claim.KeyIDs)
		it.NotChecked = append(it.NotChecked, "who signed it")
		return it
	}
	s, err := verify.Document(env, e.o)
	if err != nil {
		it.refuse(e.explain(err, name))
		return it
	}
	if err := it.signed(s); err != nil {
		it.refuse(err)
		return it
	}
	e.limits(it, s.Root() == nil, nil)
	return it
}

// explain adds the words of an unknown signer, when the medium carries its key, and the file when none is named.
func (e *errand) explain(err error, name string) error {
	if code.Of(err) != code.SignerUnknown {
		return err
	}
	words := ""
	for _, k := range e.trust.medium.keys {
		if strings.Contains(err.Error(), k.ID()) {
			words = k.Words()
		}
	}
	if words == "" {
		return err
	}
	return code.Wrap(code.SignerUnknown, err, "signed by a key that is not trusted here (%s)", words).In(name, "")
}
