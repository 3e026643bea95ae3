package verify

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/pack"
)

// Frames are inflated and their lines hashed by a few workers while the archive is read on. At most shardJobs frames are
// under way, each with its packed and inflated bytes, so memory does not grow with the bundle.
const (
	shardWorkers = 2
	shardJobs    = 3
	shardDigests = 16 << 10 // a frame with more lines than this is hashed by the reader, not kept as digests
)

// shards owns the workers; close waits for them.
type shards struct {
	work chan *frameJob
	free []*frameJob
	done chan struct{}
}

// frameJob is one frame on its way.
type frameJob struct {
	packed, lines []byte
	digests       []digest.Digest // nil with more than shardDigests lines
	count         int64
	err           error
	ready         chan struct{}
}

func newShards() *shards {
	s := &shards{work: make(chan *frameJob, shardJobs), done: make(chan struct{}, shardWorkers)}
	for range shardJobs {
		s.free = append(s.free, &frameJob{ready: make(chan struct{}, 1)})
	}
	for range shardWorkers {
		go s.worker()
	}
	return s
}

func (s *shards) worker() {
	z := pack.NewDecompressor()
	for job := range s.work {
		job.run(z)
		job.ready <- struct{}{}
	}
	s.done <- struct{}{}
}

func (s *shards) close() {
	close(s.work)
	for range shardWorkers {
		<-s.done
	}
}

// read goes through one shard and calls fn with each line's number and digest in order. It returns the number of lines.
func (s *shards) read(r io.Reader, fn func(line int64, d digest.Digest)) (int64, error) {
	var n int64
	var under []*frameJob
	fold := func() error {
		job := under[0]
		under = append(under[:0], under[1:]...)
		<-job.ready
		s.free = append(s.free, job)
		if job.err != nil {
			return at(job.err, n+job.count)
		}
		job.each(func(d digest.Digest) { fn(n, d); n++ })
		return nil
	}
	err := pack.Frames(r, func(f pack.Frame) error {
		if len(s.free) == 0 {
			if err := fold(); err != nil {
				return err
			}
		}
		job := s.free[len(s.free)-1]
		s.free = s.free[:len(s.free)-1]
		job.packed = append(job.packed[:0], f.Packed...)
		under = append(under, job)
		s.work <- job
		return nil
	})
	for len(under) > 0 { // also after an error: the jobs must come back
		if ferr := fold(); err == nil {
			err = ferr
		}
	}
	return n, err
}

// run inflates one frame and checks its lines. On an error count is the line inside the frame.
func (job *frameJob) run(z *pack.Decompressor) {
	job.digests, job.count = job.digests[:0], 0
	if job.lines, job.err = z.Frame(job.lines[:0], job.packed); job.err != nil {
		return
	}
	if len(job.lines) == 0 || job.lines[len(job.lines)-1] != '\n' {
		job.count = int64(bytes.Count(job.lines, []byte("\n")))
		job.err = code.New(code.LineBad, "a frame does not end with a line").Want("a line feed at its end", "another byte")
		return
	}
	keep := bytes.Count(job.lines, []byte("\n")) <= shardDigests
	for rest := job.lines; len(rest) > 0; job.count++ {
		end := bytes.IndexByte(rest, '\n')
		if job.err = checkLine(rest[:end]); job.err != nil {
			return
		}
		if keep {
			job.digests = append(job.digests, digest.Of(rest[:end]))
		}
		rest = rest[end+1:]
	}
}

// each gives the digests of the frame's lines in order.
func (job *frameJob) each(fn func(digest.Digest)) {
	if len(job.digests) > 0 {
		for _, d := range job.digests {
			fn(d)
		}
		return
	}
	for rest := job.lines; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		fn(digest.Of(rest[:end]))
		rest = rest[end+1:]
	}
}

// checkLine refuses what no canonical JSON object looks like: too long, not in braces, control characters (which JSON
// writes as escapes, so LF and CR too), invalid UTF-8. line is without its LF.
func checkLine(line []byte) error {
	switch {
	case len(line) >= pack.LineMax:
		return code.New(code.LineLimit, "").Want(fmt.Sprint("at most ", pack.LineMax, " bytes with LF"), len(line)+1)
	case len(line) < 2 || line[0] != '{' || line[len(line)-1] != '}':
		return code.New(code.LineBad, "not a JSON object on one line").Want("{…}", fmt.Sprintf("%.60q", line))
	case hasControl(line):
		return code.New(code.LineBad, "a control character stands in it").Want("canonical JSON", "a byte below 0x20")
	case !utf8.Valid(line):
		return code.New(code.LineBad, "not UTF-8").Want("canonical JSON", "bytes that are no UTF-8")
	}
	return nil
}

// hasControl finds a byte below 0x20, eight at a time: subtracting 0x20 from each borrows into the high bit of those
// below, and masking with the complement leaves out bytes that had it set already.
func hasControl(b []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		if (x-0x20*ones)&^x&highs != 0 {
			return true
		}
	}
	for _, c := range b {
		if c < 0x20 {
			return true
		}
	}
	return false
}
