package kit_test

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/internal/browser"
	"sallyport/internal/code"
	"sallyport/ui/kit"
)

// parsed renders and parses a node.
func parsed(t *testing.T, n kit.Node) browser.Doc {
	t.Helper()
	return browser.Parse(t, strings.NewReader(rendered(t, n)))
}

func rendered(t *testing.T, n kit.Node) string {
	t.Helper()
	var b bytes.Buffer
	if err := n.Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Every page of the fixture: one main, one h1, labels for all fields, no id twice, nothing inline, nothing off this appliance.
func TestEveryPage(t *testing.T) {
	for path, page := range pages() {
		text := rendered(t, page)
		doc := browser.Parse(t, strings.NewReader(text))
		for _, one := range []string{"html[lang=en]", "title", "main#main", "h1", "body a.skip"} {
			if n := len(doc.All(one)); n != 1 {
				t.Errorf("%s: %d elements %q", path, n, one)
			}
		}
		for _, none := range []string{"[style]", "style", "[onclick]", "[onsubmit]", "img", "iframe"} {
			if doc.Has(none) {
				t.Errorf("%s: has %q", path, none)
			}
		}
		for _, s := range doc.All("script") {
			if src, _ := browser.Attr(s, "src"); !strings.HasPrefix(src, "/static/sallyport.") {
				t.Errorf("%s: a script from %q", path, src)
			}
		}
		checkIDs(t, path, doc)
		checkAddresses(t, path, doc)
		checkLabels(t, path, doc)
	}
}

func checkIDs(t *testing.T, path string, doc browser.Doc) {
	t.Helper()
	seen := map[string]bool{}
	for _, n := range doc.All("[id]") {
		id, _ := browser.Attr(n, "id")
		if seen[id] {
			t.Errorf("%s: id %q twice", path, id)
		}
		seen[id] = true
	}
	for _, name := range []string{"aria-describedby", "for", "aria-labelledby"} {
		for _, n := range doc.All("[" + name + "]") {
			ids, _ := browser.Attr(n, name)
			for id := range strings.FieldsSeq(ids) {
				if !seen[id] {
					t.Errorf("%s: %s names %q, which is not there", path, name, id)
				}
			}
		}
	}
}

func checkAddresses(t *testing.T, path string, doc browser.Doc) {
	t.Helper()
	for _, name := range []string{"href", "src", "action", "data-events", "data-upload"} {
		for _, n := range doc.All("[" + name + "]") {
			to, _ := browser.Attr(n, name)
			if !regexp.MustCompile(`^(/([^/]|$)|\?|#)`).MatchString(to) {
				t.Errorf("%s: %s=%q leaves the appliance", path, name, to)
			}
		}
	}
}

func checkLabels(t *testing.T, path string, doc browser.Doc) {
	t.Helper()
	labelled := map[string]bool{}
	for _, n := range doc.All("label[for]") {
		id, _ := browser.Attr(n, "for")
		labelled[id] = browser.Text(n) != ""
	}
	for _, tag := range []string{"input", "select", "textarea"} {
		for _, n := range doc.All(tag) {
			id, _ := browser.Attr(n, "id")
			if kind, _ := browser.Attr(n, "type"); kind != "hidden" && !labelled[id] {
				t.Errorf("%s: a field without a label: %s %q", path, tag, id)
			}
		}
	}
}

func TestFrame(t *testing.T) {
	v := frame("Import", "/import")
	v.Events, v.Refresh = "/jobs/7/events", 2
	doc := parsed(t, kit.Frame(v))
	if got := browser.Text(doc.One("title")); got != "Import · site-07" {
		t.Errorf("title %q", got)
	}
	if got := browser.Text(doc.One("#nav a[aria-current=page]")); got != "Import" {
		t.Errorf("current is %q", got)
	}
	if got := browser.Text(doc.One("#nav i")); got != "1 waiting" {
		t.Errorf("count %q", got)
	}
	if got, _ := browser.Attr(doc.One("main"), "data-events"); got != "/jobs/7/events" {
		t.Errorf("events %q", got)
	}
	if !strings.Contains(rendered(t, kit.Frame(v)), `<noscript><meta http-equiv="refresh" content="2">`) {
		t.Error("without JavaScript the page does not renew itself")
	}
	if n := len(doc.All("header.strip .facts a.tag")); n != 4 {
		t.Errorf("%d facts in the strip", n)
	}
	if !doc.Has("a.menulink[href=#nav]") || !doc.Has("details.menu form[action=/sign-out] button") {
		t.Error("no way to the menu or out")
	}
	out := parsed(t, kit.Frame(kit.FrameView{Title: "Sign in", Site: "site-07"}))
	if out.Has("nav") || out.Has("details.menu") || out.Has("[data-events]") || out.Has("noscript") {
		t.Error("somebody who is not signed in sees the navigation")
	}
}

func TestTable(t *testing.T) {
	doc := parsed(t, kit.Table(wide()))
	if got, _ := browser.Attr(doc.One("th[aria-sort]"), "aria-sort"); got != "ascending" {
		t.Errorf("sorted %q", got)
	}
	for _, td := range doc.All("tbody td") {
		if label, ok := browser.Attr(td, "data-label"); !ok || label == "" {
			t.Error("a cell without its column's label")
		}
	}
	if n := len(doc.All("tbody th[scope=row]")); n != 2 {
		t.Errorf("%d rows have a heading", n)
	}
	if n := len(doc.All("tbody td")); n != 12 {
		t.Errorf("%d cells: a row that is too short is filled up", n)
	}
	if n := len(doc.All("nav.pager a")); n != 3 {
		t.Errorf("%d ways through the pages", n)
	}
	if doc.One(".tablefoot a[href=/peers.csv]") == nil {
		t.Error("no CSV")
	}
	empty := parsed(t, kit.Table(kit.TableView{ID: "q", Columns: []kit.Column{{Label: "x"}}, Empty: kit.EmptyView{Title: "Nothing was refused here."}}))
	if empty.Has("table") || browser.Text(empty.One("#q")) != "Nothing was refused here." {
		t.Error("an empty table does not say so")
	}
}

// Stale never looks healthy, and unknown is never green.
func TestAge(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		view kit.AgeView
		tone kit.Tone
		text string
	}{
		{kit.AgeView{Age: 3 * day, Budget: 14 * day, Known: true}, kit.OK, "3 d of 14 d"},
		{kit.AgeView{Age: 6 * time.Hour, Budget: 14 * day, Known: true}, kit.OK, "6 h of 14 d"},
		{kit.AgeView{Age: 13 * day, Budget: 14 * day, Known: true}, kit.Warn, "13 d of 14 d"},
		{kit.AgeView{Age: 14*day + 1, Budget: 14 * day, Known: true}, kit.Bad, "14 d of 14 d"},
		{kit.AgeView{Age: 3 * day, Budget: 14 * day, Known: true, Tone: kit.Bad}, kit.Bad, "3 d of 14 d"},
		{kit.AgeView{Age: 3 * day, Known: true}, "", "3 d"},
		{kit.AgeView{Budget: 14 * day}, "", "unknown"},
		{kit.AgeView{Never: "never received"}, "", "never received"},
	} {
		doc := parsed(t, kit.Age(c.view))
		if got := browser.Text(doc.One(".meter")); got != c.text {
			t.Errorf("%+v: %q", c.view, got)
		}
		if c.tone == "" {
			if doc.Has("rect") {
				t.Errorf("%+v: a bar for what nobody knows", c.view)
			}
		} else if doc.One("svg."+string(c.tone)) == nil {
			t.Errorf("%+v: no bar in its tone", c.view)
		}
	}
}

