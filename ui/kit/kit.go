// Package kit is the set of parts every page of the console is composed of: each component of the design once.
//
// Data: none of its own. A component takes one view struct of plain values and writes HTML; the zero value of every
// view renders something sensible. Meaning is carried by a Tone, which is always an icon and a word beside its colour.
// No component writes a style or a script into the page, none reads a clock, and none makes a link that leaves the
// appliance: an address from outside is shown as text.
//
// Order: pure functions, rendered into a buffer by whoever asks; nothing is written, nothing can be left behind by a crash.
package kit

import (
	"context"
	"io"
	"strings"

	"github.com/a-h/templ"
)

// Node is anything that can stand on a page.
type Node = templ.Component

// Tone is what something means to the reader. It is never shown by colour alone.
type Tone string

// The tones. Plain is a neutral grey; Unknown is a state of its own and never looks like OK.
const (
	Plain   Tone = ""
	OK      Tone = "ok"
	Warn    Tone = "warn"
	Bad     Tone = "bad"
	Unknown Tone = "unk"
	Accent  Tone = "acc"
)

// Link is a label that leads somewhere on this appliance. The zero value is no link.
type Link struct{ Label, Href string }

// nothing renders nothing.
func nothing(context.Context, io.Writer) error { return nil }

// some gives a node that can be rendered, also for nil.
func some(n Node) Node {
	if n == nil {
		return templ.ComponentFunc(nothing)
	}
	return n
}

// If is n when the condition holds, else nothing.
func If(cond bool, n Node) Node {
	if cond {
		return some(n)
	}
	return templ.ComponentFunc(nothing)
}

// local tells whether an address stays on this appliance: a path, a query or a fragment.
func local(href string) bool {
	if strings.HasPrefix(href, "//") || strings.ContainsAny(href, "\\\r\n\t") {
		return false
	}
	return strings.HasPrefix(href, "/") || strings.HasPrefix(href, "?") || strings.HasPrefix(href, "#")
}

// to is the address of a link; one that would leave the appliance becomes an empty fragment.
func to(href string) templ.SafeURL {
	if !local(href) {
		return "#"
	}
	return templ.SafeURL(href)
}

// icon names the picture of a tone.
func (t Tone) icon() string {
	if t == Plain || t == Accent {
		return "dot"
	}
	return string(t)
}

// word says a tone aloud where only its icon is shown.
func (t Tone) word() string {
	switch t {
	case OK:
		return "in order"
	case Warn:
		return "attention"
	case Bad:
		return "failed"
	case Unknown:
		return "unknown"
	}
	return "note"
}

// classes joins the names that are not empty.
func classes(names ...string) string {
	var kept []string
	for _, n := range names {
		if n != "" {
			kept = append(kept, n)
		}
	}
	return strings.Join(kept, " ")
}

// when is name if the condition holds.
func when(cond bool, name string) string {
	if cond {
		return name
	}
	return ""
}

// attr is one attribute, none when its value is empty.
func attr(name, value string) templ.Attributes {
	if value == "" {
		return nil
	}
	return templ.Attributes{name: value}
}

// polite marks a part whose changes are announced when the reader pauses.
func polite(live bool) templ.Attributes {
	if !live {
		return nil
	}
	return templ.Attributes{"aria-live": "polite"}
}

// All stands nodes one behind the other, without anything around them.
func All(nodes ...Node) Node {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		for _, n := range nodes {
			if err := some(n).Render(ctx, w); err != nil {
				return err
			}
		}
		return nil
	})
}

// With gives a component its children, for pages that are composed in Go.
func With(parent Node, children ...Node) Node {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		return parent.Render(templ.WithChildren(ctx, All(children...)), w)
	})
}
