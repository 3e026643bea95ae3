package web

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// Actor is who is at the other end of a unix socket, as the kernel says.
type Actor struct {
	UID   uint32 // of the process
	GID   uint32
	Login uint32 // who signed in, also behind sudo; UID when the kernel does not know
	Admin bool   // root or the daemon's own user
	Lone  bool   // root that nobody signed in to start: it may be anyone, so it never counts as the second person
}

// NoLogin is what the kernel says of a process that nobody signed in to start.
const NoLogin = ^uint32(0)

// Name is the person for timeline and approvals: the name of the login user, else uid:N.
func (a Actor) Name() string {
	id := strconv.FormatUint(uint64(a.Login), 10)
	if u, err := user.LookupId(id); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid:" + id
}

type actorKey struct{}

// withActor asks the kernel who connected. A connection that cannot tell gets no credentials and so no rights.
func withActor(ctx context.Context, c net.Conn) context.Context {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return ctx
	}
	var cred *syscall.Ucred
	if raw.Control(func(fd uintptr) {
		cred, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}) != nil || err != nil {
		return ctx
	}
	a := Actor{UID: cred.Uid, GID: cred.Gid, Admin: cred.Uid == 0 || int(cred.Uid) == os.Getuid()}
	var known bool
	a.Login, known = login(cred)
	a.Lone = cred.Uid == 0 && !known
	return context.WithValue(ctx, actorKey{}, a)
}

// login is the audit login uid of a process, and whether the kernel knows it; a process that has ended, or that nobody
// signed in to start, counts under its own uid.
func login(cred *syscall.Ucred) (uid uint32, known bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/loginuid", cred.Pid))
	if err != nil {
		return cred.Uid, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	if err != nil || uint32(n) == NoLogin {
		return cred.Uid, false
	}
	return uint32(n), true
}
