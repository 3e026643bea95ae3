package bench

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sallyport/internal/digest"
	"sallyport/internal/layer"
	"sallyport/internal/pack"
	"sallyport/internal/seal"
)

// Step does one thing alone, in a process of its own, so that what it costs is what the system says that process cost.
//
//	zip OUT N [EVERY]        make an OSV dump          mixed DIR BYTES   make mixed files
//	squeeze DIR GENERATION   pack again what the load of that generation had to pack, prints nanoseconds, frames and all frames
//	hash FILE…               SHA-256 of each           pack FILE…        outer zstd stream of all, thrown away
//	seal RECIPIENT FILE      age, thrown away          unseal KEY FILE   and back
//	blobs DIR BYTES          make a content store      scrub DIR         prove every blob of it
//	commits DIR ours|plain N small commits of many writers, N of each
//	inflate FILE             outer zstd stream         lines DIR OUT     the lines of all layers below DIR, prints packed bytes
func Step(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("step: %q", args)
	}
	switch name, args := args[0], args[1:]; name {
	case "zip":
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		every := 0
		if len(args) > 2 {
			every, err = strconv.Atoi(args[2])
		}
		if err != nil {
			return err
		}
		return zipOf(args[0], n, every)
	case "mixed":
		n, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return err
		}
		return mixedFiles(args[0], n)
	case "hash":
		return each(args, func(f io.Reader) error {
			_, err := io.CopyBuffer(digest.NewWriter(nil), plain{f}, make([]byte, 1<<20))
			return err
		})
	case "pack":
		w := pack.NewOuterWriter(io.Discard, 2)
		if err := each(args, func(f io.Reader) error { _, err := io.CopyBuffer(bare{w}, plain{f}, make([]byte, 1<<20)); return err }); err != nil {
			return err
		}
		return w.Close()
	case "seal":
		return each(args[1:], func(f io.Reader) error { return sealed(args[0], f) })
	case "unseal":
		return each(args[1:], func(f io.Reader) error { return unsealed(args[0], f) })
	case "inflate":
		return each(args, func(f io.Reader) error {
			z := pack.NewReader(f)
			defer z.Close()
			_, err := io.Copy(io.Discard, z)
			return err
		})
	case "lines":
		return linesOf(args[0], args[1])
	case "scrub":
		return scrubbed(args[0])
	case "blobs", "commits":
		n, err := strconv.ParseInt(args[len(args)-1], 10, 64)
		if err != nil {
			return err
		}
		if name == "blobs" {
			return blobsOf(args[0], n)
		}
		return committed(args[0], args[1], int(n))
	case "squeeze":
		return squeeze(args[0], args[1])
	}
	return fmt.Errorf("step: %q", args)
}

// plain and bare hide the shortcuts of io.Copy.
type (
	plain struct{ io.Reader }
	bare  struct{ io.Writer }
)

func each(files []string, fn func(io.Reader) error) error {
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		err = fn(f)
		f.Close()
		if err != nil {
			return fmt.Errorf("step on %s: %w", name, err)
		}
	}
	return nil
}

func sealed(recipient string, f io.Reader) error {
	r, err := seal.ParseRecipient(recipient)
	if err != nil {
		return err
	}
	w, err := seal.Encrypt(io.Discard, r)
	if err != nil {
		return err
	}
	if _, err := io.CopyBuffer(bare{w}, plain{f}, make([]byte, 1<<20)); err != nil {
		return err
	}
	return w.Close()
}

func unsealed(key string, f io.Reader) error {
	b, err := os.ReadFile(key)
	if err != nil {
		return err
	}
	ids, err := seal.ParseIdentities(b)
	if err != nil {
		return err
	}
	r, err := seal.Decrypt(bufio.NewReaderSize(f, 1<<20), ids...)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(bare{io.Discard}, plain{r}, make([]byte, 1<<20))
	return err
}

// linesOf inflates every shard that the layers of a data directory name, into one file.
func linesOf(dir, out string) error {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	var packed int64
	err = filepath.WalkDir(filepath.Join(dir, "layers"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".layer" {
			return err
		}
		l, err := layer.Open(path)
		if err != nil {
			return err
		}
		defer l.Close()
		for _, s := range l.Meta().Shards {
			hex := strings.TrimPrefix(s.Digest.String(), "sha256:")
			packed += s.Bytes
			err := each([]string{filepath.Join(dir, "cas", "sha256", hex[:2], hex)}, func(f io.Reader) error {
				z := pack.NewReader(f)
				defer z.Close()
				_, err := io.Copy(w, z)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Println(packed)
	return w.Flush()
}

// step runs Step in a process of its own.
func (l *lab) step(args ...string) (Cost, []byte, error) {
	all := append(append([]string{}, l.Self...), args...)
	return l.run(all[0], all[1:]...)
}

// stage measures one stage alone, rounds times.
func (l *lab) stage(args ...string) (Cost, error) {
	var costs []Cost
	for range l.Rounds {
		c, _, err := l.step(args...)
		if err != nil {
			return c, err
		}
		costs = append(costs, c)
	}
	return median(costs), nil
}
