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
	"time"

	"sallyport/internal/access"
)

// The ways somebody comes in.
const (
	ViaSocket  = "socket"  // a process of this host, as the kernel says
	ViaConsole = "console" // a browser with a session
	ViaToken   = "token"   // a program with an API token
)

// Actor is who asks for something. It is plain data: a job that outlives its request keeps it as JSON.
type Actor struct {
	UID   uint32 `json:"uid"`             // of the process; socket only, as are GID, Login, Admin and Lone
	GID   uint32 `json:"gid"`             // of the process
	Login uint32 `json:"login"`           // who signed in, also behind sudo; UID when the kernel does not know
	Admin bool   `json:"admin,omitempty"` // root or the daemon's own user
	Lone  bool   `json:"lone,omitempty"`  // root that nobody signed in to start: it may be anyone, so it never counts as the second person

	Via     string        `json:"via"`               // one of the ways above
	Account string        `json:"account,omitempty"` // of the console; "" on the socket unless somebody joined the two
	Person  string        `json:"person,omitempty"`  // who it is for approvals and timeline; "" : see Name
	Roles   access.Roles  `json:"roles"`
	Scopes  []string      `json:"scopes,omitempty"`  // of a token
	Session string        `json:"session,omitempty"` // public id of the session or token, never the secret
	Proven  time.Duration `json:"proven,omitempty"`  // when a session last gave its proof, on the monotonic clock
	Fresh   bool          `json:"fresh,omitempty"`   // that is at most five minutes ago; on the socket always
	Remote  string        `json:"remote,omitempty"`  // address of the peer without its port; "" on the socket
}

// NoLogin is what the kernel says of a process that nobody signed in to start.
const NoLogin = ^uint32(0)

// Name is the person for timeline and approvals: Person, else the account, else the name of the login user, else uid:N.
func (a Actor) Name() string {
	switch {
	case a.Person != "":
		return a.Person
	case a.Account != "":
		return a.Account
	case a.Via == ViaToken:
		return "token:" + a.Session
	case a.Via == ViaConsole:
		return "nobody"
	}
	id := strconv.FormatUint(uint64(a.Login), 10)
	if u, err := user.LookupId(id); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid:" + id
}

// actorOf is who a session or a token belongs to.
func actorOf(who access.Who, via, remote string) Actor {
	return Actor{
		Via: via, Account: who.Account, Person: who.Person, Roles: who.Roles, Scopes: who.Scopes, Session: who.Session, Proven: who.Proven,
		Fresh: who.Fresh, Remote: remote, UID: NoLogin, GID: NoLogin, Login: NoLogin,
	}
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
	a := Actor{UID: cred.Uid, GID: cred.Gid, Admin: cred.Uid == 0 || int(cred.Uid) == os.Getuid(), Via: ViaSocket, Fresh: true}
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
