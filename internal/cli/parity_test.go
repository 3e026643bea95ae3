package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"

	"sallyport/internal/access"
	"sallyport/internal/digest"
	"sallyport/internal/web"
	"sallyport/internal/web/api"
	"sallyport/internal/web/console"
	"sallyport/internal/wire"
)

// typed are command lines that reach every action, one at least for each command. The daemon behind them notes what it is asked.
var typed = []string{
	"status", "doctor", "settings", "delivery 14d", "setup-code", "metrics", "backup --to DIR",
	"load --feed f FILE", "feeds list", "feeds show f", "feeds rollback f --to 1 --reason r", "feeds pin f --reason r", "feeds unpin f",
	"feeds hold f --generation 1 --reason r", "feeds release f --generation 1 --reason r", "feeds rhythm f --every 7d",
	"records show k", "records search k", "records list", "time show", "time set --at 2026-11-21T09:30:00Z --reason r", "time confirm p --reason r",
	"card", "card --to DIR", "peers add DIR --words w", "peers add DIR", "peers list", "peers show p", "peers fleet", "peers confirm p a b c d e f",
	"outbound --to DIR", "import DIR", "exchange DIR", "receipts list", "receipts show R-1", "receipts export R-1",
	"media list", "media show DIR", "media forget l --reason r", "media heal DIR", "store show", "store prune --plan", "store prune", "store scrub",
	"quarantine list", "quarantine show Q-1", "quarantine release Q-1", "quarantine remove Q-1 --reason r",
	"jobs list", "jobs show j", "jobs start load/run {}", "jobs watch j", "jobs log j", "jobs cancel j",
	"uploads list", "uploads show u", "uploads send DIR", "uploads remove u",
	"trust show", "trust plan DIR", "trust apply DIR", "keys list", "keys rotate bundle --reason r", "keys revoke k --reason r", "keys renew --reason r", "keys apply " + plan64,
	"approvals list", "approvals show " + plan64, "approvals approve " + plan64, "approvals deny " + plan64 + " --reason r",
	"users list", "users show a", "users create a --roles viewer", "users change a --enable", "users disable a --reason r", "users link a b", "users recover", "users card",
	"tokens list", "tokens create t --scope feed:read", "tokens revoke t", "sessions list", "sessions revoke s",
	"timeline list", "timeline verify", "timeline checkpoint",
	"export run submit --for p", "export run watch r", "export run list", "export run show r", "export run cancel r", "export run retry r", "export run files r",
	"export verify r", "export download r --output OUT",
}

const plan64 = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// alone are the commands that ask no daemon, and why.
var alone = map[string]string{
	"init": "there is no appliance yet", "serve": "it is the daemon", "restore": "there is no appliance yet", "check-config": "it judges files before a daemon reads them",
	"version": "about the program", "man": "about the program", "api": "about the program", "demo": "it has daemons of its own", "completion": "about the program", "help": "about the program",
}

// notTyped are the actions that no command reaches, and why.
var notTyped = map[string]string{
	"peers/inspect": "peers add asks it on a terminal alone, where a person compares the words",
}

// notShown are the actions that the console does not reach, and why.
var notShown = map[string]string{
	"doctor/run":     "Overview and Store say each finding where it belongs; the whole list is for the host's terminal",
	"metrics/show":   "for monitoring",
	"setup/code":     "there is nobody to sign in yet: it is typed on the host",
	"users/recover":  "nobody can sign in: the page that takes the card's code asks the desk, before there is an actor",
	"outbound/write": "an exchange writes it; alone it is for scripts",
	"runs/watch":     "the page of a run follows it over the events of the page",
	"jobs/watch":     "the page of a job follows it over the events of the page",
	"load/run":       "files of the host are loaded as a job",
	"peers/show":     "the page of a peer asks peers/fleet, which says more of it",
}

// fake is a daemon that does nothing: it notes what it is asked, refuses what the action would not decode, and answers with a value
// of the right type.
type fake struct {
	t      *testing.T
	mu     sync.Mutex
	asked  map[string]bool
	answer map[string]any
	rows   map[string]web.Action
}

func (f *fake) note(action string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[action] = true
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, wire.Prefix)
	if r.Method == http.MethodGet {
		if !strings.HasPrefix(name, "runs/") {
			f.t.Errorf("GET %s", r.URL.Path)
		}
		f.note("runs/download")
		_, _ = io.WriteString(w, "x")
		return
	}
	row, ok := f.rows[name]
	if !ok {
		f.t.Errorf("a command asks for %q, which is no action", name)
		return
	}
	f.note(name)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Error(err)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(reflect.New(reflect.TypeOf(row.In)).Interface()); err != nil {
		f.t.Errorf("%s is asked with %s: %v", name, body, err)
	}
	v := f.answer[name]
	if v == nil {
		typ := reflect.TypeOf(row.Out)
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		v = reflect.New(typ).Interface()
	}
	b, err := json.Marshal(v)
	if err != nil {
		f.t.Error(err)
	}
	if row.Long {
		b, err = json.Marshal(wire.Line{Result: b})
		if err != nil {
			f.t.Error(err)
		}
	}
	_, _ = w.Write(append(b, '\n'))
}

