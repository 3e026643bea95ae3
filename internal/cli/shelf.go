package cli

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

func (a *app) runRetryCmd() *cobra.Command {
	return command("retry RUN", "put a run that failed or was cancelled into the queue again", 1, func(args []string) error {
		r, err := call[wire.Run](a, "runs/retry", wire.RunRequest{ID: args[0]})
		if err != nil {
			return err
		}
		return a.show(r, func(w io.Writer) {
			fmt.Fprintf(w, "%s: %s\n", r.ID, r.State)
			a.say("Follow it: stella export run watch %s", r.ID)
		})
	})
}

func (a *app) runFilesCmd() *cobra.Command {
	return command("files RUN", "list the files of a finished bundle on the shelf", 1, func(args []string) error {
		s, err := call[wire.Shelf](a, "runs/files", wire.ShelfRequest{ID: args[0]})
		if err != nil {
			return err
		}
		return a.show(s, func(w io.Writer) {
			var rows [][]string
			for _, f := range s.Files {
				rows = append(rows, []string{f.Name, units.Size(f.Bytes), f.Digest})
			}
			table(w, "FILE SIZE DIGEST", rows)
		})
	})
}

func (a *app) exportDownloadCmd() *cobra.Command {
	var to string
	c := command("download RUN", "take the files of a finished bundle; repeated, it goes on where it was interrupted", 1, func(args []string) error {
		s, err := call[wire.Shelf](a, "runs/files", wire.ShelfRequest{ID: args[0]})
		if err != nil {
			return err
		}
		if err := os.MkdirAll(to, 0o755); err != nil {
			return code.Wrap(code.BadUsage, err, "download").In(to, "")
		}
		for _, f := range s.Files {
			if err := a.download(s.Run, f, to); err != nil {
				return err
			}
		}
		return a.show(s, func(w io.Writer) {
			fmt.Fprintf(w, "%s: %s in %s, each as it was signed.\n", clean(s.Name), units.Plural(int64(len(s.Files)), "file", "files"), clean(to))
		})
	})
	c.Flags().StringVar(&to, "output", ".", "directory to write to")
	return c
}

// download brings one file. What is there already and right is left; what was begun goes on in NAME.part, which gets its name
// only when every byte of it is as it was signed.
func (a *app) download(run string, f wire.ShelfFile, dir string) error {
	if f.Name != filepath.Base(f.Name) || f.Name == "." || f.Name == ".." {
		return code.New(code.Bug, "a file of a bundle is called %.80q", f.Name)
	}
	name := filepath.Join(dir, f.Name)
	if same, err := holds(name, f.Digest); err != nil || same {
		return err
	}
	part, err := os.OpenFile(name+".part", os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return code.Wrap(code.BadUsage, err, "download").In(name, "")
	}
	defer part.Close()
	begun, err := part.Stat()
	if err != nil {
		return fmt.Errorf("download %s: %w", name, err)
	}
	from := begun.Size()
	if from > f.Bytes {
		if err := part.Truncate(0); err != nil {
			return fmt.Errorf("download %s: %w", name, err)
		}
		from = 0
	}
	if from < f.Bytes {
		a.say("%s, %s", f.Name, units.Size(f.Bytes-from))
		if err := a.fetch("runs/"+run+"/files/"+f.Name, from, part); err != nil {
			return err
		}
	}
	same, err := holds(part.Name(), f.Digest)
	if err != nil {
		return err
	}
	if !same {
		os.Remove(part.Name())
		return code.New(code.EntryDigest, "what arrived is not what was signed").In(name, "").Want(f.Digest, "other bytes").Do("Run the same command again.")
	}
	return os.Rename(part.Name(), name)
}

func (a *app) fetch(path string, from int64, w io.Writer) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	return a.explain(c.Download(a.ctx, path, from, w))
}

// holds tells whether a file is there with this digest.
func holds(name, want string) (bool, error) {
	f, err := os.Open(name)
	if os.IsNotExist(err) {
		return false, nil
	}
	if err != nil {
		return false, code.Wrap(code.BadUsage, err, "download").In(name, "")
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return false, fmt.Errorf("read %s: %w", name, err)
	}
	return digest.Digest(h.Sum(nil)).String() == want, nil
}