func TestMeter(t *testing.T) {
	for _, c := range []struct {
		value, max float64
		width      string
	}{{1, 3, "33.3%"}, {5, 3, "100.0%"}, {-1, 3, "0.0%"}} {
		doc := parsed(t, kit.Meter(kit.MeterView{Label: "Disk", Value: c.value, Max: c.max}))
		if got, _ := browser.Attr(doc.One("rect"), "width"); got != c.width {
			t.Errorf("%v of %v is drawn as %s", c.value, c.max, got)
		}
	}
}

func TestJob(t *testing.T) {
	for i, want := range []string{
		"Verifying · 1.2 of 1.8 GiB · 212 MiB/s · about 3 s", "Waiting for the run before it", "4,291 records loaded", "Stopped while verifying", "Cancelled by anna", "Looking for bundles · 12",
	} {
		j := jobs()[i]
		doc := parsed(t, kit.Job(j))
		if got := browser.Text(doc.One("#job-" + j.ID + " .jobfoot p")); got != want {
			t.Errorf("job %s says %q", j.ID, got)
		}
		now, known := "", false
		if bars := doc.All("[role=progressbar]"); len(bars) == 1 {
			now, known = browser.Attr(bars[0], "aria-valuenow")
		}
		if known != (i == 0) || i == 0 && now != "66" {
			t.Errorf("job %s: bar at %q", j.ID, now)
		}
		if doc.Has("form") != (j.Cancel != "") {
			t.Errorf("job %s: cancel", j.ID)
		}
	}
	if got := browser.Text(parsed(t, kit.Job(jobs()[0])).One("[role=status]")); got != "Verifying, 50 %" {
		t.Errorf("said aloud: %q", got)
	}
}

