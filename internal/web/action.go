package web

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"sallyport/internal/access"
	"sallyport/internal/code"
	"sallyport/internal/wire"
)

// Action is one verb of the product: a row of the one table from which console, command line, API, scopes, audit and the
// description of the API are made. Rows are made by Row.
type Action struct {
	Name    string       // "feeds/list": a noun and a verb
	Summary string       // one sentence for people
	Roles   access.Roles // who may: one of these is enough; nobody else
	Approve access.Roles // who may as well, with a request that says yes to a digest ("approve")
	Scope   string       // what a token must have; "" is no token, ever
	Audit   string       // what the audit line calls it; "" is a read, which has none
	StepUp  bool         // the console asks for password and code again
	Long    bool         // answers with a stream of lines
	Job     bool         // may go on as a job when whoever asked has left
	In, Out any          // zero values of the request and of the answer
	Run     func(ctx context.Context, c *Call) (any, error)
}

// Row makes an action that reads. Its request and its answer have the types of the function that does it, so the table
// cannot say anything else than what is decoded and given back. An answer that is zero beside an error is not sent.
func Row[In, Out any](name, summary string, roles access.Roles, scope string, run func(context.Context, *Call, In) (Out, error)) Action {
	var in In
	var out Out
	return Action{Name: name, Summary: summary, Roles: roles, Scope: scope, In: in, Out: out, Run: func(ctx context.Context, c *Call) (any, error) {
		var q In
		if err := c.Decode(&q); err != nil {
			return nil, err
		}
		v, err := run(ctx, c, q)
		if err != nil && reflect.ValueOf(&v).Elem().IsZero() {
			return nil, err
		}
		return v, err
	}}
}

// Changes makes it one that changes something: it is audited, as noun.verb.
func (a Action) Changes() Action {
	a.Audit = strings.ReplaceAll(a.Name, "/", ".")
	return a
}

// Streams makes it one that answers with lines.
func (a Action) Streams() Action {
	a.Long = true
	return a
}

// Jobs makes it a long one that may also be started as a job.
func (a Action) Jobs() Action {
	a.Long, a.Job = true, true
	return a
}

// Proves makes it one for which the console asks for password and code again. A token cannot answer, so it never may.
func (a Action) Proves() Action {
	a.StepUp, a.Scope = true, ""
	return a
}

// Yes lets others say yes to what somebody proposed, by its digest.
func (a Action) Yes(roles access.Roles) Action {
	a.Approve = roles
	return a
}

// Noun is the part of its name before the verb.
func (a Action) Noun() string {
	noun, _, _ := strings.Cut(a.Name, "/")
	return noun
}

// May decides who may do this, and nothing else does: nil, or an error of code denied or step-up-needed. body is the request as
// JSON.
func (a Action) May(who Actor, body []byte) error {
	allowed := a.Roles
	if a.Approve != 0 && approves(body) != "" {
		allowed |= a.Approve
	}
	if !who.Roles.Any(allowed) {
		return code.New(code.Denied, "%s may not do this", who.Name()).In(a.Name, "").Want(words(allowed), rolesOr(who.Roles)).
			Do("Ask someone who has one of these roles.")
	}
	switch {
	case who.Via != ViaToken:
	case a.Scope == "":
		return code.New(code.Denied, "no token may do this: it is for people").In(a.Name, "").Do("Do it in the console or on the command line.")
	case !covers(who.Scopes, a.Scope):
		return code.New(code.Denied, "this token may not do this").In(a.Name, "").Want(a.Scope, strings.Join(who.Scopes, " ")).
			Do("Make a token that has this scope.")
	}
	if a.StepUp && !who.Fresh {
		return code.New(code.StepUpNeeded, "").In(a.Name, "")
	}
	return nil
}

// words names roles for a sentence.
func words(r access.Roles) string { return strings.ReplaceAll(r.String(), "+", " or ") }

func rolesOr(r access.Roles) string {
	if r == 0 {
		return "no role"
	}
	return r.String()
}

// approves is the digest that a request says yes to; "" is none. It reads as the action itself will.
func approves(body []byte) string {
	var q struct {
		Approve string `json:"approve"`
	}
	if json.Unmarshal(body, &q) != nil {
		return ""
	}
	return q.Approve
}

// covers tells whether one of the scopes of a token is the one that is wanted; "export:*" is every one of export.
func covers(scopes []string, want string) bool {
	return slices.ContainsFunc(scopes, func(s string) bool {
		prefix, all := strings.CutSuffix(s, "*")
		return s == want || all && strings.HasSuffix(prefix, ":") && strings.HasPrefix(want, prefix)
	})
}

// Call is one request of an action.
type Call struct {
	Actor    Actor
	body     []byte
	progress func(wire.Progress)
}

// NewCall makes a call for tests and for actions that run others. body is the request's JSON.
func NewCall(a Actor, body []byte, progress func(wire.Progress)) *Call {
	if progress == nil {
		progress = func(wire.Progress) {}
	}
	return &Call{Actor: a, body: body, progress: progress}
}

// Decode reads the request; unknown members are refused.
func (c *Call) Decode(into any) error {
	if len(c.body) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(c.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return code.Wrap(code.BadUsage, err, "the request does not decode")
	}
	return nil
}

// Approves is the digest that the request says yes to; "" is none.
func (c *Call) Approves() string { return approves(c.body) }

// Progress reports how far a long action is, at most four times a second; a Note is never dropped. Safe for concurrent
// use; in a short action it does nothing.
func (c *Call) Progress(p wire.Progress) { c.progress(p) }

// Failed is the zero value of the body of an answer that is an error, for the description of the API.
func Failed() any { return problem{} }
