package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"sallyport/internal/cert"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/config"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// front is how browsers reach this daemon, as far as they do. Its zero value is: not at all.
type front struct {
	mu    sync.Mutex
	keep  *cert.Keeper
	at    net.Addr // where HTTPS answers; nil: nowhere
	plain net.Addr // where HTTP answers on loopback
	err   error    // why HTTPS does not answer
}

// https is the address that was asked for; "" is none.
func (d *Daemon) https() string {
	if d.cfg.ListenHTTPS == config.AutoHTTPS {
		return ""
	}
	return d.cfg.ListenHTTPS
}

// openDoors makes the certificate and answers over HTTPS and on plain loopback. A certificate or an address that people chose and
// that cannot be used ends the start, in words; what the machine lacks (the port is taken, the disk is full, the address is not
// there yet) does not: the socket answers, status says why, and the next minute tries again.
func (d *Daemon) openDoors(server *web.Server) error {
	if err := cert.Judge(d.cfg.TLSCert, d.cfg.TLSKey); err != nil {
		return err
	}
	if err := d.openPlain(server); err != nil {
		return err
	}
	if err := d.openHTTPS(server); code.Has(err, code.FsyncFailed) {
		return err
	}
	return nil
}

func (d *Daemon) openPlain(server *web.Server) error {
	if d.cfg.ListenHTTP == "" {
		return nil
	}
	l, err := net.Listen("tcp", d.cfg.ListenHTTP)
	if err != nil {
		return code.Wrap(code.BadConfig, err, "listen").In(d.cfg.ListenHTTP, "listen.http")
	}
	d.front.mu.Lock()
	d.front.plain = l.Addr()
	d.front.mu.Unlock()
	d.log.Info("listening", "address", l.Addr().String(), "tls", false)
	d.answer(l, func() error { return server.ServePlain(l) })
	return nil
}

// openHTTPS answers over HTTPS when that is asked for and not yet done.
func (d *Daemon) openHTTPS(server *web.Server) (err error) {
	f := &d.front
	f.mu.Lock()
	defer f.mu.Unlock()
	if d.https() == "" || f.at != nil {
		return nil
	}
	defer func() {
		if err != nil && (f.err == nil || f.err.Error() != err.Error()) {
			d.log.Warn("no console over the network", "address", d.https(), "err", err.Error(), "next", code.NextStep(err))
		}
		f.err = err
	}()
	if f.keep == nil {
		if f.keep, err = cert.Open(d.certificate(), d.marks.Now()); err != nil {
			return fmt.Errorf("certificate: %w", err)
		}
	}
	l, err := net.Listen("tcp", d.https())
	if err != nil {
		return d.unable(err)
	}
	f.at = l.Addr()
	keep := f.keep
	d.answer(l, func() error { return server.ServeTLS(l, keep.Get) })
	return nil
}

// answer serves a listener in a goroutine that Serve waits for.
func (d *Daemon) answer(l net.Listener, serve func() error) {
	d.goDo(func() {
		if err := serve(); err != nil {
			d.die(fmt.Errorf("answer on %s: %w", l.Addr(), err))
		}
	})
}

// unable says in words why an address cannot be listened on.
func (d *Daemon) unable(err error) error {
	e := code.Wrap(code.BadConfig, err, "the console cannot answer").In(d.https(), "listen.https")
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		e.Msg = "another program answers at this address already"
		return e.Do("Give this appliance another port: listen.https, or sallyport serve --listen 127.0.0.1:8444. Commands work without it.")
	case errors.Is(err, syscall.EACCES):
		return e.Do("Choose a port above 1023, or let the daemon's user open this one.")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return e.Do("Check that this machine has the address; it is tried again each minute.")
	}
	return e.Do("Correct listen.https and run sallyport check-config.")
}

// certificate is what ours is made from.
func (d *Daemon) certificate() cert.Options {
	o := cert.Options{
		Dir: at(d.cfg.DataDir, "tls"), FS: d.deps.FS, Random: d.deps.Random, Label: d.in.Name, Cert: d.cfg.TLSCert, Key: d.cfg.TLSKey,
		Asked: append([]string{"localhost", "127.0.0.1", "::1"}, d.cfg.Hosts...),
	}
	host, _, _ := net.SplitHostPort(d.https())
	name, err := os.Hostname()
	if err == nil {
		o.Found = append(o.Found, name)
	}
	if everywhere(host) {
		o.Found = append(o.Found, addresses()...)
	} else {
		o.Asked = append(o.Asked, host)
		o.Spare = addresses() // a CA of today may speak for them when listen.https is opened to the network
	}
	return o
}

