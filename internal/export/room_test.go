package export_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/export"
	"sallyport/internal/job"
	"sallyport/internal/root"
	"sallyport/internal/sample"
	"sallyport/internal/seal"
	"sallyport/internal/state"
	"sallyport/internal/verify"
)

func count(list []string, s string) (n int) {
	for _, have := range list {
		if have == s {
			n++
		}
	}
	return n
}

func TestSealedRunToAMedium(t *testing.T) {
	h := newHub(t, 1)
	h.fill(300)
	must(t, h.room.Start(t.Context()))
	stick := t.TempDir()
	run := h.mustRun(export.Request{For: "site", To: stick, VolumeBytes: 16 << 10})
	if run.Name != "mirror-20260301-full-for-site" || run.State != job.Succeeded || run.Records != 304 || len(run.Feeds) != 3 {
		t.Errorf("run %+v", run)
	}
	onStick := filepath.Join(stick, "sallyport", "bundles", run.Shelf)
	if run.Steps["medium"] != onStick {
		t.Errorf("the run says it was written to %q", run.Steps["medium"])
	}
	for _, dir := range []string{h.shelf(run), onStick} {
		b, err := h.gate(dir, h.site.Identity)
		if err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		m := b.Manifest()
		if !b.Done() || b.ID() != run.BundleID || b.Packing().ID() != run.LabelID || b.Stats().Records != 304 || len(b.Packing().Label().Volumes) < 2 {
			t.Errorf("%s: %+v", dir, b.Stats())
		}
		if !slices.Equal(m.Audience, []string{h.site.ID}) || m.Challenge != run.Challenge || len(m.Challenge) != 32 || b.Anchor() == nil {
			t.Errorf("audience %q, challenge %q of %q, anchor %v", m.Audience, m.Challenge, run.Challenge, b.Anchor())
		}
	}
	for _, name := range []string{"roots/" + h.trust.ID().Hex()[:16] + ".1.root.json", "pub/hub/tenants/acme/export-center.pub"} {
		if _, err := os.Stat(filepath.Join(stick, "sallyport", name)); err != nil {
			t.Error(err)
		}
	}
	for _, want := range []string{"export.run.submitted", "export.run.started", "mirror.bundle.created", "media.written", "export.run.succeeded"} {
		if n := count(h.events(), want); n != 1 {
			t.Errorf("event %s: %d times in %q", want, n, h.events())
		}
	}
	again := h.mustRun(export.Request{For: "site"})
	if again.Name != run.Name+"-2" {
		t.Errorf("second run of a day is %s", again.Name)
	}
	if _, err := h.gate(h.shelf(again)); code.Of(err) != code.NotForUs && code.Of(err) != code.IdentityMissing && err == nil {
		t.Errorf("opened without an identity: %v", err)
	}
	must(t, h.room.Verify(t.Context(), again.ID))
}

// TestOneDocumentInTwoFeeds: paths carry no feed number, so the second one needs a path of its own.
func TestOneDocumentInTwoFeeds(t *testing.T) {
	h := newHub(t, 15)
	src := filepath.Join(t.TempDir(), "a.cdx.json")
	must(t, os.WriteFile(src, sample.SBOM(7, 1), 0o600))
	h.load("one", src)
	h.load("two", src)
	must(t, h.room.Start(t.Context()))
	b, err := h.gate(h.shelf(h.mustRun(export.Request{For: "site"})), h.site.Identity)
	must(t, err)
	feeds := map[int64]digest.Digest{}
	for _, c := range b.Manifest().Contents {
		if c.Role == bundle.RoleDocument {
			feeds[*c.Feed] = c.Digest
		}
	}
	if len(feeds) != 2 || feeds[0] != feeds[1] || b.Stats().Records != 2 {
		t.Errorf("documents by feed: %v", feeds)
	}
}

// payload gives the unsealed, still packed payload of a bundle on the shelf.
func (h *hub) payload(run export.Run) []byte {
	h.t.Helper()
	entries, err := os.ReadDir(h.shelf(run))
	must(h.t, err)
	var out bytes.Buffer
	for _, e := range entries {
		if strings.Contains(e.Name(), ".tar.zst") {
			b, err := os.ReadFile(filepath.Join(h.shelf(run), e.Name()))
			must(h.t, err)
			out.Write(b)
		}
	}
	if bytes.HasPrefix(out.Bytes(), []byte("age-encryption.org/")) {
		r, err := seal.Decrypt(&out, h.site.Identity)
		must(h.t, err)
		b, err := io.ReadAll(r)
		must(h.t, err)
		return b
	}
	return out.Bytes()
}

