package upload

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mix "math/rand/v2"
	"mime/multipart"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"

	"sallyport/internal/cas"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var anna = Owner{Tenant: "acme", By: "anna"}

type world struct {
	*Room
	t     *testing.T
	dir   string
	clock *clock.Fixed
	fs    durable.FS
	store *cas.Store
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), clock: clock.NewFixed(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC))}
	if err := cas.Create(filepath.Join(w.dir, "cas"), durable.FS{}, "i"); err != nil {
		t.Fatal(err)
	}
	w.open()
	return w
}

// open is a start of the daemon.
func (w *world) open() {
	w.t.Helper()
	var err error
	if w.store, err = cas.Open(filepath.Join(w.dir, "cas"), durable.FS{}, "i"); err != nil {
		w.t.Fatal(err)
	}
	w.Room = New(Deps{
		DataDir: w.dir, FS: w.fs, Clock: w.clock, Random: rand.Reader, Log: slog.New(slog.DiscardHandler), Now: w.clock.Now,
		Reserve: w.store.Reserve, Quota: 64 << 20, Fatal: func(error) {},
	})
	if err := w.Open(); err != nil {
		w.t.Fatal(err)
	}
}

// sent is one file of a sender.
type sent struct {
	name string
	body []byte
}

const dirName = "mirror-20261121-full-1a2b3c4d"

// chosen is what a browser gives of the folder of a bundle, litter and all.
func chosen(volume int) []sent {
	at := "stick/sallyport/bundles/" + dirName + "/"
	body := make([]byte, volume)
	for i := range body {
		body[i] = byte(i * 7 >> 3)
	}
	return []sent{
		{at + "mirror-20261121-full.label.json", []byte(`{"label":1}`)},
		{at + "mirror-20261121-full.tar.zst.age", body},
		{at + "SHA256SUMS", []byte("sums\n")},
		{at + "COVER.txt", []byte("cover\n")},
		{at + "Thumbs.db", []byte("litter")},
		{at + "._COVER.txt", []byte("mac")},
		{"stick/sallyport/cards/hub.card.json", []byte(`{"card":1}`)},
	}
}

func (w *world) begin(files []sent, chunk int64) wire.Upload {
	w.t.Helper()
	q := wire.UploadRequest{ChunkBytes: chunk}
	for _, f := range files {
		q.Files = append(q.Files, wire.UploadFile{Name: f.name, Size: int64(len(f.body))})
	}
	u, err := w.Begin(w.t.Context(), anna, q)
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

// piece is the bytes of one chunk.
func piece(u wire.Upload, files []sent, index int64) []byte {
	for _, f := range u.Files {
		if k := index - f.First; k >= 0 && k < f.Chunks {
			return files[f.N].body[k*u.ChunkBytes : min(f.Size, (k+1)*u.ChunkBytes)]
		}
	}
	return nil
}

func (w *world) send(u wire.Upload, files []sent, index int64) wire.Upload {
	w.t.Helper()
	got, err := w.Chunk(w.t.Context(), "acme", u.ID, index, bytes.NewReader(piece(u, files, index)))
	if err != nil {
		w.t.Fatalf("chunk %d: %v", index, err)
	}
	return got
}

// whole checks that the medium of an upload has the files and nothing else.
func whole(t *testing.T, u wire.Upload, files []sent) {
	t.Helper()
	want := map[string][]byte{}
	for _, f := range files {
		base := filepath.Base(f.name)
		switch {
		case base == "Thumbs.db" || strings.HasPrefix(base, "._"):
		case strings.HasSuffix(base, ".card.json"):
			want["sallyport/cards/"+base] = f.body
		default:
			want["sallyport/bundles/"+dirName+"/"+base] = f.body
		}
	}
	err := filepath.WalkDir(u.Path, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(u.Path, path)
		b, err := os.ReadFile(path)
		if !bytes.Equal(b, want[rel]) || want[rel] == nil {
			t.Errorf("%s: %d bytes, want %d", rel, len(b), len(want[rel]))
		}
		delete(want, rel)
		return err
	})
	if err != nil || len(want) > 0 {
		t.Errorf("%v, missing %d", err, len(want))
	}
}

