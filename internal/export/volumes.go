package export

import (
	"fmt"
	"hash"
	"os"
	"path/filepath"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
)

// volumes cuts a stream into files of at most limit bytes and hashes each and the whole while they are written. A volume
// gets its name when the number of volumes is known.
type volumes struct {
	fs    durable.FS
	dir   string
	limit int64
	f     *os.File
	n     int64 // bytes in f
	one   hash.Hash
	all   hash.Hash // nil while there is one volume only: then its digest is the whole's
	list  []bundle.Volume
}

func newVolumes(fs durable.FS, dir string, limit int64) *volumes {
	return &volumes{fs: fs, dir: dir, limit: limit}
}

func (v *volumes) draft(i int) string { return filepath.Join(v.dir, fmt.Sprintf("volume-%04d", i)) }

func (v *volumes) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if err := v.room(); err != nil {
			return total - len(p), err
		}
		q := p[:min(int64(len(p)), v.limit-v.n)]
		if err := v.fs.Write(v.f, q); err != nil {
			return total - len(p), err
		}
		v.one.Write(q)
		if v.all != nil {
			v.all.Write(q)
		}
		v.n += int64(len(q))
		p = p[len(q):]
	}
	return total, nil
}

// room makes sure that a volume is open and not full.
func (v *volumes) room() error {
	if v.f != nil && v.n < v.limit {
		return nil
	}
	if v.f != nil {
		if err := v.end(); err != nil {
			return err
		}
	}
	if len(v.list) == bundle.MaxVolumes {
		return code.New(code.ExportInvalid, "more than %d volumes of %d bytes", bundle.MaxVolumes, v.limit).Do("Choose a larger volume size.")
	}
	f, err := os.OpenFile(v.draft(len(v.list)+1), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	v.f, v.n, v.one = f, 0, digest.NewHash()
	return nil
}

// end syncs and closes the open volume. The first one's hash goes on as that of the whole.
func (v *volumes) end() error {
	err := v.fs.Sync(v.f)
	if cerr := v.f.Close(); err == nil {
		err = cerr
	}
	v.f = nil
	if err != nil {
		return err
	}
	d := digest.Sum(v.one)
	if v.all == nil {
		v.all = v.one
	}
	v.list = append(v.list, bundle.Volume{N: int64(len(v.list) + 1), Bytes: v.n, Digest: d})
	return nil
}

// finish ends the last volume, gives all their names, and returns them with the digest of the whole stream.
func (v *volumes) finish(name, suffix string) ([]bundle.Volume, digest.Digest, error) {
	if v.f != nil {
		if err := v.end(); err != nil {
			return nil, digest.Digest{}, err
		}
	}
	if len(v.list) == 0 {
		return nil, digest.Digest{}, code.New(code.Bug, "a payload without bytes")
	}
	for i := range v.list {
		vol := &v.list[i]
		vol.Name = bundle.VolumeName(name, suffix, i+1, len(v.list))
		to := filepath.Join(v.dir, vol.Name)
		if err := v.fs.Step("rename", to, func() error { return os.Rename(v.draft(i+1), to) }); err != nil {
			return nil, digest.Digest{}, err
		}
	}
	return v.list, digest.Sum(v.all), v.fs.SyncDir(v.dir)
}

// abort closes what is open; the folder is removed by its owner.
func (v *volumes) abort() {
	if v.f != nil {
		v.f.Close()
		v.f = nil
	}
}
