package crash

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// ledgerOfSyncs follows a trace and knows what a power cut at this moment could take away.
type ledgerOfSyncs struct {
	data, medium string
	files        map[string]bool // written and not synced
	dirs         map[string]bool // a name in them changed and they are not synced
	bases        map[string]bool // names of files that were synced
	ready        map[string]bool // folders in which a file was synced since the last rename in them
	names        []string        // that came up and are in a folder of dirs
	wrong        []string
}

func newLedger(data, medium string) *ledgerOfSyncs {
	return &ledgerOfSyncs{
		data: data, medium: medium, files: map[string]bool{}, dirs: map[string]bool{}, bases: map[string]bool{}, ready: map[string]bool{},
	}
}

func (l *ledgerOfSyncs) follow(trace []Step) {
	for i, s := range trace {
		l.step(fmt.Sprintf("step %d, %s", i, s), s.Verb, path.Clean(s.Path), strings.HasSuffix(s.Path, "/."))
	}
}

// Unsynced lists the places of a trace where something relies on bytes or names that no sync has made durable: a rename of
// a file that was not synced, a commit while a name below the data directory or on the medium is not, a label before all
// else on the medium is. Blobs in staging have no lasting name yet and may be lost.
func Unsynced(trace []Step, data, medium string) []string {
	l := newLedger(data, medium)
	l.follow(trace)
	return l.wrong
}

func (l *ledgerOfSyncs) step(where, verb, p string, folder bool) {
	dir := path.Dir(p)
	switch verb {
	case "write":
		if !strings.HasPrefix(p, l.data+"/cas/staging/") {
			l.files[p] = true
		}
	case "create", "mkdir":
		l.dirs[dir], l.names = true, append(l.names, p)
	case "remove":
		l.dirs[dir] = true
	case "syncdir":
		delete(l.dirs, p)
	case "sync":
		l.sync(p, folder)
	case "rename":
		l.rename(where, p, dir)
	case "commit":
		l.clean(where, l.data)
		l.clean(where, l.medium)
	}
}

// sync is of a file, of a folder, or of everything below the root of a medium or a store.
func (l *ledgerOfSyncs) sync(p string, folder bool) {
	delete(l.files, p)
	delete(l.dirs, p)
	l.bases[path.Base(p)], l.ready[path.Dir(p)] = true, true
	if folder || p != l.medium && !strings.HasPrefix(p, l.data) {
		return
	}
	if p == l.medium || p == l.data+"/cas" || p == l.data+"/cas/sha256" {
		for _, m := range []map[string]bool{l.files, l.dirs} {
			for k := range m {
				if k == p || strings.HasPrefix(k, p+"/") {
					delete(m, k)
				}
			}
		}
	}
}

// rename gives a lasting name: of a blob that was synced under the same last name, of a file synced beside it, or of a
// folder below which everything is.
func (l *ledgerOfSyncs) rename(where, p, dir string) {
	switch {
	case strings.HasPrefix(p, l.data+"/shelf/") && path.Ext(p) == "":
		l.clean(where, l.data+"/shelf")
	case strings.HasPrefix(p, l.medium+"/") && strings.HasSuffix(p, ".label.json"):
		delete(l.dirs, dir) // the label's own partial name
		l.clean(where, l.medium)
	case !l.bases[path.Base(p)] && !l.ready[dir]:
		l.wrong = append(l.wrong, where+": the file was not synced")
	}
	delete(l.ready, dir)
	delete(l.files, p)
	delete(l.files, p+".partial")
	l.dirs[dir], l.names = true, append(l.names, p)
}

func (l *ledgerOfSyncs) clean(where, under string) {
	for _, m := range []map[string]bool{l.files, l.dirs} {
		for k := range m {
			if k == under || strings.HasPrefix(k, under+"/") {
				l.wrong = append(l.wrong, where+": not synced before it: "+k)
			}
		}
	}
}

// Cut takes away what a power cut could at the end of a trace: the second half of every file that was written and not synced,
// and every new name in a folder that was not synced. old tells which names stood before; a file that was replaced keeps its
// new bytes. It returns what it did.
func Cut(trace []Step, data, medium string, old func(string) bool) (lost []string, err error) {
	l := newLedger(data, medium)
	l.follow(trace)
	for _, p := range l.names {
		if !l.dirs[path.Dir(p)] || old(p) {
			continue
		}
		if err := os.RemoveAll(p); err != nil {
			return lost, err
		}
		lost = append(lost, p)
	}
	for p := range l.files {
		st, err := os.Stat(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return lost, err
		}
		if err := os.Truncate(p, st.Size()/2); err != nil {
			return lost, err
		}
		lost = append(lost, p)
	}
	return lost, nil
}
