package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
)

const bundleDir = "mirror-20251029-full-0011aabb"

// shelf makes a folder of the shelf with two volumes of 2.5 chunks, sheets and label.
func shelf(t *testing.T) (string, Bundle) {
	t.Helper()
	dir := t.TempDir()
	b := Bundle{Dir: bundleDir}
	for i, name := range []string{"a.tar.zst.age.001", "a.tar.zst.age.002", "SHA256SUMS", "COVER.txt", "a.label.json"} {
		data := bytes.Repeat([]byte{byte('a' + i), 7}, chunk*5/4)
		if i > 1 {
			data = data[:100+i]
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		b.Files = append(b.Files, File{Name: name, Bytes: int64(len(data)), Digest: digest.Of(data)})
	}
	return dir, b
}

func open(t *testing.T, dir string) *Medium {
	t.Helper()
	m, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// whole reports what is wrong with the copy on a medium; nil means complete.
func whole(stick string, b Bundle) error {
	dir := filepath.Join(stick, Top, "bundles", b.Dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) != len(b.Files) {
		return fmt.Errorf("%d files, want %d: %v", len(entries), len(b.Files), entries)
	}
	for _, f := range b.Files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name))
		if err != nil {
			return err
		}
		if digest.Of(data) != f.Digest {
			return fmt.Errorf("%s has other bytes", f.Name)
		}
	}
	return nil
}

func labelled(stick string, b Bundle) bool {
	_, err := os.Stat(filepath.Join(stick, Top, "bundles", b.Dir, b.Files[len(b.Files)-1].Name))
	return err == nil
}