// Chunks come in any order, some twice, over restarts of the daemon; the upload becomes a medium.
func TestUpload(t *testing.T) {
	w := newWorld(t)
	files := chosen(5*minChunk + 1)
	u := w.begin(files, 1)
	if u.ChunkBytes != minChunk || u.Chunks != 4+6 || u.State != stateOpen || u.Have != "" || !u.Files[4].Ignored || !u.Files[5].Ignored || u.Files[5].Chunks != 0 {
		t.Fatalf("%+v", u)
	}
	for _, index := range []int64{3, 9, 3, 0, 1, 8} {
		w.send(u, files, index)
	}
	if again := w.begin(files, 1); again.ID != u.ID || again.Have != "0-1,3,8-9" || again.Bytes != int64(11+3*minChunk)+int64(len("cover\n"))+int64(len(`{"card":1}`)) && again.Bytes <= 0 {
		t.Errorf("begun again: %+v", again)
	}
	_, err := w.Complete(t.Context(), "acme", u.ID, nil)
	if code.Of(err) != code.UploadIncomplete || !strings.Contains(err.Error(), "chunks 2,4-7") {
		t.Errorf("complete with a gap: %v", err)
	}
	w.open()
	for index := range u.Chunks {
		w.send(u, files, index)
	}
	done, err := w.Complete(t.Context(), "acme", u.ID, map[string]string{files[1].name: digest.Of(files[1].body).String()})
	if err != nil || done.State != stateComplete || done.Files[1].Digest != digest.Of(files[1].body).String() {
		t.Fatalf("%v %+v", err, done)
	}
	whole(t, done, files)
	w.open()
	again, err := w.Complete(t.Context(), "acme", u.ID, nil)
	if err != nil || again.Path != done.Path || again.Have != "0-9" {
		t.Errorf("%v %+v", err, again)
	}
	w.send(u, files, 4) // the same bytes again
	if _, err := w.Chunk(t.Context(), "acme", u.ID, 4, bytes.NewReader(make([]byte, minChunk))); code.Of(err) != code.UploadChunk {
		t.Errorf("other bytes after the end: %v", err)
	}
	whole(t, done, files)
	if next := w.begin(files, 1); next.ID == u.ID {
		t.Error("a complete upload is begun again")
	}
}