// listen answers on a unix socket.
func (f *fake) listen(dir string) string {
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		f.t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(f)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	f.t.Cleanup(s.Close)
	return path
}

func rowsByName() map[string]web.Action {
	rows := map[string]web.Action{}
	for _, a := range api.Table() {
		rows[a.Name] = a
	}
	return rows
}

// leaves are the commands that do something, as they are typed.
func leaves(c *cobra.Command, under string) (all []string) {
	for _, sub := range c.Commands() {
		name := strings.TrimSpace(under + " " + sub.Name())
		if sub.HasSubCommands() {
			all = append(all, leaves(sub, name)...)
		}
		if sub.HasSubCommands() && sub.Name() != "card" || slices.Contains([]string{"stella", "exportctl"}, strings.Fields(name)[0]) {
			continue
		}
		all = append(all, name)
	}
	return all
}

// parity is a test's daemon, and a place for files.
type parity struct {
	*fake
	dir, medium string
}

func newParity(t *testing.T) *parity {
	t.Helper()
	p := &parity{dir: t.TempDir(), fake: &fake{t: t, asked: map[string]bool{}, rows: rowsByName(), answer: map[string]any{
		"runs/files":     wire.Shelf{Run: "r", Files: []wire.ShelfFile{{Name: "x", Bytes: 1, Digest: digest.Of([]byte("x")).String()}}},
		"uploads/create": wire.Upload{ID: "u", ChunkBytes: 1, Chunks: 1, Files: []wire.UploadFile{{Name: "file", Size: 1, Chunks: 1}}},
		"jobs/show":      wire.Job{State: "succeeded"},
		"jobs/watch":     wire.Job{State: "succeeded"},
	}}}
	p.medium = filepath.Join(p.dir, "medium")
	if err := os.MkdirAll(p.medium, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.medium, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// run types one line and gives back what was asked of the daemon for it.
func (p *parity) run(line string, env func(string) (string, bool)) (asked []string, talk string) {
	args := strings.Fields(strings.NewReplacer("DIR", p.medium, "FILE", filepath.Join(p.medium, "file"), "OUT", filepath.Join(p.dir, "out")).Replace(line))
	var out, said bytes.Buffer
	Main(context.Background(), append([]string{"sallyport"}, args...), Stdio{In: strings.NewReader(""), Out: &out, Err: &said, LookupEnv: env})
	p.mu.Lock()
	defer p.mu.Unlock()
	asked = slices.Sorted(maps.Keys(p.asked))
	clear(p.asked)
	return asked, said.String()
}

// Every action can be typed, and every command asks for actions, or says why not. What a command sends is what its action decodes.
func TestParityOfCommands(t *testing.T) {
	p := newParity(t)
	socket := p.listen(p.dir)
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"SALLYPORT_SOCKET": socket, "SALLYPORT_DATA_DIR": filepath.Join(p.dir, "none"), "NO_COLOR": "1"}[name]
		return v, ok
	}
	commands, reached := map[string]bool{}, map[string]bool{}
	for _, name := range leaves((&app{Stdio: Stdio{LookupEnv: env}}).root(), "") {
		commands[name] = true
	}
	for _, line := range typed {
		asked, talk := p.run(line, env)
		if len(asked) == 0 {
			t.Errorf("sallyport %s asks for nothing: %s", line, talk)
		}
		for _, name := range asked {
			reached[name] = true
		}
		for words := strings.Fields(line); len(words) > 0; words = words[:len(words)-1] {
			delete(commands, strings.Join(words, " "))
		}
	}
	for name := range commands {
		if alone[strings.Fields(name)[0]] == "" {
			t.Errorf("no line of this test types the command %q", name)
		}
	}
	agree(t, reached, notTyped, "typed")
}

// agree checks that every action is reached or excepted, never both, and that nothing else is excepted.
func agree(t *testing.T, reached map[string]bool, except map[string]string, how string) {
	t.Helper()
	rows := rowsByName()
	for name := range rows {
		switch {
		case !reached[name] && except[name] == "":
			t.Errorf("%s cannot be %s", name, how)
		case reached[name] && except[name] != "":
			t.Errorf("%s is %s, and excepted: %s", name, how, except[name])
		}
	}
	for name := range except {
		if _, ok := rows[name]; !ok {
			t.Errorf("%s is excepted and no action", name)
		}
	}
}

// Every action is on some page of the console, or says why not. A page that everybody of a role may open asks first for what that role
// may do; a form does one thing at least that they may.
func TestParityOfConsole(t *testing.T) {
	rows, reached := rowsByName(), map[string]bool{}
	for _, r := range console.Routes() {
		var may access.Roles
		for i, name := range r.Actions {
			row, ok := rows[name]
			if !ok {
				t.Errorf("%s asks for %q, which is no action", r.Pattern, name)
			}
			reached[name] = true
			if i == 0 || !strings.HasPrefix(r.Pattern, "GET ") {
				may |= row.Roles | row.Approve
			}
		}
		if len(r.Actions) > 0 && r.Roles&^may != 0 {
			t.Errorf("%s lets %s in, who may do nothing there", r.Pattern, r.Roles&^may)
		}
		if !r.Open && r.Roles == 0 {
			t.Errorf("%s: nobody may", r.Pattern)
		}
	}
	agree(t, reached, notShown, "shown")
}
