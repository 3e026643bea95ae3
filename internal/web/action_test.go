package web

import (
	"context"
	"errors"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/code"
)

func TestScopesCover(t *testing.T) {
	for _, c := range []struct {
		have []string
		want string
		ok   bool
	}{
		{nil, "feed:read", false},
		{[]string{"feed:read"}, "feed:read", true},
		{[]string{"feed:*"}, "feed:read", true},
		{[]string{"export:*"}, "export:profile:manage", true},
		{[]string{"feed*"}, "feed:read", false},
		{[]string{"*"}, "feed:read", false},
		{[]string{":*"}, "feed:read", false},
		{[]string{"feed:re"}, "feed:read", false},
		{[]string{"feed:reading"}, "feed:read", false},
		{[]string{""}, "feed:read", false},
	} {
		if got := covers(c.have, c.want); got != c.ok {
			t.Errorf("%q for %s: %v", c.have, c.want, got)
		}
	}
}

// A digest in the request lets in those who may agree, and is read as the action reads it.
func TestApproveInRequest(t *testing.T) {
	a := Action{Name: "x/y", Roles: access.Of(access.Admin), Approve: access.Of(access.Approver)}
	who := Actor{Via: ViaSocket, Fresh: true, Roles: access.Of(access.Approver)}
	for body, may := range map[string]bool{
		`{}`: false, ``: false, `{"approve":""}`: false, `{"approve":null}`: false, `{"approve":1}`: false, `[]`: false, `{"approve":"d"`: false,
		`{"approve":"d"}`: true, `{"APPROVE":"d"}`: true, `{"approve":"d","approve":""}`: false,
	} {
		if err := a.May(who, []byte(body)); (err == nil) != may || err != nil && code.Of(err) != code.Denied {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// A zero answer beside an error is not sent; one that says something is.
func TestRowAnswers(t *testing.T) {
	type said struct{ Word string }
	fails := errors.New("no")
	for _, c := range []struct {
		out  *said
		err  error
		sent bool
	}{{nil, fails, false}, {&said{"found"}, fails, true}, {&said{}, nil, true}} {
		row := Row("x/y", "", 0, "", func(context.Context, *Call, struct{}) (*said, error) { return c.out, c.err })
		v, err := row.Run(context.Background(), NewCall(Actor{}, nil, nil))
		if !errors.Is(err, c.err) || (v != nil) != c.sent {
			t.Errorf("%+v: %v %v", c, v, err)
		}
	}
	row := Row("x/y", "", 0, "", func(context.Context, *Call, struct{}) (said, error) { return said{}, fails })
	if v, err := row.Run(context.Background(), NewCall(Actor{}, nil, nil)); v != nil || !errors.Is(err, fails) {
		t.Errorf("%v %v", v, err)
	}
}
