//go:build faultpoints

package durable

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// FromEnv reads the faults a test asks for. It exists only under the build tag faultpoints.
//
//	SALLYPORT_KILL=name[:n]              end the process (SIGKILL) at the n-th visit of a point, from 1
//	SALLYPORT_FAULT=verb:n:how            the n-th durable step of that verb ("*" for any but points): lose, keep, kill,
//	                                      or an error of the system: ENOSPC, EDQUOT, EIO, EROFS
//	SALLYPORT_KEEP=dir                    before each rename over a file, link the old one as dir/<number of the step, from 0>
//	SALLYPORT_LIE=1                       no sync is done, and nobody is told
//	SALLYPORT_TRACE=file                  append each step to a file, to learn what there is to fail
func FromEnv(getenv func(string) string) (FS, error) {
	e := &envHook{}
	if s := getenv("SALLYPORT_KILL"); s != "" {
		name, n, found := strings.Cut(s, ":")
		e.killPoint, e.killAt = name, 1
		if found {
			v, err := strconv.Atoi(n)
			if err != nil {
				return FS{}, fmt.Errorf("SALLYPORT_KILL %q: %w", s, err)
			}
			e.killAt = v
		}
	}
	if s := getenv("SALLYPORT_FAULT"); s != "" {
		p := strings.Split(s, ":")
		if len(p) != 3 {
			return FS{}, fmt.Errorf("SALLYPORT_FAULT %q: want verb:n:lose|keep|kill", s)
		}
		n, err := strconv.Atoi(p[1])
		if err != nil {
			return FS{}, fmt.Errorf("SALLYPORT_FAULT %q: %w", s, err)
		}
		e.verb, e.at, e.how = p[0], n, p[2]
	}
	e.lie, e.keep = getenv("SALLYPORT_LIE") != "", getenv("SALLYPORT_KEEP")
	e.trace = getenv("SALLYPORT_TRACE")
	if *e == (envHook{}) {
		return FS{}, nil
	}
	return WithHook(e.hook), nil
}

type envHook struct {
	mu             sync.Mutex
	killPoint      string
	killAt, visits int
	verb, how      string
	at, steps      int
	trace          string
	lie            bool
	keep           string
	number         int // of steps and points so far
}

// systems are the errors of the system that can be asked for.
var systems = map[string]syscall.Errno{"ENOSPC": syscall.ENOSPC, "EDQUOT": syscall.EDQUOT, "EIO": syscall.EIO, "EROFS": syscall.EROFS}

func (e *envHook) hook(op Op) Verdict {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.trace != "" {
		if f, err := os.OpenFile(e.trace, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
			fmt.Fprintf(f, "%s %s\n", op.Verb, op.Path)
			f.Close()
		}
	}
	if e.keep != "" && op.Verb == "rename" {
		_ = os.Link(op.Path, filepath.Join(e.keep, strconv.Itoa(e.number))) // a new name has nothing to keep
	}
	e.number++
	if op.Verb == "point" {
		if op.Path == e.killPoint {
			if e.visits++; e.visits == e.killAt {
				die()
			}
		}
		return Do
	}
	if e.lie && (op.Verb == "sync" || op.Verb == "syncdir") {
		return Skip
	}
	if e.verb != "*" && e.verb != op.Verb {
		return Do
	}
	if e.steps++; e.steps != e.at {
		return Do
	}
	switch e.how {
	case "lose":
		return Lose
	case "keep":
		return Keep
	}
	if errno, ok := systems[e.how]; ok {
		return Fail(errno)
	}
	die()
	return Do
}

func die() {
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