// everywhere tells whether a host to listen on stands for every address of the machine.
func everywhere(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// addresses are those by which other machines may reach this one.
func addresses() (out []string) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			out = append(out, n.IP.String())
		}
	}
	return out
}

// ours tells whether a name a browser asked for is one of this machine's.
func (d *Daemon) ours(host string) bool {
	ip := net.ParseIP(host)
	listen, _, _ := net.SplitHostPort(d.https())
	if host == "localhost" || ip != nil && ip.IsLoopback() || slices.Contains(d.cfg.Hosts, host) || host == strings.ToLower(listen) && host != "" {
		return true
	}
	d.front.mu.Lock()
	keep := d.front.keep
	d.front.mu.Unlock()
	if keep != nil && keep.Speaks(host) {
		return true
	}
	return ip != nil && everywhere(listen) && slices.Contains(addresses(), ip.String())
}

// Authority is our site CA's certificate, nil when there is none.
func (d *Daemon) Authority() []byte {
	d.front.mu.Lock()
	defer d.front.mu.Unlock()
	if d.front.keep == nil {
		return nil
	}
	return d.front.keep.CA()
}

// tendHTTPS renews the certificate, takes up another one that was brought, and tries again to listen where a person said so.
func (d *Daemon) tendHTTPS(ctx context.Context, server *web.Server) {
	d.front.mu.Lock()
	keep, open, given := d.front.keep, d.front.at != nil, d.front.err
	d.front.mu.Unlock()
	if !open && (d.cfg.Source("listen.https") != "default" || !errors.Is(given, syscall.EADDRINUSE)) {
		if err := d.openHTTPS(server); err == nil && d.https() != "" {
			d.minute("no set-up code", d.welcome(ctx))
		} else if code.Has(err, code.FsyncFailed) {
			d.die(err)
		}
		return
	}
	if !open || keep == nil {
		return
	}
	changed, err := keep.Check(d.marks.Now())
	switch {
	case code.Has(err, code.FsyncFailed):
		d.die(err)
	case err != nil:
		d.log.Warn("certificate not renewed; the one before stays", "err", err.Error(), "next", code.NextStep(err))
	case changed:
		f := keep.Facts()
		d.log.Info("certificate renewed", "fingerprint", f.Fingerprint, "until", clock.Format(f.NotAfter))
	}
}

// Console is how browsers reach this daemon, for status and the first page; nil when nobody asked for that.
func (d *Daemon) Console() *wire.Console {
	d.front.mu.Lock()
	defer d.front.mu.Unlock()
	f := &d.front
	if d.https() == "" && f.plain == nil {
		return nil
	}
	c := &wire.Console{Addresses: []string{}}
	if f.plain != nil {
		c.Plain = "http://" + f.plain.String() + "/"
	}
	if f.at != nil {
		c.Addresses = d.urls(f.at)
	}
	if f.keep != nil {
		facts := f.keep.Facts()
		c.Fingerprint, c.Authority, c.Names, c.NotAfter = facts.Fingerprint, facts.Authority, facts.Names, clock.Format(facts.NotAfter)
		c.Note, c.Next = facts.Warning, facts.Next
	}
	if f.err != nil {
		c.Note, c.Next = "The console does not answer over the network: "+why(f.err)+" ("+d.https()+").", code.NextStep(f.err)
	}
	return c
}

// why is an error for people: what the system calls it stands in the log.
func why(err error) string {
	var e *code.Error
	if errors.As(err, &e) && e.Msg != "" && errors.Is(err, syscall.EADDRINUSE) {
		return e.Msg
	}
	return wire.FromError(err).Message
}

// urls are the addresses to type into a browser.
func (d *Daemon) urls(addr net.Addr) (out []string) {
	listen, _, _ := net.SplitHostPort(d.https())
	_, port, _ := net.SplitHostPort(addr.String())
	hosts := slices.Clone(d.cfg.Hosts)
	if everywhere(listen) {
		if name, err := os.Hostname(); err == nil && cert.HostName(name) {
			hosts = append(hosts, strings.ToLower(name))
		}
		hosts = append(hosts, addresses()...)
		hosts = append(hosts, "127.0.0.1")
	} else {
		hosts = append([]string{listen}, hosts...)
	}
	for _, h := range hosts {
		if u := "https://" + net.JoinHostPort(strings.Trim(h, "[]"), port) + "/"; !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	return out
}

// consoleReasons says what is not well with the console: what a person asked for and does not have, and its certificate. An
// address that nobody chose and another program has is none.
func (d *Daemon) consoleReasons() []wire.Reason {
	c := d.Console()
	if c == nil || c.Note == "" || len(c.Addresses) == 0 && d.cfg.Source("listen.https") == "default" {
		return nil
	}
	return []wire.Reason{{Level: "warning", What: c.Note, Next: c.Next}}
}