// Every way in which a sender can contradict itself is refused and changes nothing.
func TestHostileChunks(t *testing.T) {
	w := newWorld(t)
	files := chosen(2 * minChunk)
	u := w.begin(files, 1)
	good := piece(u, files, 1)
	other := bytes.Clone(good)
	other[len(other)-1] ^= 1
	w.send(u, files, 1)
	for what, c := range map[string]struct {
		index int64
		body  io.Reader
		want  code.Code
	}{
		"other bytes":      {1, bytes.NewReader(other), code.UploadChunk},
		"overlap":          {2, bytes.NewReader(append(bytes.Clone(good), 0)), code.UploadForm},
		"gap":              {2, bytes.NewReader(good[1:]), code.UploadForm},
		"empty":            {2, bytes.NewReader(nil), code.UploadForm},
		"known, longer":    {1, bytes.NewReader(append(bytes.Clone(good), 0)), code.UploadForm},
		"known, shorter":   {1, bytes.NewReader(good[1:]), code.UploadForm},
		"index -1":         {-1, bytes.NewReader(good), code.UploadForm},
		"index 2^31":       {1 << 31, bytes.NewReader(good), code.UploadForm},
		"one past the end": {u.Chunks, bytes.NewReader(good), code.UploadForm},
		"smallest index":   {-1 << 63, bytes.NewReader(good), code.UploadForm},
		"sender gone":      {2, io.MultiReader(bytes.NewReader(good[:9]), iotest.ErrReader(io.ErrUnexpectedEOF)), code.Interrupted},
		"gone at the end":  {2, io.MultiReader(bytes.NewReader(good), iotest.ErrReader(io.ErrUnexpectedEOF)), code.Interrupted},
	} {
		if _, err := w.Chunk(t.Context(), "acme", u.ID, c.index, c.body); code.Of(err) != c.want {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := w.Check("acme", u.ID, u.Chunks+1); code.Of(err) != code.UploadForm {
		t.Errorf("a total that lies: %v", err)
	}
	if got, err := w.Show("acme", u.ID); err != nil || got.Have != "1" || got.Bytes != minChunk {
		t.Errorf("%v %+v", err, got)
	}
	for what, err := range map[string]error{
		"show":     second(w.Show("other", u.ID)),
		"chunk":    second(w.Chunk(t.Context(), "other", u.ID, 1, bytes.NewReader(good))),
		"complete": second(w.Complete(t.Context(), "other", u.ID, nil)),
		"remove":   w.Remove(t.Context(), "other", u.ID),
		"check":    w.Check("other", u.ID, 0),
		"none":     second(w.Show("acme", "01")),
	} {
		if code.Of(err) != code.Missing {
			t.Errorf("another tenant's upload, %s: %v", what, err)
		}
	}
	if list := w.List("other"); len(list.Uploads) != 0 || list.Used != 0 {
		t.Errorf("%+v", list)
	}
	for index := range u.Chunks {
		w.send(u, files, index)
	}
	for what, said := range map[string]map[string]string{
		"other digest": {files[1].name: digest.Of(other).String()},
		"no digest":    {files[1].name: "md5:00"},
	} {
		want := code.UploadDigest
		if what == "no digest" {
			want = code.UploadForm
		}
		if _, err := w.Complete(t.Context(), "acme", u.ID, said); code.Of(err) != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	done, err := w.Complete(t.Context(), "acme", u.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	whole(t, done, files)
}

func second[T any](_ T, err error) error { return err }

func TestHostilePlans(t *testing.T) {
	w := newWorld(t)
	label := "a-20261121-full.label.json"
	one := func(name string, size int64) wire.UploadRequest {
		return wire.UploadRequest{Files: []wire.UploadFile{{Name: name, Size: size}}}
	}
	many := wire.UploadRequest{}
	for i := range maxFiles + 1 {
		many.Files = append(many.Files, wire.UploadFile{Name: fmt.Sprint(i, ".card.json"), Size: 1})
	}
	for what, c := range map[string]struct {
		q    wire.UploadRequest
		want code.Code
	}{
		"nothing":        {wire.UploadRequest{}, code.MediumName},
		"leads out":      {one("../"+label, 1), code.MediumName},
		"absolute":       {one("/etc/"+label, 1), code.MediumName},
		"dots within":    {one("a/../../"+label, 1), code.MediumName},
		"backslash":      {one(`a\`+label, 1), code.MediumName},
		"NUL":            {one("a\x00"+label, 1), code.MediumName},
		"newline":        {one("a\n"+label, 1), code.MediumName},
		"long":           {one(strings.Repeat("a/", 600)+label, 1), code.MediumName},
		"deep":           {one(strings.Repeat("a/", 16)+label, 1), code.MediumName},
		"no bundle":      {one("holiday.jpg", 1), code.MediumEmpty},
		"right to left":  {one("\u202e"+label, 1), code.MediumEmpty},
		"Kelvin":         {one("\u212a.label.json", 1), code.MediumEmpty},
		"empty file":     {one(label, 0), code.UploadForm},
		"negative":       {one(label, -1), code.UploadForm},
		"overflow":       {wire.UploadRequest{Files: []wire.UploadFile{{Name: label, Size: 1<<63 - 1}, {Name: "hub.card.json", Size: 1}}}, code.UploadForm},
		"bad digest":     {wire.UploadRequest{Name: label, Size: 1, Digest: "sha256:AB"}, code.UploadForm},
		"over the quota": {one(label, 64<<20+1), code.UploadQuota},
		"too many files": {many, code.UploadForm},
		"twice":          {wire.UploadRequest{Files: []wire.UploadFile{{Name: label, Size: 1}, {Name: strings.ToUpper(label), Size: 1}}}, code.MediumName},
	} {
		if _, err := w.Begin(t.Context(), anna, c.q); code.Of(err) != c.want {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := w.Begin(t.Context(), Owner{Tenant: "../x", By: "eve"}, one(label, 1)); code.Of(err) != code.BadUsage {
		t.Errorf("tenant: %v", err)
	}
	if entries, err := os.ReadDir(w.Dir()); err != nil || len(entries) != 0 {
		t.Errorf("%v: %d folders of refused uploads", err, len(entries))
	}
	// the quota counts what is there, per tenant, and gives it back
	u, err := w.Begin(t.Context(), anna, one(label, 40<<20))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Begin(t.Context(), anna, one("b-20261121-full.label.json", 40<<20)); code.Of(err) != code.UploadQuota {
		t.Errorf("second over the quota: %v", err)
	}
	if _, err := w.Begin(t.Context(), Owner{Tenant: "globex", By: "anna"}, one(label, 40<<20)); err != nil {
		t.Errorf("another tenant's quota: %v", err)
	}
	if err := w.Remove(t.Context(), "acme", u.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Begin(t.Context(), anna, one("b-20261121-full.label.json", 40<<20)); err != nil {
		t.Errorf("after a removal: %v", err)
	}
	w.store.SetReserve(1 << 62)
	if _, err := w.Begin(t.Context(), anna, one(label, 1)); code.Of(err) != code.NoSpace {
		t.Errorf("a disk that must stay free: %v", err)
	}
}

func TestPlaces(t *testing.T) {
	for _, c := range []struct{ names, want []string }{
		{
			[]string{"a-1.label.json", "a-1.tar.zst", "SHA256SUMS", "x.exe"},
			[]string{"bundles/a-1/a-1.label.json", "bundles/a-1/a-1.tar.zst", "bundles/a-1/SHA256SUMS", ""},
		},
		{ // two bundles chosen out of their folders: whose sums these are cannot be told
			[]string{"a-1.label.json", "b-1.label.json", "SHA256SUMS", "b-1.tar.zst.001"},
			[]string{"bundles/a-1/a-1.label.json", "bundles/b-1/b-1.label.json", "", "bundles/b-1/b-1.tar.zst.001"},
		},
		{ // two copies of one name in two folders
			[]string{"x/a-1-11/a-1.label.json", "y/a-1-11/a-1.label.json", "y/a-1-11/COVER.txt", "z/a-1.label.json"},
			[]string{"bundles/a-1-11/a-1.label.json", "bundles/a-1-11-2/a-1.label.json", "bundles/a-1-11-2/COVER.txt", "bundles/a-1/a-1.label.json"},
		},
		{
			[]string{"hub.card.json", "ab.2.root.json", "r-1.receipt.json", "sallyport/pub/hub/k.pub", ".hidden.label.json"},
			[]string{"cards/hub.card.json", "roots/ab.2.root.json", "papers/r-1.receipt.json", "", ""},
		},
	} {
		got, err := place(c.names)
		for i := range got {
			got[i] = strings.TrimPrefix(got[i], "sallyport/")
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, %v", c.names, got, err)
		}
	}
}

// form writes files as a browser without script does.
func form(t *testing.T, files []sent) (*multipart.Reader, int64) {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	if err := m.WriteField("note", "hello"); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		h := textproto.MIMEHeader{}
		h.Set("Content-Disposition", fmt.Sprintf(`form-data; name="file"; filename="%s"`, f.name))
		h.Set("Content-Type", "application/octet-stream")
		p, err := m.CreatePart(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(f.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	n := int64(b.Len())
	return multipart.NewReader(&b, m.Boundary()), n
}

func TestForm(t *testing.T) {
	w := newWorld(t)
	files := chosen(300_000)
	parts, n := form(t, files)
	u, err := w.Form(t.Context(), anna, n, parts)
	if err != nil || u.State != stateComplete || u.Files[1].Digest != digest.Of(files[1].body).String() {
		t.Fatalf("%v %+v", err, u)
	}
	whole(t, u, files)
	w.open()
	if got, err := w.Show("acme", u.ID); err != nil || got.Path != u.Path || got.Bytes != u.Bytes {
		t.Errorf("%v %+v", err, got)
	}
	before := len(w.List("acme").Uploads)
	cut := func(at int) *multipart.Reader {
		var b bytes.Buffer
		m := multipart.NewWriter(&b)
		p, err := m.CreateFormFile("file", files[1].name)
		if err != nil {
			t.Fatal(err)
		}
		p.Write(files[1].body[:at])
		return multipart.NewReader(io.MultiReader(&b, iotest.ErrReader(io.ErrUnexpectedEOF)), m.Boundary())
	}
	empty, m := form(t, []sent{{"", nil}})
	hostile, h := form(t, []sent{{"../../x.label.json", []byte("x")}})
	long, _ := form(t, files)
	for what, c := range map[string]struct {
		n     int64
		parts *multipart.Reader
		want  code.Code
	}{
		"breaks off":     {1 << 20, cut(1000), code.Interrupted},
		"nothing chosen": {m, empty, code.MediumEmpty},
		"hostile name":   {h, hostile, code.MediumName},
		"longer":         {1000, long, code.UploadForm},
		"no length":      {-1, long, code.UploadForm},
		"over the quota": {1 << 40, long, code.UploadQuota},
	} {
		if _, err := w.Form(t.Context(), anna, c.n, c.parts); code.Of(err) != c.want {
			t.Errorf("%s: %v", what, err)
		}
	}
	entries, err := os.ReadDir(w.Dir())
	if err != nil || len(entries) != before || len(w.List("acme").Uploads) != before {
		t.Errorf("%v: %d folders, want %d", err, len(entries), before)
	}
}

// What nobody touches for three days goes; what is used, or a leap of the clock, is left alone.
func TestSweep(t *testing.T) {
	w := newWorld(t)
	files := chosen(1000)
	u := w.begin(files, 0)
	sweep := func(want int, why string) {
		t.Helper()
		if n, err := w.Sweep(); n != want || err != nil {
			t.Errorf("%s: %d removed, %v", why, n, err)
		}
	}
	w.clock.Advance(71 * time.Hour)
	sweep(0, "after 71 hours")
	w.send(u, files, 0)
	w.clock.Advance(71 * time.Hour)
	sweep(0, "71 hours after a chunk")
	w.open()
	w.clock.Set(w.clock.Now().Add(1000 * time.Hour))
	sweep(0, "a clock that was put right")
	w.clock.Advance(atLeast)
	free := w.Hold(filepath.Join(w.Dir(), u.ID, "medium"))
	sweep(0, "while it is imported")
	if err := w.Remove(t.Context(), "acme", u.ID); code.Of(err) != code.Conflict {
		t.Errorf("removed in use: %v", err)
	}
	free()
	sweep(0, "just let go")
	w.clock.Advance(keepFor)
	sweep(1, "at last")
	if entries, err := os.ReadDir(w.Dir()); err != nil || len(entries) != 0 {
		t.Errorf("%v: %d folders left", err, len(entries))
	}
	w.Hold("/somewhere/else")()
	w.Hold(filepath.Join(w.Dir(), u.ID, "medium"))()
}

// Many chunks at once, the same ones from two tabs: each is written once.
func TestConcurrent(t *testing.T) {
	w := newWorld(t)
	files := chosen(20 * minChunk)
	u := w.begin(files, 1)
	var all sync.WaitGroup
	for range 2 {
		for index := range u.Chunks {
			all.Go(func() {
				if _, err := w.Chunk(context.Background(), "acme", u.ID, index, bytes.NewReader(piece(u, files, index))); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	b, err := os.ReadFile(filepath.Join(w.Dir(), u.ID, "have"))
	if err != nil || strings.Count(string(b), "\n") != int(u.Chunks) {
		t.Errorf("%v: %d notes of %d chunks", err, strings.Count(string(b), "\n"), u.Chunks)
	}
	done, err := w.Complete(t.Context(), "acme", u.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	whole(t, done, files)
}

// A chunk that rots on the disk between its sync and the end is asked for again.
func TestRot(t *testing.T) {
	w := newWorld(t)
	files := chosen(3 * minChunk)
	u := w.begin(files, 1)
	for index := range u.Chunks {
		w.send(u, files, index)
	}
	f, err := os.OpenFile(filepath.Join(w.Dir(), u.ID, "data", "1"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{0xff, 0xfe}, minChunk+5); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := w.Complete(t.Context(), "acme", u.ID, nil); code.Of(err) != code.UploadIncomplete || !strings.Contains(err.Error(), "chunks 2") {
		t.Errorf("%v", err)
	}
	w.open()
	if got, err := w.Show("acme", u.ID); err != nil || got.Have != "0-1,3-6" {
		t.Errorf("%v %+v", err, got)
	}
	w.send(u, files, 2)
	done, err := w.Complete(t.Context(), "acme", u.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	whole(t, done, files)
}

// A line of notes that was being written when the power went costs its chunk, nothing else.
func TestTornNotes(t *testing.T) {
	for cut := 1; cut < 40; cut += 7 {
		w := newWorld(t)
		files := chosen(2 * minChunk)
		u := w.begin(files, 1)
		for index := range u.Chunks {
			w.send(u, files, index)
		}
		notes := filepath.Join(w.Dir(), u.ID, "have")
		b, err := os.ReadFile(notes)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(notes, b[:len(b)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		w.open()
		got, err := w.Show("acme", u.ID)
		if err != nil || got.Have != fmt.Sprintf("0-%d", u.Chunks-2) {
			t.Errorf("cut by %d: %v, have %s", cut, err, got.Have)
		}
		for index := range u.Chunks {
			w.send(u, files, index)
		}
		done, err := w.Complete(t.Context(), "acme", u.ID, nil)
		if err != nil {
			t.Fatalf("cut by %d: %v", cut, err)
		}
		w.open()
		whole(t, done, files)
	}
}

// TestFaults fails each durable step of an upload, lost and kept, alone and with everything after it; the sender then repeats.
func TestFaults(t *testing.T) {
	files := chosen(2*minChunk + 1)
	run := func(at int, verdict durable.Verdict, dead bool) (steps int) {
		w := newWorld(t)
		name := ""
		var mu sync.Mutex
		w.fs = durable.WithHook(func(op durable.Op) durable.Verdict {
			if op.Verb == "point" {
				return durable.Do
			}
			mu.Lock()
			defer mu.Unlock()
			steps++
			switch {
			case steps == at:
				name = op.Verb + " " + filepath.Base(op.Path)
				return verdict
			case at > 0 && dead && steps > at:
				return durable.Lose
			}
			return durable.Do
		})
		w.open()
		u, told := w.life(files)
		w.fs = durable.FS{}
		w.open()
		what := fmt.Sprintf("step %d (%s), verdict %d, dead %v", at, name, verdict, dead)
		if told {
			got, err := w.Show("acme", u.ID)
			if err != nil || got.State != stateComplete {
				t.Errorf("%s: told complete, then %v %+v", what, err, got)
			}
			whole(t, got, files)
			return steps
		}
		u, told = w.life(files)
		if !told {
			t.Errorf("%s: cannot be repeated", what)
			return steps
		}
		whole(t, u, files)
		open := slices.DeleteFunc(w.List("acme").Uploads, func(u wire.Upload) bool { return u.State == stateComplete })
		if len(open) > 0 {
			t.Errorf("%s: %d uploads are left open", what, len(open))
		}
		return steps
	}
	total := run(0, durable.Do, false)
	t.Logf("%d durable steps", total)
	if total < 30 {
		t.Errorf("only %d durable steps", total)
	}
	var all []func()
	for at := 1; at <= total; at++ {
		for _, dead := range []bool{false, true} {
			all = append(all, func() { run(at, durable.Lose, dead) }, func() { run(at, durable.Keep, dead) })
		}
	}
	if os.Getenv("SALLYPORT_CRASH") != "all" { // a seeded share
		mix.New(mix.NewPCG(7, 7)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:min(40, len(all))]
	}
	for _, one := range all {
		one()
	}
}

// life sends everything once, as far as it goes.
func (w *world) life(files []sent) (u wire.Upload, told bool) {
	q := wire.UploadRequest{ChunkBytes: minChunk}
	for _, f := range files {
		q.Files = append(q.Files, wire.UploadFile{Name: f.name, Size: int64(len(f.body))})
	}
	ctx := context.Background()
	u, err := w.Begin(ctx, anna, q)
	if err != nil {
		return u, false
	}
	for index := range u.Chunks {
		_, cerr := w.Chunk(ctx, "acme", u.ID, index, bytes.NewReader(piece(u, files, index)))
		err = errors.Join(err, cerr)
	}
	if err != nil {
		return u, false
	}
	u, err = w.Complete(ctx, "acme", u.ID, nil)
	return u, err == nil
}
