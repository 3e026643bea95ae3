package daemon

import (
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/code"
	"sallyport/internal/config"
	"sallyport/internal/web"
)

// groupsOn reads socket.groups as the configuration has it.
func groupsOn(t *testing.T, text string) ([]Group, error) {
	t.Helper()
	c := config.New(t.TempDir())
	if err := c.Set("socket.groups", text, "test"); err != nil {
		t.Fatal(err)
	}
	return Groups(c)
}

func TestMember(t *testing.T) {
	stranger := web.Actor{UID: 4_000_000_001, GID: 400_000_002}
	for _, c := range []struct {
		groups string
		gid    uint32
		want   access.Roles
	}{
		{"", 400_000_002, 0},
		{"root", 400_000_002, 0},
		{"400000002", 400_000_002, access.Of(access.Operator, access.Approver)},
		{"400000002:viewer", 400_000_002, access.Of(access.Viewer)},
		{"400000002:admin, 400000003", 400_000_002, access.Of(access.Admin)},
		{"400000002:viewer, 400000002:auditor+operator", 400_000_002, access.Of(access.Viewer, access.Auditor, access.Operator)},
		{"root:approver", 0, access.Of(access.Approver)},
	} {
		groups, err := groupsOn(t, c.groups)
		if err != nil {
			t.Errorf("%q: %v", c.groups, err)
		}
		stranger.GID = c.gid
		if got := member(groups)(stranger); got != c.want {
			t.Errorf("%q: %v, want %v", c.groups, got, c.want)
		}
	}
}

func TestGroupsThatAreNone(t *testing.T) {
	for _, text := range []string{"no-such-group-here", "root:king", "root:", "root:admin:more", ":admin"} {
		if all, err := groupsOn(t, text); code.Of(err) != code.BadConfig {
			t.Errorf("%q: %v %v", text, all, err)
		}
	}
}
