package daemon

import (
	"os/user"
	"slices"
	"strconv"

	"sallyport/internal/access"
	"sallyport/internal/web"
)

// member says what the groups of the moment let a user of the socket do. Whoever has no role may not use it.
func member(groups []Group) func(web.Actor) access.Roles {
	return func(a web.Actor) access.Roles { return rolesOf(groups, groupsOf(a)) }
}

// rolesOf is what the groups that somebody is in give together.
func rolesOf(groups []Group, in []int) (all access.Roles) {
	for _, g := range groups {
		if slices.Contains(in, g.ID) {
			all |= g.Roles
		}
	}
	return all
}

// groupsOf are the groups of a process as the kernel says, and those of its user.
func groupsOf(a web.Actor) []int {
	ids := []int{int(a.GID)}
	u, err := user.LookupId(strconv.FormatUint(uint64(a.UID), 10))
	if err != nil {
		return ids
	}
	more, err := u.GroupIds()
	if err != nil {
		return ids
	}
	for _, text := range more {
		if id, err := strconv.Atoi(text); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}
