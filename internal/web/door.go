package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"sallyport/internal/code"
	"sallyport/internal/wire"
)

// Door is the one choke point: whoever asks for something, through the socket, the console, a token or a job, asks here. It
// finds the action, lets the action judge who asks, runs it, and writes the audit line. Safe for concurrent use.
type Door struct {
	actions map[string]Action
	list    []Action
	log     *slog.Logger
	refused func(ctx context.Context, account, what, remote string)
}

// DoorOptions are what a door is made of.
type DoorOptions struct {
	Actions []Action
	Log     *slog.Logger
	Refused func(ctx context.Context, account, what, remote string) // hears of everybody who may not do what they asked for; nil: nobody does
}

// NewDoor makes a door over a table of actions.
func NewDoor(o DoorOptions) *Door {
	d := &Door{actions: map[string]Action{}, list: o.Actions, log: o.Log, refused: o.Refused}
	for _, a := range o.Actions {
		d.actions[a.Name] = a
	}
	return d
}

// Actions is the table, in its order.
func (d *Door) Actions() []Action { return d.list }

// Action finds one by its name, "feeds/list".
func (d *Door) Action(name string) (Action, bool) {
	a, ok := d.actions[name]
	return a, ok
}

// Do does one thing for somebody. in is a struct of wire, JSON as json.RawMessage or []byte, or nil; progress may be nil. The
// value is the action's own, and may stand beside an error. Codes not-found for an action that does not exist, denied and
// step-up-needed for somebody who may not, unexpected for a panic, and those of the action.
func (d *Door) Do(ctx context.Context, who Actor, action string, in any, progress func(wire.Progress)) (v any, err error) {
	a, body, err := d.judge(ctx, who, action, in)
	if err != nil {
		d.audit(who, a, "refused", err)
		if code.Of(err) == code.Denied && d.refused != nil {
			d.refused(ctx, who.Name(), a.Name, who.Remote)
		}
		return nil, err
	}
	if a.Long && a.Audit != "" {
		d.audit(who, a, "begun", nil)
	}
	v, err = d.run(ctx, a, NewCall(who, body, progress))
	switch {
	case refusal(err):
		d.audit(who, a, "refused", err)
	case err != nil:
		d.audit(who, a, "failed", err)
	case a.Audit != "":
		d.audit(who, a, "done", nil)
	}
	return v, err
}

// Allow judges as Do would, and does nothing: for showing a button or not.
func (d *Door) Allow(who Actor, action string, in any) error {
	_, _, err := d.judge(context.Background(), who, action, in)
	return err
}

// judge is where it is decided.
func (d *Door) judge(ctx context.Context, who Actor, action string, in any) (a Action, body []byte, err error) {
	a, ok := d.actions[action]
	if !ok {
		return Action{Name: action}, nil, code.New(code.Missing, "no such action").In(clip(action), "")
	}
	if body, err = encode(in); err != nil {
		return a, nil, err
	}
	if looks(ctx) && a.Audit != "" {
		return a, nil, code.New(code.Denied, "a page that is only looked at changes nothing").In(action, "").Do("Use the button of the page.")
	}
	return a, body, a.May(who, body)
}

// encode is a request as JSON.
func encode(in any) ([]byte, error) {
	switch v := in.(type) {
	case nil:
		return nil, nil
	case []byte:
		return v, nil
	case json.RawMessage:
		return v, nil
	}
	b, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return b, nil
}

// run turns a panic of an action into an error: one bad request must not end the daemon. The log alone gets the stack.
func (d *Door) run(ctx context.Context, a Action, c *Call) (v any, err error) {
	defer func() {
		if p := recover(); p != nil {
			d.log.Error("panic", "action", a.Name, "stack", string(debug.Stack()))
			err = code.New(code.Bug, "%s: panic: %v", a.Name, p)
		}
	}()
	return a.Run(ctx, c)
}

// audit writes who did what and how it ended. Requests and answers are not in it, so no secret can be; the error is, because
// it is what the person was told, and names files and digests alone.
func (d *Door) audit(who Actor, a Action, outcome string, err error) {
	action := a.Audit
	if action == "" {
		action = clip(a.Name)
	}
	attrs := []any{"actor", who.Name(), "action", action, "outcome", outcome, "via", who.Via}
	if who.Remote != "" {
		attrs = append(attrs, "remote", who.Remote)
	}
	if who.Session != "" {
		attrs = append(attrs, "session", who.Session)
	}
	if err != nil {
		attrs = append(attrs, "code", string(code.Of(err)), "error", err.Error())
	}
	d.log.Info("audit", attrs...)
}

// refusal tells whether an error says that somebody may not do this.
func refusal(err error) bool {
	var e *code.Error
	return errors.As(err, &e) && code.Lookup(e.Code).Kind == code.Auth
}

// clip cuts foreign text for a line of the log.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

type lookKey struct{}

// looking marks a request that must not change anything.
func looking(ctx context.Context) context.Context { return context.WithValue(ctx, lookKey{}, true) }

func looks(ctx context.Context) bool { return ctx.Value(lookKey{}) != nil }
