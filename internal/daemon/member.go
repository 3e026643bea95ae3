package daemon

import (
	"os/user"
	"slices"
	"strconv"

	"sallyport/internal/web"
)

// member judges by socket.groups, with the groups of the moment: names or numbers.
func member(groups []string) func(web.Actor) bool {
	return func(a web.Actor) bool {
		ids := []string{strconv.FormatUint(uint64(a.GID), 10)}
		if u, err := user.LookupId(strconv.FormatUint(uint64(a.UID), 10)); err == nil {
			if more, err := u.GroupIds(); err == nil {
				ids = append(ids, more...)
			}
		}
		for _, g := range groups {
			id := g
			if found, err := user.LookupGroup(g); err == nil {
				id = found.Gid
			}
			if slices.Contains(ids, id) {
				return true
			}
		}
		return false
	}
}
