package bench

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"sallyport/internal/canon"
	"sallyport/internal/sample"
)

// seed of everything that is made up.
const seed = 1

// zipOf writes an OSV dump of n advisories, of which every one in every is revised (0: none). Members are deflated on all
// cores.
func zipOf(path string, n, every int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	z := zip.NewWriter(w)
	const block = 256
	type result struct {
		heads  []zip.FileHeader
		bodies [][]byte
	}
	order := make(chan chan result, runtime.NumCPU())
	go func() {
		defer close(order)
		for from := 0; from < n; from += block {
			c := make(chan result, 1)
			order <- c
			go func() {
				var r result
				d, _ := flate.NewWriter(nil, flate.BestSpeed)
				for i := from; i < min(from+block, n); i++ {
					h, b := deflated(d, i, every)
					r.heads, r.bodies = append(r.heads, h), append(r.bodies, b)
				}
				c <- r
			}()
		}
	}()
	for c := range order {
		r := <-c
		for i := range r.heads {
			m, err := z.CreateRaw(&r.heads[i])
			if err != nil {
				return err
			}
			if _, err := m.Write(r.bodies[i]); err != nil {
				return err
			}
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	return w.Flush()
}

func deflated(d *flate.Writer, i, every int) (zip.FileHeader, []byte) {
	body := sample.Advisory(seed, i)
	if every > 0 && i%every == every/2 {
		body = sample.Revised(seed, i, 1)
	}
	var packed bytes.Buffer
	d.Reset(&packed)
	d.Write(body)
	d.Close()
	return zip.FileHeader{
		Name: sample.AdvisoryID(i) + ".json", Method: zip.Deflate, CRC32: crc32.ChecksumIEEE(body),
		CompressedSize64: uint64(packed.Len()), UncompressedSize64: uint64(len(body)),
	}, packed.Bytes()
}

// mixedFiles writes about total bytes of what a mirror carries: 32 % advisories as lines, 24 % SBOMs, 16 % pages of a
// database, 28 % random blobs that nothing compresses.
func mixedFiles(dir string, total int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var wait sync.WaitGroup
	errs := make([]error, 4)
	for i, write := range []func(string, int64) error{lines, sboms, pages, blobs} {
		share := total * []int64{32, 24, 16, 28}[i] / 100
		wait.Go(func() { errs[i] = write(dir, share) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("make evidence: %w", err)
		}
	}
	return nil
}

// file writes one file from a function that says when it has enough.
func file(path string, write func(w io.Writer, sofar int64) (more bool, err error)) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := &counting{w: bufio.NewWriterSize(f, 1<<20)}
	for more := true; more; {
		if more, err = write(w, w.n); err != nil {
			return err
		}
	}
	return w.w.Flush()
}

type counting struct {
	w *bufio.Writer
	n int64
}

func (c *counting) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.w.Write(p)
}

func lines(dir string, total int64) error {
	n := 0
	return file(filepath.Join(dir, "advisories.txt"), func(w io.Writer, sofar int64) (bool, error) {
		line, err := canon.Line(sample.Advisory(seed, n))
		if err != nil {
			return false, err
		}
		n++
		_, err = w.Write(append(line, '\n'))
		return sofar < total, err
	})
}

// sboms are files of very different sizes, as SBOMs are.
func sboms(dir string, total int64) error {
	for i := 0; total > 0; i++ {
		doc := sample.SBOM(seed, 50+13*i)
		total -= int64(len(doc))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("sbom-%04d.cdx.json", i)), doc, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pages look like a B+tree: a head, ascending keys, digests as values, the last third of a page empty.
func pages(dir string, total int64) error {
	r := rand.New(rand.NewPCG(seed, 3))
	var id uint64
	return file(filepath.Join(dir, "index.bolt"), func(w io.Writer, sofar int64) (bool, error) {
		page := make([]byte, 0, 4096)
		page = binary.LittleEndian.AppendUint64(page, uint64(sofar/4096))
		page = append(page, 2, 0, 40, 0, 0, 0, 0, 0)
		for len(page) < 2700 {
			page = append(page, sample.AdvisoryID(int(id%1000000))...)
			page = binary.LittleEndian.AppendUint64(page, id)
			for range 4 {
				page = binary.LittleEndian.AppendUint64(page, r.Uint64())
			}
			id++
		}
		_, err := w.Write(page[:4096])
		return sofar < total, err
	})
}

func blobs(dir string, total int64) error {
	r := rand.New(rand.NewPCG(seed, 4))
	buf := make([]byte, 64<<10)
	const count = 4
	for i := range count {
		err := file(filepath.Join(dir, fmt.Sprintf("blob-%d.bin", i)), func(w io.Writer, sofar int64) (bool, error) {
			for at := 0; at < len(buf); at += 8 {
				binary.LittleEndian.PutUint64(buf[at:], r.Uint64())
			}
			_, err := w.Write(buf)
			return sofar < total/count, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
