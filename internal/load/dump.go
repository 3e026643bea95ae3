package load

import (
	"context"
	"fmt"
	"path"
	"strings"
	"sync"

	"sallyport/internal/code"
)

// How many members, or how many inflated bytes, one worker takes at a time.
const (
	batchMembers = 64
	batchBytes   = 1 << 20
)

// task is a run of members on its way through a worker; results come in the order of the archive.
type task struct {
	members []member
	out     chan []prepared // holds one: no worker waits for the reader
}

// dump takes an OSV zip: every JSON member is a line. Workers inflate and canonicalise, this goroutine accepts in order.
func (h *harvest) dump(ctx context.Context, in *input) error {
	if err := h.noteFile(in, in.archive.members); err != nil {
		return err
	}
	if h.want(in.kind, true); h.snapshot[in.kind] {
		h.snapshots++
	}
	ctx, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancel()
	for out := range h.inflateAll(ctx, in, &wait) {
		for _, p := range <-out {
			if err := h.memberOf(in, &p); err != nil {
				return err
			}
		}
	}
	return context.Cause(ctx)
}

// memberOf accepts, rejects or passes over one member of a dump.
func (h *harvest) memberOf(in *input, p *prepared) error {
	if p.skip {
		return nil
	}
	if p.err != nil && p.source.IsZero() {
		if !rejectable(p.err) {
			return p.err
		}
		return h.reject(h.file, p.member, p.err)
	}
	if err := h.noteMember(p); err != nil {
		return err
	}
	if p.err != nil {
		return h.reject(h.file, p.member, p.err)
	}
	if err := h.remember(p); err != nil {
		return err
	}
	return h.line(in.kind, p)
}

// inflateAll hands the members to workers, first to a worker and then to the reader, who so never waits for what nobody has.
func (h *harvest) inflateAll(ctx context.Context, in *input, wait *sync.WaitGroup) <-chan chan []prepared {
	workers := h.op.room.workers()
	tasks, order := make(chan task), make(chan chan []prepared, workers)
	for range workers {
		wait.Go(func() {
			var z inflater
			for t := range tasks {
				t.out <- t.run(&z, h, in)
			}
		})
	}
	wait.Go(func() {
		defer close(order)
		defer close(tasks)
		t, bytes := task{}, int64(0)
		send := func() error {
			if len(t.members) == 0 {
				return nil
			}
			t.out = make(chan []prepared, 1)
			if err := offer(ctx, tasks, t); err != nil {
				return err
			}
			if err := offer(ctx, order, t.out); err != nil {
				return err
			}
			t, bytes = task{}, 0
			return nil
		}
		err := in.archive.each(func(m member) error {
			t.members = append(t.members, m)
			if bytes += m.size; len(t.members) == batchMembers || bytes >= batchBytes {
				return send()
			}
			return nil
		})
		if err == nil {
			err = send()
		}
		if err != nil {
			failed := make(chan []prepared, 1)
			failed <- []prepared{{err: fmt.Errorf("read the archive again: %w", err)}}
			offer(ctx, order, failed)
		}
	})
	return order
}

// offer sends unless ctx is done first.
func offer[T any](ctx context.Context, to chan<- T, v T) error {
	select {
	case to <- v:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t task) run(z *inflater, h *harvest, in *input) []prepared {
	out := make([]prepared, len(t.members))
	for i, m := range t.members {
		if out[i] = (prepared{member: m.name, skip: passed(m.name)}); out[i].skip {
			continue
		}
		if !strings.HasSuffix(strings.ToLower(m.name), ".json") {
			out[i].err = code.New(code.LoadType, "not a JSON document")
			continue
		}
		out[i] = h.prepareMember(z, in, m)
	}
	return out
}

// prepareMember inflates and canonicalises one member, unless an earlier load did so with the same packed bytes.
func (h *harvest) prepareMember(z *inflater, in *input, m member) prepared {
	p := prepared{member: m.name}
	if p.err = z.seek(in.f, m); p.err != nil {
		return p
	}
	p.imprint = z.imprint
	if h.again(in.kind, z, &p) {
		return p
	}
	body, err := z.read(m)
	if err != nil {
		p.err = err
		return p
	}
	imprint, met := p.imprint, p.met
	p = prepare(m.name, body)
	p.imprint, p.met = imprint, met
	return p
}

// passed tells members that are no records by design: folders, and the indexes of the Go vulnerability database.
func passed(name string) bool {
	return strings.HasSuffix(name, "/") || path.Dir(name) == "index" || strings.HasPrefix(name, "__MACOSX/")
}
