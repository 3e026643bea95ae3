package crash

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// ledgerOfSyncs follows a trace and knows what a power cut at this moment could take away.
type ledgerOfSyncs struct {
	data, medium string
	files        map[string]bool     // written and not synced
	dirs         map[string][]string // folders not synced since a name in them changed, with the new names
	bases        map[string]bool     // names of files that were synced
	ready        map[string]int      // folders with files that were synced under a passing name → how many
	over         map[string]int      // names renamed to since their folder was synced → first step that did
	wrong        []string
}

func newLedger(data, medium string) *ledgerOfSyncs {
	return &ledgerOfSyncs{
		data: data, medium: medium, files: map[string]bool{}, dirs: map[string][]string{}, bases: map[string]bool{}, ready: map[string]int{},
		over: map[string]int{},
	}
}

func (l *ledgerOfSyncs) follow(trace []Step) {
	for i, s := range trace {
		p := path.Clean(s.Path)
		if _, ok := l.over[p]; s.Verb == "rename" && !ok {
			l.over[p] = i
		}
		l.step(fmt.Sprintf("step %d, %s", i, s), s.Verb, p, strings.HasSuffix(s.Path, "/."))
		maps.DeleteFunc(l.over, func(k string, _ int) bool { return len(l.dirs[path.Dir(k)]) == 0 })
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
		l.dirs[dir] = append(l.dirs[dir], p)
	case "remove":
		if !strings.HasPrefix(p, l.data+"/cas/") && !strings.HasPrefix(p, l.data+"/quarantine/") { // what comes back is swept again
			l.dirs[dir] = slices.Clip(l.dirs[dir]) // nothing new, and yet not synced
		}
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
	l.bases[path.Base(p)] = true
	l.ready[path.Dir(p)]++
	if folder {
		return
	}
	if p == l.medium || strings.HasPrefix(p, l.medium+"/") || p == l.data || p == l.data+"/cas" || p == l.data+"/cas/sha256" {
		below := func(k string) bool { return k == p || strings.HasPrefix(k, p+"/") }
		maps.DeleteFunc(l.files, func(k string, _ bool) bool { return below(k) })
		maps.DeleteFunc(l.dirs, func(k string, _ []string) bool { return below(k) })
	}
}

// rename gives a lasting name: of a blob that was synced under the same last name, of a file synced beside it, or of a
// folder below which everything is.
func (l *ledgerOfSyncs) rename(where, p, dir string) {
	switch {
	case strings.HasPrefix(p, l.data+"/shelf/") && path.Ext(p) == "":
		l.clean(where, l.data+"/shelf")
	case strings.HasPrefix(p, l.medium+"/") && strings.HasSuffix(p, ".label.json"):
		l.dirs[dir] = slices.DeleteFunc(l.dirs[dir], func(name string) bool { return name == p+".partial" })
		if len(l.dirs[dir]) == 0 {
			delete(l.dirs, dir)
		}
		l.clean(where, l.medium)
	case l.bases[strings.TrimSuffix(path.Base(p), ".key")+".next"]: // a key that was prepared, whole, under that name
	case l.forgettable(p), strings.HasPrefix(p, l.data+"/cas/damaged/"): // the bytes of a condemned blob are wrong anyway
	case !l.bases[path.Base(p)] && l.ready[dir] <= 0:
		l.wrong = append(l.wrong, where+": the file was not synced")
	}
	if strings.HasSuffix(p, ".next") {
		l.bases[path.Base(p)] = true
	}
	l.ready[dir]--
	delete(l.files, p)
	delete(l.files, p+".partial")
	l.dirs[dir] = append(l.dirs[dir], p)
}

// forgettable tells of what is only remembered from earlier loads: the ledger knows its digest, and without it the next load
// takes longer.
func (l *ledgerOfSyncs) forgettable(p string) bool { return strings.HasPrefix(p, l.data+"/loads") }

func (l *ledgerOfSyncs) clean(where, under string) {
	for _, k := range slices.Concat(slices.Collect(maps.Keys(l.files)), slices.Collect(maps.Keys(l.dirs))) {
		if (k == under || strings.HasPrefix(k, under+"/")) && !l.forgettable(k) {
			l.wrong = append(l.wrong, where+": not synced before it: "+k)
		}
	}
}

// Cut takes away what a power cut could at the end of a trace: the second half of every file that was written and not synced,
// and every change of a name in a folder that was not synced. A new name goes; a file that was replaced is the old one again:
// kept is a folder with the old ones by the step that replaced them. old tells which names stood before. It returns what it
// did.
func Cut(trace []Step, data, medium, kept string, old func(string) bool) (lost []string, err error) {
	l := newLedger(data, medium)
	l.follow(trace)
	for _, p := range slices.Concat(slices.Collect(maps.Values(l.dirs))...) {
		done, err := l.uncover(p, kept, old(p))
		if err != nil {
			return lost, err
		}
		if done {
			lost = append(lost, p)
		}
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

// uncover undoes one change of a name.
func (l *ledgerOfSyncs) uncover(p, kept string, stood bool) (bool, error) {
	if i, ok := l.over[p]; ok {
		b, err := os.ReadFile(path.Join(kept, strconv.Itoa(i)))
		if err == nil {
			return true, errors.Join(l.takeBack(p), os.WriteFile(p, b, 0o600))
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	} else if stood {
		return false, nil
	}
	return true, os.RemoveAll(p)
}

// takeBack undoes a rename. What was prepared under a lasting name has that name again: a rename is whole or not at all.
func (l *ledgerOfSyncs) takeBack(p string) error {
	if next := strings.TrimSuffix(p, ".key") + ".next"; l.bases[path.Base(next)] {
		return os.Rename(p, next)
	}
	return os.Remove(p)
}