// TestSameInputsSamePayload: two appliances with the same seed, clock and ids write the same bytes at any worker count.
func TestSameInputsSamePayload(t *testing.T) {
	var first []byte
	src := t.TempDir()
	var hash digest.Digest
	for _, workers := range []int{1, 2, 8} {
		h := newHub(t, 3)
		h.close()
		h.tune = func(d *export.Deps) { d.Workers = workers }
		h.open()
		h.fillFrom(src, 900)
		must(t, h.room.Start(t.Context()))
		run := h.mustRun(export.Request{For: "site", VolumeBytes: 100_000})
		got := h.payload(run)
		b, err := h.gate(h.shelf(run), h.site.Identity)
		must(t, err)
		if first == nil {
			first, hash = got, b.Manifest().RerunHash
		}
		if !bytes.Equal(first, got) {
			t.Errorf("%d workers: another payload (%d and %d bytes)", workers, len(first), len(got))
		}
		h.clock.Advance(3600e9)
		later, err := h.gate(h.shelf(h.mustRun(export.Request{For: "site"})), h.site.Identity)
		must(t, err)
		if b.Manifest().RerunHash != hash || later.Manifest().RerunHash != hash || later.ID() == b.ID() {
			t.Errorf("%d workers: rerunHash %v, %v, %v", workers, hash, b.Manifest().RerunHash, later.Manifest().RerunHash)
		}
		h.close()
	}
}

func TestSealedWithASharedKey(t *testing.T) {
	h := newHub(t, 13)
	h.fill(20)
	must(t, h.room.Start(t.Context()))
	if _, err := h.run(export.Request{For: "site", Seal: "dare"}); code.Of(err) != code.SigningKey {
		t.Errorf("no shared key: %v", err)
	}
	key, err := seal.NewDareKey(h.random)
	must(t, err)
	must(t, h.deps.Keys.SetDare("site", key))
	run := h.mustRun(export.Request{For: "site", Seal: "dare", VolumeBytes: 8 << 10})
	o := verify.Options{Trust: verify.Trust{Roots: []*root.Trusted{h.trust}}, Dare: []seal.DareKey{key}, Now: h.clock.Now()}
	p, err := verify.CheckLabel(t.Context(), os.DirFS(h.room.Shelf()), run.Shelf, o)
	must(t, err)
	if b, err := verify.Open(t.Context(), p, o); err != nil || b.ID() != run.BundleID || p.Label().Sealed.Mode != bundle.SealDare {
		t.Errorf("opened with the shared key: %v", err)
	}
}

func TestUnencryptedForEverybody(t *testing.T) {
	h := newHub(t, 4)
	h.fill(50)
	must(t, h.room.Start(t.Context()))
	run := h.mustRun(export.Request{Unencrypted: true})
	b, err := h.gate(h.shelf(run))
	must(t, err)
	m, l := b.Manifest(), b.Packing().Label()
	if !slices.Equal(m.Audience, []string{"*"}) || m.Challenge != "" || l.Sealed.Mode != bundle.SealNone || len(l.For) != 0 || run.Name != "mirror-20260301-full" {
		t.Errorf("audience %q, challenge %q, label %+v", m.Audience, m.Challenge, l)
	}
	pub, err := os.ReadFile(h.deps.Keys.PublicPath(tenant))
	must(t, err)
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(h.shelf(run))))
	must(t, os.WriteFile(filepath.Join(dir, "export-center.pub"), pub, 0o600))
	stock(t, dir, "sha256sum -c SHA256SUMS", "cat "+run.Name+".tar.zst* | zstd -d | tar -x",
		"base64 -d < signatures/export.sig > export.sig.der",
		"openssl dgst -sha256 -verify export-center.pub -signature export.sig.der mirror/export.json",
		`jq -r '.contents[] | (.digest | ltrimstr("sha256:")) + "  " + .path' mirror/export.json | sha256sum -c`)
}

