package kit

import (
	"maps"
	"slices"
	"strconv"

	"github.com/a-h/templ"
)

// FormView is a form. Without JavaScript it is a plain POST and the answer is a page.
type FormView struct {
	Action   string
	Method   string // "" = post
	InPlace  bool   // with JavaScript the answer's content replaces this page's
	Files    bool   // carries files
	Upload   string // with JavaScript its files are sent in pieces to this address, and resumed
	Next     string // where the finished upload's id is appended and shown
	Label    string // what the form is for, for the ear
	Problems []NoticeView
}

// FieldView is one field with its label, hint and error.
type FieldView struct {
	ID           string // "" = "f-" and Name; a page with two fields of one name must give one
	Name, Label  string
	Hint, Error  string
	Value        string
	Type         string // text password number email search date file textarea select radio checks checkbox; "" = text; checks = several of Options
	Autocomplete string
	InputMode    string
	Accept       string // of files
	Placeholder  string
	Prefix       string // words before the input ("sp_")
	Required     bool
	Autofocus    bool
	Checked      bool
	ReadOnly     bool
	Multiple     bool // of files
	Mono         bool // digests, words, codes
	Rows         int  // of a textarea
	MaxLength    int
	Options      []Option // of select and radio
}

// Option is one choice of a field.
type Option struct {
	Value, Label, Hint string
	Selected           bool
}

// ButtonKind is how much a button asks for attention. A page has one primary button at most.
type ButtonKind string

// The kinds of buttons.
const (
	Quiet   ButtonKind = ""
	Primary ButtonKind = "primary"
	Danger  ButtonKind = "danger"
)

// ButtonView is a button, or with Href a link that looks like one. Without a label it is nothing.
type ButtonView struct {
	Label       string
	Href        string
	Name, Value string // what it adds to its form
	Form        string // id of the form when the button stands outside
	Kind        ButtonKind
	Disabled    string // why it cannot be pressed now; shown beside it
	Context     string // for the ear, when several buttons have one label: "Cancel import 7"
}

// PostView is a form of one button.
type PostView struct {
	Action  string
	Label   string
	Kind    ButtonKind
	Hidden  map[string]string
	InPlace bool
	Context string
}

// DialogView asks one question on its own page.
type DialogView struct {
	Title    string
	Text     string // the consequence, in a sentence
	Action   string
	Confirm  string // the label of what is done, a verb: "Revoke"
	Cancel   string // where "Not now" leads
	Danger   bool
	Hidden   map[string]string
	Problems []NoticeView
}

// SearchView is a search field; it is a GET, so that its answer has an address.
type SearchView struct {
	Action, Name, Value string
	Label, Hint         string
	Hidden              map[string]string
}

// TabsView is a row of links that show parts, or with Pills filters, of one thing.
type TabsView struct {
	Label string
	Items []Tab
	Pills bool
}

// Tab is one of them.
type Tab struct {
	Label, Href, Count string
	Current            bool
}

func (v FormView) attrs() templ.Attributes {
	a := templ.Attributes{"method": v.Method, "action": string(to(v.Action)), "novalidate": true}
	if v.Method == "" {
		a["method"] = "post"
	}
	if v.Files || v.Upload != "" {
		a["enctype"] = "multipart/form-data"
	}
	if v.Label != "" {
		a["aria-label"] = v.Label
	}
	if v.InPlace {
		a["data-inplace"] = true
	}
	if v.Upload != "" {
		a["data-upload"], a["data-next"] = v.Upload, v.Next
	}
	return a
}

func (v FieldView) id() string {
	if v.ID != "" {
		return v.ID
	}
	return "f-" + v.Name
}

// attrs are what every kind of field has.
func (v FieldView) attrs() templ.Attributes {
	a := templ.Attributes{"id": v.id(), "name": v.Name}
	for name, value := range map[string]string{
		"autocomplete": v.Autocomplete, "inputmode": v.InputMode, "accept": v.Accept, "placeholder": v.Placeholder,
		"class": when(v.Mono, "mono"), "aria-describedby": v.described(), "aria-invalid": when(v.Error != "", "true"),
	} {
		if value != "" {
			a[name] = value
		}
	}
	for name, is := range map[string]bool{
		"required": v.Required, "readonly": v.ReadOnly, "multiple": v.Multiple, "checked": v.Checked && v.Type == "checkbox",
		"autofocus": v.Autofocus || v.Error != "",
	} {
		if is {
			a[name] = true
		}
	}
	if v.MaxLength > 0 {
		a["maxlength"] = strconv.Itoa(v.MaxLength)
	}
	return a
}

// described names the elements that explain the field.
func (v FieldView) described() string {
	return classes(when(v.Hint != "", v.id()+"-hint"), when(v.Error != "", v.id()+"-error"))
}

func (v FieldView) kind() string {
	if v.Type == "" {
		return "text"
	}
	return v.Type
}

func (v FieldView) rows() string { return strconv.Itoa(max(v.Rows, 3)) }

// option is the field of one choice of a radio group.
func (v FieldView) option(i int) FieldView {
	o := v.Options[i]
	return FieldView{ID: v.id() + "-" + strconv.Itoa(i), Name: v.Name, Value: o.Value, Hint: o.Hint, Required: v.Required && v.Type == "radio", Autofocus: v.Autofocus && i == 0}
}

// names lists the hidden fields in a fixed order.
func names(hidden map[string]string) []string { return slices.Sorted(maps.Keys(hidden)) }

// kind is the button of a dialog.
func (v DialogView) kind() ButtonKind {
	if v.Danger {
		return Danger
	}
	return Primary
}

// checkValue is what a ticked box sends.
func (v FieldView) checkValue() string {
	if v.Value == "" {
		return "yes"
	}
	return v.Value
}
