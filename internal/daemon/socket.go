package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"sallyport/internal/access"
	"sallyport/internal/code"
	"sallyport/internal/config"
)

// Group is one of socket.groups, found on this machine.
type Group struct {
	Name  string // as it was written, without its roles: a name or a number
	ID    int
	Roles access.Roles // what its members may do
}

// Groups finds socket.groups: names that this machine knows, or numbers, each alone (its members operate and approve) or with
// roles, as in wheel:admin or 1001:operator+approver. Code config names the one that is neither.
func Groups(c config.Config) (all []Group, err error) {
	for _, entry := range c.SocketGroups {
		name, given, some := strings.Cut(entry, ":")
		roles := access.Of(access.Operator, access.Approver)
		if some {
			if roles, err = access.ParseRoles(given); err != nil {
				return nil, code.Wrap(code.BadConfig, err, "group %.60q", entry).In(c.Source("socket.groups"), "socket.groups").
					Want("GROUP or GROUP:ROLE+ROLE, with roles like "+access.Of(access.All()...).String(), entry).Do("Name its roles, then run sallyport check-config.")
			}
		}
		text := name
		if g, err := user.LookupGroup(name); err == nil {
			text = g.Gid
		}
		id, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return nil, code.New(code.BadConfig, "there is no group %.60q on this machine", name).In(c.Source("socket.groups"), "socket.groups").
				Want("a group of this machine, or its number", name).Do("Make it with groupadd, or name another, then run sallyport check-config.")
		}
		all = append(all, Group{name, int(id), roles})
	}
	return all, nil
}

// OneOwner says what several groups mean for a socket; "" when there is nothing to say. A file belongs to one group, so the
// first one opens it, and the others count for who has come in.
func OneOwner(all []Group) string {
	if len(all) < 2 {
		return ""
	}
	var more []string
	for _, g := range all[1:] {
		more = append(more, g.Name)
	}
	return fmt.Sprintf("a socket belongs to one group: members of %s open it; those of %s do only when they are in %s too. Put everybody into one group.",
		all[0].Name, strings.Join(more, ", "), all[0].Name)
}

// admit gives the socket to the first of socket.groups, and the right to pass through the folders of the data directory that
// lead to it, without reading them: what lies in them is for the daemon's user alone. Folders outside the data directory are the
// packager's; one that nobody of the group can pass is only named in the log.
func (d *Daemon) admit() error {
	groups, err := Groups(d.cfg)
	if err != nil {
		return err
	}
	socket := d.Socket()
	if len(groups) == 0 {
		d.log.Info("who may come", "socket", socket, "users", []string{"root", fmt.Sprintf("uid %d", os.Geteuid())})
		return nil
	}
	first := groups[0]
	if err := d.give(socket, first, 0o660); err != nil {
		return err
	}
	for dir := filepath.Dir(socket); within(d.cfg.DataDir, dir); dir = filepath.Dir(dir) {
		if passes(dir, first.ID) {
			continue
		}
		if err := d.give(dir, first, 0o710); err != nil {
			return err
		}
	}
	d.log.Info("who may come", "socket", socket, "users", []string{"root", fmt.Sprintf("uid %d", os.Geteuid())}, "groups", d.cfg.SocketGroups)
	if text := OneOwner(groups); text != "" {
		d.log.Warn("socket.groups", "note", text)
	}
	for dir := filepath.Dir(socket); ; dir = filepath.Dir(dir) {
		if !passes(dir, first.ID) {
			d.log.Warn("members of the group cannot reach the socket through this folder", "folder", dir, "group", first.Name,
				"next", "chmod o+x "+dir+", or set socket.path to a place like /run/sallyport/sallyport.sock")
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// give makes a file the group's. Only root, or an owner who is in the group, can.
func (d *Daemon) give(path string, g Group, mode fs.FileMode) error {
	if err := os.Chown(path, -1, g.ID); errors.Is(err, fs.ErrPermission) {
		return code.Wrap(code.BadConfig, err, "give the socket to group %s", g.Name).In(path, "socket.groups").
			Do("Make the daemon's user a member of the group, or start the daemon as root.")
	} else if err != nil {
		return fmt.Errorf("give the socket to group %s: %w", g.Name, err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("give the socket to group %s: %w", g.Name, err)
	}
	return nil
}

// within tells whether a folder is the data directory or lies in it.
func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// passes tells whether somebody who has nothing but the group may go through a folder.
func passes(dir string, gid int) bool {
	info, err := os.Stat(dir)
	if err != nil {
		return false
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Gid) == gid {
		return info.Mode().Perm()&0o010 != 0
	}
	return info.Mode().Perm()&0o001 != 0
}