// stock runs the lines of README.md with the tools of the host; a tool that is not here is told and left out.
func stock(t *testing.T, dir string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		for _, tool := range []string{"sha256sum", "zstd", "tar", "base64", "openssl", "jq", "age"} {
			if _, err := exec.LookPath(tool); err != nil && strings.Contains(line, tool+" ") {
				t.Logf("%s is not here: %s", tool, line)
				line = ""
			}
		}
		cmd := exec.Command("sh", "-ec", line)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}

func TestAgeOpensIt(t *testing.T) {
	h := newHub(t, 14)
	h.fill(20)
	must(t, h.room.Start(t.Context()))
	run := h.mustRun(export.Request{For: "site", VolumeBytes: 8 << 10})
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(h.shelf(run))))
	must(t, os.WriteFile(filepath.Join(dir, "id.key"), []byte(h.site.Identity.String()+"\n"), 0o600))
	stock(t, dir, "cat "+run.Name+".tar.zst.age* | age -d -i id.key | zstd -d | tar -x")
}

func TestRefusalsBeforeAnyWork(t *testing.T) {
	h := newHub(t, 5)
	must(t, h.room.Start(t.Context()))
	if _, err := h.run(export.Request{For: "site"}); code.Of(err) != code.ExportEmpty {
		t.Errorf("nothing to export: %v", err)
	}
	run := h.mustRun(export.Request{For: "site", AllowEmpty: true})
	if b, err := h.gate(h.shelf(run), h.site.Identity); err != nil || b.Stats().Records != 0 {
		t.Errorf("an empty mirror on purpose: %v", err)
	}
	h.fill(3)
	for name, tc := range map[string]struct {
		q    export.Request
		want code.Code
	}{
		"no addressee":        {export.Request{}, code.EncryptionRequired},
		"unknown peer":        {export.Request{For: "nobody"}, code.Missing},
		"tiny volumes":        {export.Request{For: "site", VolumeBytes: 100}, code.ExportInvalid},
		"volumes over 4 GiB":  {export.Request{For: "site", VolumeBytes: 4 << 30}, code.ExportInvalid},
		"relative medium":     {export.Request{For: "site", To: "stick"}, code.ExportInvalid},
		"medium in the store": {export.Request{For: "site", To: h.path("shelf")}, code.ExportInvalid},
		"no medium there":     {export.Request{For: "site", To: filepath.Join(t.TempDir(), "none")}, code.Missing},
	} {
		if _, err := h.run(tc.q); code.Of(err) != tc.want {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	for _, profile := range []string{"mirror:nothing", "outbound:site"} {
		if _, err := h.room.Submit(t.Context(), export.Request{Tenant: tenant, Profile: profile, For: "site"}); code.Of(err) != code.ExportProfile {
			t.Errorf("profile %s: %v", profile, err)
		}
	}
}

// TestStoreDamageIsCaught: what the store holds is hashed again on its way into a bundle.
func TestStoreDamageIsCaught(t *testing.T) {
	h := newHub(t, 6)
	h.fill(200)
	run := export.Run{}
	n := 0
	must(t, filepath.WalkDir(h.path("cas/sha256"), func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil || len(b) < 20_000 { // the shard of advisories is the largest blob
			return err
		}
		n++
		b[len(b)/2] ^= 1
		os.Chmod(p, 0o600)
		return os.WriteFile(p, b, 0o600)
	}))
	if n == 0 {
		t.Fatal("no blob was damaged")
	}
	must(t, h.room.Start(t.Context()))
	run, err := h.run(export.Request{For: "site"})
	if code.Of(err) != code.StoreCorrupt || run.State != job.Failed || run.ErrorCode == "" || run.Shelf != "" {
		t.Errorf("%v, run %+v", err, run)
	}
	if entries, _ := os.ReadDir(h.room.Shelf()); len(entries) != 0 {
		t.Errorf("left on the shelf: %v", entries)
	}
}

// A watcher that does not read any more never keeps the room open.
func TestCloseWithASilentWatcher(t *testing.T) {
	h := newHub(t, 8)
	h.fill(10)
	must(t, h.room.Start(t.Context()))
	id, err := h.room.Submit(t.Context(), export.Request{Tenant: tenant, Profile: "mirror:full", For: "site"})
	must(t, err)
	_, err = h.room.Watch(context.WithoutCancel(t.Context()), id)
	must(t, err)
	if run, err := h.room.Wait(t.Context(), id); err != nil || run.State != job.Succeeded {
		t.Fatalf("%v, run %+v", err, run)
	}
	must(t, h.room.Close())
}

func TestDistributionFailsAndIsRetried(t *testing.T) {
	h := newHub(t, 7)
	h.fill(100)
	must(t, h.room.Start(t.Context()))
	stick := filepath.Join(t.TempDir(), "stick")
	must(t, os.Mkdir(stick, 0o755))
	must(t, os.WriteFile(filepath.Join(stick, "sallyport"), nil, 0o644)) // a file stands where the folder must be
	run, err := h.run(export.Request{For: "site", To: stick})
	if code.Of(err) != code.MediumName || run.State != job.Failed || run.ErrorCode != "distribution" || run.Shelf == "" {
		t.Fatalf("%v, run %+v", err, run)
	}
	must(t, h.room.Verify(t.Context(), run.ID))
	must(t, os.Remove(filepath.Join(stick, "sallyport")))
	must(t, h.room.Retry(t.Context(), run.ID, "test"))
	again, err := h.room.Wait(t.Context(), run.ID)
	if err != nil || again.LabelID != run.LabelID || again.Attempt != 2 || again.ErrorCode != "" {
		t.Fatalf("%v, run %+v", err, again)
	}
	if _, err := h.gate(filepath.Join(stick, "sallyport", "bundles", run.Shelf), h.site.Identity); err != nil {
		t.Error(err)
	}
	if n := count(h.events(), "mirror.bundle.created"); n != 1 {
		t.Errorf("%d bundles were created", n)
	}
}

func TestCancel(t *testing.T) {
	h := newHub(t, 8)
	h.close()
	reached, held := make(chan struct{}), make(chan struct{})
	h.fs = durable.WithHook(func(op durable.Op) durable.Verdict {
		if op.Path == "export.running" {
			close(reached)
			<-held
		}
		return durable.Do
	})
	h.open()
	h.fill(100)
	must(t, h.room.Start(t.Context()))
	id, err := h.room.Submit(t.Context(), export.Request{Tenant: tenant, Profile: "mirror:full", For: "site", Actor: "a"})
	must(t, err)
	waiting, err := h.room.Submit(t.Context(), export.Request{Tenant: tenant, Profile: "mirror:full", For: "site", Actor: "a"})
	must(t, err)
	<-reached
	must(t, h.room.Cancel(t.Context(), waiting, "b")) // still pending
	must(t, h.room.Cancel(t.Context(), id, "b"))
	close(held)
	for _, id := range []string{id, waiting} {
		run, err := h.room.Wait(t.Context(), id)
		if code.Of(err) != code.Cancelled || run.State != job.Cancelled || run.ErrorCode != "cancelled" || run.Shelf != "" {
			t.Errorf("%v, run %+v", err, run)
		}
		if err := h.room.Cancel(t.Context(), id, "b"); code.Of(err) != code.ExportConflict {
			t.Errorf("cancelled again: %v", err)
		}
	}
	if n := count(h.events(), "export.run.cancelled"); n != 2 {
		t.Errorf("%d cancelled events", n)
	}
}

func TestWatchSeesEveryEnd(t *testing.T) {
	h := newHub(t, 9)
	h.fill(100)
	id, err := h.room.Submit(t.Context(), export.Request{Tenant: tenant, Profile: "mirror:full", For: "site"})
	must(t, err)
	gone, stop := context.WithCancel(t.Context())
	left, err := h.room.Watch(gone, id)
	must(t, err)
	watch, err := h.room.Watch(t.Context(), id)
	must(t, err)
	if first := <-watch; first.State != job.Pending {
		t.Errorf("first state %s", first.State)
	}
	stop()
	for range left {
	}
	must(t, h.room.Start(t.Context()))
	var last export.Run
	for run := range watch {
		last = run
	}
	if last.State != job.Succeeded {
		t.Errorf("last state %s", last.State)
	}
	late, err := h.room.Watch(t.Context(), id)
	must(t, err)
	if run := <-late; run.State != job.Succeeded {
		t.Errorf("a late watcher sees %s", run.State)
	}
	if _, open := <-late; open {
		t.Error("the channel of a finished run stays open")
	}
	if _, err := h.room.Watch(t.Context(), "nothing"); code.Of(err) != code.ExportRun {
		t.Errorf("unknown run: %v", err)
	}
	all, err := h.room.List(t.Context(), export.Filter{Tenant: tenant, Status: "succeeded", Profile: "mirror:full"})
	if err != nil || len(all) != 1 {
		t.Errorf("list %v, %v", all, err)
	}
}

func TestDelivered(t *testing.T) {
	h := newHub(t, 10)
	h.fill(30)
	must(t, h.room.Start(t.Context()))
	run := h.mustRun(export.Request{For: "site"})
	receipt := func(change func(*bundle.Receipt)) *bundle.Receipt {
		r := &bundle.Receipt{Tenant: tenant, BundleID: run.BundleID, LabelID: run.LabelID, Decision: bundle.Activated}
		for _, f := range run.Feeds {
			r.Feeds = append(r.Feeds, bundle.ReceiptFeed{Feed: f.Ref.Name, Origin: f.Ref.Origin, Epoch: f.Epoch, After: f.Generation, StateRoot: f.Root})
		}
		change(r)
		return r
	}
	give := func(peer string, r *bundle.Receipt) (covers bool) {
		t.Helper()
		must(t, h.deps.State.Update(t.Context(), func(tx *state.Tx) (err error) {
			_, covers, err = export.Delivered(tx, peer, r, digest.Of([]byte("payload")), h.clock.Now())
			return err
		}))
		return covers
	}
	for name, tc := range map[string]struct {
		peer   string
		change func(*bundle.Receipt)
	}{
		"refused":        {"site", func(r *bundle.Receipt) { r.Decision = bundle.Refused }},
		"another root":   {"site", func(r *bundle.Receipt) { r.Feeds[1].StateRoot = digest.Of(nil) }},
		"a feed lacks":   {"site", func(r *bundle.Receipt) { r.Feeds = r.Feeds[:2] }},
		"another epoch":  {"site", func(r *bundle.Receipt) { r.Feeds[0].Epoch++ }},
		"another tenant": {"site", func(r *bundle.Receipt) { r.Tenant = "others" }},
		"someone else":   {"other", func(*bundle.Receipt) {}},
		"another bundle": {"site", func(r *bundle.Receipt) { r.BundleID = digest.Of(nil) }},
	} {
		if give(tc.peer, receipt(tc.change)) || h.stored(run.ID).Delivered() {
			t.Errorf("%s: delivered", name)
		}
	}
	if !give("site", receipt(func(*bundle.Receipt) {})) || !h.stored(run.ID).Delivered() {
		t.Error("the right receipt does not deliver")
	}
}

func TestOutbound(t *testing.T) {
	h := newHub(t, 11)
	must(t, h.room.Start(t.Context()))
	if _, err := h.room.Outbound(t.Context(), tenant, "site", h.path("shelf"), "test"); code.Of(err) != code.ExportInvalid || strings.Contains(err.Error(), "submit") {
		t.Errorf("a refusal speaks of what nobody asked for: %v", err)
	}
	stick := t.TempDir()
	run, err := h.room.Outbound(t.Context(), tenant, "site", stick, "test")
	must(t, err)
	if run.Name != "outbound-20260301-site-for-site" || run.Kind != "outbound" {
		t.Errorf("run %+v", run)
	}
	b, err := h.gate(filepath.Join(stick, "sallyport", "bundles", run.Shelf), h.site.Identity)
	must(t, err)
	var roles []string
	for _, c := range b.Manifest().Contents {
		roles = append(roles, c.Path+" "+c.Role)
	}
	want := []string{"outbound/inventory.json inventory", "outbound/receipts/R-0001.receipt.json receipt"}
	if !slices.Equal(roles, want) || len(b.Manifest().Feeds) != 0 {
		t.Errorf("contents %q", roles)
	}
	if count(h.events(), "mirror.bundle.created") != 0 || count(h.events(), "media.written") != 1 {
		t.Errorf("events %q", h.events())
	}
}

// TestBareFile: the payload alone, as a person may carry it, passes the gate too.
func TestBareFile(t *testing.T) {
	h := newHub(t, 12)
	h.fill(20)
	must(t, h.room.Start(t.Context()))
	run := h.mustRun(export.Request{For: "site"})
	o := verify.Options{Trust: verify.Trust{Roots: []*root.Trusted{h.trust}}, Now: h.clock.Now()}
	b, err := verify.Payload(t.Context(), bytes.NewReader(h.payload(run)), run.Name+".tar.zst", o)
	if err != nil || b.ID() != run.BundleID {
		t.Errorf("bare payload: %v", err)
	}
}
