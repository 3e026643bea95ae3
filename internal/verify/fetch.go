package verify

import (
	"context"
	"io"

	"sallyport/internal/code"
)

// Fetch reads volume n (from 1) of a packing once, into w, and judges it at its last byte: what w has got is not to be
// believed before Fetch has returned a state without an error in it. Nothing is opened. The state's error is of the volume
// (volume-missing, volume-damaged, medium-read with the byte in At); the other error is of the operation: interrupted, or
// what w said. Progress hears the bytes of this volume alone.
func Fetch(ctx context.Context, p *Packing, n int64, w io.Writer, o Options) (VolumeState, error) {
	if n < 1 || n > int64(len(p.label.Volumes)) {
		return VolumeState{}, code.New(code.Bug, "fetch volume %d of %d", n, len(p.label.Volumes))
	}
	list, done := p.label.Volumes[n-1:n], int64(0)
	s := VolumeState{Volume: list[0]}
	vs := openVolumes(ctx, p, list, nil, o.report(&done, list[0].Bytes))
	err := copyTo(w, vs)
	vs.close()
	switch {
	case err != nil:
		return s, err
	case code.Of(vs.err) == code.Interrupted:
		return s, vs.err
	case vs.err != io.EOF:
		s.Err, s.At = vs.err, vs.at
	}
	return s, nil
}

// copyTo writes what is read until reading ends, however it ends: the reader knows. The error is the writer's.
func copyTo(w io.Writer, vs *volumes) error {
	for vs.next() == nil {
		if _, err := w.Write(vs.cur); err != nil {
			return err
		}
	}
	return nil
}

// Verdict sums up what Survey or Fetch said of each volume: the worst of them, damage before read errors before absence, with
// every bad one in its next step; nil when all are good.
func (p *Packing) Verdict(states []VolumeState) error { return p.verdict(states) }