func TestCopyOrderAndRepeat(t *testing.T) {
	src, b := shelf(t)
	stick := t.TempDir()
	var steps []string
	dfs := durable.WithHook(func(op durable.Op) durable.Verdict {
		if op.Verb != "write" && op.Verb != "mkdir" {
			steps = append(steps, op.Verb+" "+filepath.Base(op.Path))
		}
		return durable.Do
	})
	got, err := open(t, stick).CopyBundle(t.Context(), dfs, src, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := whole(stick, b); err != nil {
		t.Fatal(err)
	}
	if got.Written != got.Bytes || got.Kept != 0 || got.Dir != "sallyport/bundles/"+bundleDir {
		t.Errorf("copied %+v", got)
	}
	trace := strings.Join(steps, "\n")
	base := filepath.Base(stick)
	want := []string{
		"sync a.tar.zst.age.001.partial", "rename a.tar.zst.age.001", "sync " + bundleDir,
		"sync COVER.txt.partial", "rename COVER.txt", "sync " + bundleDir, "sync " + base, "point export.copied",
		"sync a.label.json.partial", "rename a.label.json", "sync " + bundleDir, "sync " + base, "point export.labelled",
	}
	at := 0
	for _, step := range steps {
		if at < len(want) && step == want[at] {
			at++
		}
	}
	if at != len(want) {
		t.Errorf("step %q is missing or out of order in\n%s", want[at], trace)
	}
	steps = nil
	again, err := open(t, stick).CopyBundle(t.Context(), dfs, src, b, nil)
	if err != nil || again.Written != 0 || again.Kept != got.Bytes || len(steps) != 0 {
		t.Errorf("second copy: %+v, %v, steps %q", again, err, steps)
	}
}

// TestCopyFaults fails each durable step both ways: a label is never there before everything else is, and the next copy
// finishes the work.
func TestCopyFaults(t *testing.T) {
	src, b := shelf(t)
	for _, how := range []durable.Verdict{durable.Lose, durable.Keep} {
		for n := 0; ; n++ {
			stick, steps := t.TempDir(), 0
			dfs := durable.WithHook(func(op durable.Op) durable.Verdict {
				if op.Verb == "point" {
					return durable.Do
				}
				if steps++; steps-1 == n {
					return how
				}
				return durable.Do
			})
			_, err := open(t, stick).CopyBundle(t.Context(), dfs, src, b, nil)
			if err == nil {
				if steps > n {
					t.Fatalf("step %d failed and nobody noticed", n)
				}
				if n < 30 {
					t.Fatalf("only %d steps", n)
				}
				break
			}
			if !errors.Is(err, durable.ErrInjected) || code.Has(err, code.FsyncFailed) || code.Of(err) == code.Bug {
				t.Fatalf("step %d: %v (%s)", n, err, code.Of(err))
			}
			if labelled(stick, b) {
				if err := whole(stick, b); err != nil {
					t.Fatalf("step %d: labelled, but %v", n, err)
				}
			}
			if _, err := open(t, stick).CopyBundle(t.Context(), durable.FS{}, src, b, nil); err != nil {
				t.Fatalf("step %d: resume: %v", n, err)
			}
			if err := whole(stick, b); err != nil {
				t.Fatalf("step %d: after resume: %v", n, err)
			}
		}
	}
}

func TestCopyResumesAtFirstByteNotVerified(t *testing.T) {
	src, b := shelf(t)
	stick := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := open(t, stick).CopyBundle(ctx, durable.FS{}, src, b, func(step string, done, _ int64) {
		if step == "write" && done == 2*chunk {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled copy: %v", err)
	}
	part := filepath.Join(stick, Top, "bundles", b.Dir, b.Files[0].Name+partial)
	data, err := os.ReadFile(part)
	if err != nil || len(data) != 2*chunk {
		t.Fatalf("partial: %d bytes, %v", len(data), err)
	}
	data[chunk+5] ^= 1
	if err := os.WriteFile(part, data, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := open(t, stick).CopyBundle(t.Context(), durable.FS{}, src, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Kept != chunk+5 || got.Written != got.Bytes-chunk-5 {
		t.Errorf("resume: %+v", got)
	}
	if err := whole(stick, b); err != nil {
		t.Error(err)
	}
}

func TestCopyMendsDamageUnderALabel(t *testing.T) {
	src, b := shelf(t)
	stick := t.TempDir()
	if _, err := open(t, stick).CopyBundle(t.Context(), durable.FS{}, src, b, nil); err != nil {
		t.Fatal(err)
	}
	vol := filepath.Join(stick, Top, "bundles", b.Dir, b.Files[1].Name)
	data, _ := os.ReadFile(vol)
	data[10] ^= 0x80
	if err := os.WriteFile(vol, data, 0o600); err != nil {
		t.Fatal(err)
	}
	seen := false
	dfs := durable.WithHook(func(op durable.Op) durable.Verdict {
		if op.Verb == "write" && strings.Contains(op.Path, ".002") {
			seen = true
			if labelled(stick, b) {
				t.Error("the label stands while a volume is rewritten")
			}
		}
		return durable.Do
	})
	got, err := open(t, stick).CopyBundle(t.Context(), dfs, src, b, nil)
	if err != nil || !seen || got.Written != b.Files[1].Bytes-10+b.Files[4].Bytes {
		t.Errorf("mended: %+v, %v", got, err)
	}
	if err := whole(stick, b); err != nil {
		t.Error(err)
	}
}

func TestCopyRefusals(t *testing.T) {
	for _, tc := range []struct {
		name string
		want code.Code
		do   func(t *testing.T, src, stick string, b *Bundle) durable.FS
	}{
		{"shelf rot", code.StoreCorrupt, func(t *testing.T, src, _ string, b *Bundle) durable.FS {
			f, err := os.OpenFile(filepath.Join(src, b.Files[1].Name), os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			f.WriteAt([]byte("x"), chunk+9)
			return durable.FS{}
		}},
		{"shelf short", code.StoreCorrupt, func(t *testing.T, src, _ string, b *Bundle) durable.FS {
			os.Truncate(filepath.Join(src, b.Files[0].Name), chunk)
			return durable.FS{}
		}},
		{"other bytes come back", code.ReadBack, func(t *testing.T, _, stick string, b *Bundle) durable.FS {
			return durable.WithHook(func(op durable.Op) durable.Verdict {
				if op.Verb == "sync" && op.Path == stick {
					f, err := os.OpenFile(filepath.Join(stick, Top, "bundles", b.Dir, b.Files[0].Name), os.O_WRONLY, 0)
					if err == nil {
						f.WriteAt([]byte("x"), 9)
						f.Close()
					}
				}
				return durable.Do
			})
		}},
		{"pulled", code.MediumGone, func(t *testing.T, _, stick string, b *Bundle) durable.FS {
			return durable.WithHook(func(op durable.Op) durable.Verdict {
				if op.Verb == "rename" && strings.HasSuffix(op.Path, "COVER.txt") {
					os.Rename(stick, stick+".gone")
				}
				return durable.Do
			})
		}},
		{"folder is a link", code.MediumName, func(t *testing.T, _, stick string, b *Bundle) durable.FS {
			os.Symlink(t.TempDir(), filepath.Join(stick, Top))
			return durable.FS{}
		}},
		{"folder is a link inside", code.MediumName, func(t *testing.T, _, stick string, b *Bundle) durable.FS {
			os.Mkdir(filepath.Join(stick, "x"), 0o755)
			os.Symlink("x", filepath.Join(stick, Top))
			return durable.FS{}
		}},
		{"partial is a link", code.MediumName, func(t *testing.T, src, stick string, b *Bundle) durable.FS {
			dir := filepath.Join(stick, Top, "bundles", b.Dir)
			os.MkdirAll(dir, 0o755)
			os.Symlink(filepath.Join(src, b.Files[0].Name), filepath.Join(dir, b.Files[0].Name+partial))
			return durable.FS{}
		}},
		{"a bad name", code.MediumName, func(t *testing.T, _, _ string, b *Bundle) durable.FS {
			b.Files[0].Name = "../a"
			return durable.FS{}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			src, b := shelf(t)
			stick := t.TempDir()
			dfs := tc.do(t, src, stick, &b)
			_, err := open(t, stick).CopyBundle(t.Context(), dfs, src, b, nil)
			if !code.Has(err, tc.want) || code.Of(err) != tc.want {
				t.Fatalf("got %v (%s), want %s", err, code.Of(err), tc.want)
			}
			if labelled(stick, b) {
				t.Error("labelled")
			}
		})
	}
}