// An error shows its code, sentence, place, what was expected and found, what to do, and the way to its page of Help.
func TestErrorNotice(t *testing.T) {
	err := code.New(code.Bug, "the manifest is not the one that was signed").In("manifest.json", "line 12").Want("a", "b")
	err.Next = "keep the stick and call"
	doc := parsed(t, kit.Notice(kit.ErrorNotice(err)))
	text := browser.Text(doc.One(".notice[role=alert]"))
	for _, want := range []string{string(code.Bug), "The manifest is not the one that was signed.", "Where manifest.json, line 12", "Expected a", "Found b", "Keep the stick and call."} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
	if doc.One("a[href=/help/codes/"+string(code.Bug)+"]") == nil {
		t.Error("no way to Help")
	}
	if got := rendered(t, kit.Notice(kit.ErrorNotice(errors.New("a secret path")))); strings.Contains(got, "secret") || !strings.Contains(got, string(code.Bug)) {
		t.Errorf("an error without a code shows %s", got)
	}
}

func TestField(t *testing.T) {
	doc := parsed(t, kit.Field(kit.FieldView{Name: "code", Label: "Code", Hint: "Six digits.", Error: "Used already.", InputMode: "numeric", MaxLength: 6, Value: "123456"}))
	input := doc.One("input#f-code[aria-invalid=true][autofocus][maxlength=6]")
	if by, _ := browser.Attr(input, "aria-describedby"); by != "f-code-hint f-code-error" {
		t.Errorf("described by %q", by)
	}
	if v, _ := browser.Attr(input, "value"); v != "123456" {
		t.Errorf("what was typed is lost: %q", v)
	}
	secret := parsed(t, kit.Field(kit.FieldView{Name: "password", Type: "password", Value: "secret"}))
	if v, ok := browser.Attr(secret.One("input"), "value"); ok {
		t.Errorf("a password is sent back: %q", v)
	}
	radio := parsed(t, kit.Field(kit.FieldView{Name: "r", Label: "Which", Type: "radio", Options: []kit.Option{{Value: "a", Label: "A"}, {Value: "b", Label: "B", Selected: true}}}))
	if len(radio.All("fieldset legend")) != 1 || len(radio.All("input[name=r]")) != 2 || len(radio.All("input[checked]")) != 1 {
		t.Error("a choice is not a group")
	}
}

func TestButtons(t *testing.T) {
	if got := rendered(t, kit.Button(kit.ButtonView{})); strings.TrimSpace(got) != "" {
		t.Errorf("a button without a label: %q", got)
	}
	doc := parsed(t, kit.Button(kit.ButtonView{Label: "Approve", Disabled: "You proposed this."}))
	if doc.One("button[disabled]") == nil || !strings.Contains(browser.Text(doc.One(".withheld")), "You proposed this.") {
		t.Error("a button that cannot be pressed does not say why")
	}
	post := parsed(t, kit.PostButton(kit.PostView{Action: "/a", Label: "Go", Hidden: map[string]string{"id": "7"}}))
	if post.One("form[method=post][action=/a] input[type=hidden][name=id][value=7]") == nil {
		t.Error("hidden values are lost")
	}
}

