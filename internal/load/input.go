package load

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/record"
)

// formatLines is a file with one JSON document a line; it is told by its name.
const formatLines = "json-lines"

// input is one file of the request, opened, hashed and told by its format.
type input struct {
	path    string // as the caller wrote it
	f       *os.File
	size    int64
	digest  digest.Digest
	format  string
	kind    string // "" when the document decides
	archive *archive
	inflate int64 // bytes of all members inflated
}

// open opens all files before the first is read, so that a wrong name changes nothing. It returns what it opened, also on an error.
func (op *operation) open() (inputs []*input, err error) {
	for _, path := range op.req.Files {
		in, err := op.openOne(path)
		if in != nil {
			inputs = append(inputs, in)
		}
		if err != nil {
			return inputs, fmt.Errorf("file %q: %w", path, err)
		}
	}
	return inputs, nil
}

func (op *operation) openOne(path string) (*input, error) {
	if err := outside(op.room.DataDir, path); err != nil {
		return nil, err
	}
	open := op.req.Open
	if open == nil {
		open = os.Open
	}
	f, err := open(path)
	if err != nil {
		if os.IsNotExist(err) {
			return nil, code.Wrap(code.Missing, err, "")
		}
		return nil, err
	}
	in := &input{path: path, f: f}
	st, err := f.Stat()
	if err != nil {
		return in, err
	}
	if !st.Mode().IsRegular() {
		return in, code.New(code.BadUsage, "not a file").Want("a regular file", st.Mode().Type())
	}
	in.size = st.Size()
	h := digest.NewWriter(nil)
	if _, err := io.CopyBuffer(h, io.NewSectionReader(f, 0, in.size), make([]byte, 1<<20)); err != nil {
		return in, err
	}
	in.digest = h.Sum()
	return in, in.detect(op.req.Kind)
}

// outside refuses a file that lies in the data directory, by whatever way its path leads there.
func outside(dataDir, path string) error {
	if dataDir == "" {
		return nil
	}
	dir, err := real(dataDir)
	if err != nil {
		return err
	}
	file, err := real(path)
	if err != nil {
		return nil // opening it tells what is wrong
	}
	if rel, err := filepath.Rel(dir, file); err == nil && filepath.IsLocal(rel) {
		return code.New(code.BadUsage, "a file inside the data directory is never loaded")
	}
	return nil
}

func real(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// detect fills in format and kind. The kind that the caller names wins where the bytes allow it.
func (in *input) detect(kind string) (err error) {
	head := make([]byte, min(in.size, 64<<10))
	if _, err := io.ReadFull(io.NewSectionReader(in.f, 0, in.size), head); err != nil {
		return err
	}
	in.kind = kind
	name := strings.ToLower(filepath.Base(in.path))
	switch {
	case kind == record.Artifact || kind == record.Policy:
		in.format = kind
		return nil
	case record.IsLine(kind) && (strings.HasSuffix(name, ".jsonl") || strings.HasSuffix(name, ".ndjson")):
		in.format = formatLines
		return nil
	}
	in.format, err = record.Detect(in.path, head)
	if err != nil && kind == record.Finding {
		in.format, err = record.FormatOSV, nil
	}
	if err != nil {
		return err
	}
	switch in.format {
	case record.FormatOSVZip, record.FormatOSV:
		if kind == "" {
			in.kind = record.Advisory
		} else if !record.IsLine(kind) {
			return code.New(code.LoadType, "").Want(kind, in.format)
		}
	case record.FormatArtifact:
		if kind != "" {
			return code.New(code.LoadType, "").Want(kind, "none of the forms it comes in")
		}
		in.kind = record.Artifact
	default:
		if record.IsLine(kind) {
			return code.New(code.LoadType, "").Want(kind, in.format)
		}
	}
	if in.format == record.FormatOSVZip {
		return in.survey()
	}
	return nil
}

// survey walks the directory of a dump: it must be whole before anything of it is read.
func (in *input) survey() (err error) {
	if in.archive, err = openArchive(in.f, in.size); err != nil {
		return err
	}
	return in.archive.each(func(m member) error {
		in.inflate += min(m.size, maxMember)
		return nil
	})
}

// all reads the whole file, at most limit bytes.
func (in *input) all(limit int64) ([]byte, error) {
	if in.size > limit {
		return nil, code.New(code.LineLimit, "the document is too long").Want(fmt.Sprintf("at most %d bytes", limit), in.size)
	}
	b := make([]byte, in.size)
	if _, err := io.ReadFull(io.NewSectionReader(in.f, 0, in.size), b); err != nil {
		return nil, err
	}
	return b, nil
}

// reserve promises room for the worst case: every inflated byte in the spool, everything packed again, and the layer.
func (op *operation) reserve(inputs []*input) (release func(), err error) {
	total := op.from.Bytes / 2
	for _, in := range inputs {
		total += 2*in.size + in.inflate
	}
	return op.room.CAS.Reserve(total)
}
