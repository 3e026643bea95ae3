package daemon

import (
	"testing"

	"sallyport/internal/web"
)

func TestMember(t *testing.T) {
	stranger := web.Actor{UID: 4_000_000_001, GID: 4_000_000_002}
	for _, c := range []struct {
		groups []string
		want   bool
	}{
		{nil, false},
		{[]string{"root"}, false},
		{[]string{"4000000002"}, true},
		{[]string{"no-such-group-here"}, false},
	} {
		if got := member(c.groups)(stranger); got != c.want {
			t.Errorf("%q: %v", c.groups, got)
		}
	}
	if !member([]string{"root"})(web.Actor{UID: 4_000_000_001, GID: 0}) {
		t.Error("a group's name does not count")
	}
}