// Whatever comes from outside is text, and no address leads away.
func TestForeignText(t *testing.T) {
	evil := `<script>alert(1)</script>"'&`
	for _, n := range []kit.Node{
		kit.Text(evil), kit.To(evil, evil), kit.Digest(evil), kit.Notice(kit.NoticeView{Title: evil, Help: evil, Link: kit.Link{Label: evil, Href: "javascript:alert(1)"}}),
		kit.Field(kit.FieldView{Name: evil, Label: evil, Value: evil, Hint: evil}), kit.QR(kit.QRView{Text: evil, Label: evil}), kit.Pre(evil, evil),
		kit.Button(kit.ButtonView{Label: evil, Href: "//evil.example", Name: evil}), kit.Job(kit.JobView{ID: evil, Title: evil, Href: "https://evil.example/", Cancel: "\\\\evil"}),
		kit.Search(kit.SearchView{Action: "https://evil.example", Name: "q", Value: evil}), kit.Proofs(kit.ProofsView{ID: evil, Items: []kit.Proof{{Text: evil, Detail: evil}}}),
	} {
		doc := parsed(t, n)
		if doc.Has("script") {
			t.Errorf("foreign text became an element: %s", rendered(t, n))
		}
		checkAddresses(t, "foreign", doc)
	}
}

func TestDigest(t *testing.T) {
	doc := parsed(t, kit.Digest(sum))
	if got := browser.Text(doc.One(".digest .short")); got != "7c1e90ab44d2" {
		t.Errorf("short %q", got)
	}
	if got := browser.Text(doc.One(".digest[tabindex=0] .whole")); got != sum {
		t.Errorf("whole %q", got)
	}
	if got, _ := browser.Attr(doc.One(".digest"), "data-copy"); got != sum {
		t.Errorf("copied %q", got)
	}
}

func TestTime(t *testing.T) {
	for _, c := range []struct {
		at   time.Time
		want string
	}{{now.Add(-72 * time.Hour), "3 days ago"}, {now.Add(90 * time.Minute), "in 90 minutes"}, {now.Add(time.Second), "now"}, {now, "less than a minute ago"}, {time.Time{}, "never"}} {
		doc := parsed(t, kit.Time(c.at, now))
		if got := browser.Text(doc.One("body")); got != c.want {
			t.Errorf("%v: %q", c.at, got)
		}
		if !c.at.IsZero() {
			if title, _ := browser.Attr(doc.One("time"), "title"); !strings.HasSuffix(title, " UTC") {
				t.Errorf("title %q", title)
			}
		}
	}
}

// A QR code is drawn dark on light with its quiet zone; what does not fit is written.
func TestQR(t *testing.T) {
	doc := parsed(t, kit.QR(kit.QRView{Text: "R-0042", Label: "Receipt"}))
	d, _ := browser.Attr(doc.One("figure.qr svg[role=img] path"), "d")
	if !strings.HasPrefix(d, "M4 4h7v1h-7z") {
		t.Errorf("the first row does not begin with the corner's seven modules: %.40s", d)
	}
	if box, _ := browser.Attr(doc.One("svg"), "viewbox"); box == "" {
		if box, _ = browser.Attr(doc.One("svg"), "viewBox"); box != "0 0 29 29" {
			t.Errorf("field %q", box)
		}
	}
	long := parsed(t, kit.QR(kit.QRView{Text: strings.Repeat("x", 5000)}))
	if long.Has("svg") || len(browser.Text(long.One("p"))) != 5000 {
		t.Error("a text that does not fit is lost")
	}
}

func TestDialog(t *testing.T) {
	doc := parsed(t, dialog())
	if doc.One("form[action=/tokens/7/revoke][data-inplace] button.danger") == nil || doc.One("a[href=/tokens]") == nil {
		t.Error("a dialog without its two ways")
	}
}
