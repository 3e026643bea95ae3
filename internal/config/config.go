// Package config is what an appliance is told by people: one table of settings, where each value came from, and its checks.
//
// Data: the text of config.yaml (apiVersion sallyport/config.v1), of config.d/*.yaml that override it in the order of their
// names, and environment variables: the setting a.b is SALLYPORT_A_B. Files are trusted, unknown keys are errors. What the
// appliance is (its name, its tenants, its keys) is no setting; it stands in instance.json.
//
// Order: New has the defaults; File and Environ override them, later ones win; Check judges the whole. Pure: nothing is read
// or written here.
package config

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/canon"
	"sallyport/internal/code"
	"sallyport/internal/units"
)

// Version is the apiVersion of a configuration file.
const Version = "sallyport/config.v1"

// Config is the effective configuration. The zero value is not valid: use New.
type Config struct {
	DataDir string // D; no setting of a file: it is where the file was found

	ListenHTTPS  string        // listen.https: host:port of console and API; "" is none; AutoHTTPS is Console once Resolve was called, else none
	ListenHTTP   string        // listen.http: the same without TLS, on loopback alone; "" is none
	Hosts        []string      // listen.hosts: more names and addresses that this machine is reached by
	TLSCert      string        // tls.cert: a certificate that was brought; "" is one of a site CA of our own
	TLSKey       string        // tls.key: its key
	Socket       string        // socket.path; "" is D/run/sallyport.sock
	SocketGroups []string      // socket.groups: whose members may use the socket
	Approvals    int           // approvals.import: people who must say yes to an import: 0, 1, 2
	Expire       time.Duration // approvals.expire
	Every        time.Duration // delivery.every: how often a stick arrives
	Workers      int           // limits.workers: goroutines that compress; 0 is one per core
	Runs         int           // limits.runs: export runs at a time; 0 is one per two cores
	Rate         int           // limits.rate: requests a second from one address, and with one token
	Connections  int           // limits.connections: over TCP, in all
	Streams      int           // limits.streams: pages that follow along, in all
	Uploads      int64         // limits.uploads: bytes of one tenant
	Reserve      int64         // store.reserve: bytes of the disk that stay free; Auto is a rule
	Ballast      int64         // store.ballast: bytes given back when the disk is full
	Scrub        int64         // store.scrub: bytes a day that are proven in the background; 0 is none
	LogLevel     string        // log.level
	LogFormat    string        // log.format: auto, json, text
	LogDays      int           // retention.logDays
	Mirror       Keep          // ExportCenter.Retention.Mirror
	Trivy        Keep          // ExportCenter.Retention.Trivy

	sources map[string]string // setting → where its value came from
}

// Keep is a rule of retention: by age or by number.
type Keep struct {
	Mode  string // days, count
	Value int
}

// setting is one row of the table.
type setting struct {
	name string
	def  string
	help string
	get  func(*Config) string
	set  func(*Config, string) error
}

// New is the configuration of an appliance whose data directory is dir, with every default.
func New(dir string) Config {
	c := Config{DataDir: dir, sources: map[string]string{}}
	for _, s := range settings() {
		if err := s.set(&c, s.def); err != nil {
			panic(fmt.Sprintf("default of %s: %v", s.name, err)) // a test walks the table
		}
		c.sources[s.name] = "default"
	}
	return c
}

// SocketPath is where the daemon listens.
func (c Config) SocketPath() string {
	if c.Socket != "" {
		return c.Socket
	}
	return filepath.Join(c.DataDir, "run", "sallyport.sock")
}

// Set overrides one setting; source says who did.
func (c *Config) Set(name, value, source string) error {
	for _, s := range settings() {
		if s.name != name {
			continue
		}
		if err := s.set(c, value); err != nil {
			return code.Wrap(code.BadConfig, err, "%s", name).In(source, name)
		}
		sources := map[string]string{}
		for k, v := range c.sources {
			sources[k] = v
		}
		sources[name] = source
		c.sources = sources
		return nil
	}
	return code.New(code.BadConfig, "there is no setting %.80q", name).In(source, "")
}

// File overrides what a configuration file says. name stands in errors.
func (c *Config) File(name string, text []byte) error {
	var f file
	if err := canon.YAML(text, &f); err != nil {
		var e *code.Error
		if errors.As(err, &e) && e.File == "" {
			e.File = name
		}
		return fmt.Errorf("configuration %s: %w", name, err)
	}
	if f.APIVersion != Version {
		return code.New(code.BadConfig, "apiVersion").In(name, "apiVersion").Want(Version, fmt.Sprintf("%.80q", f.APIVersion))
	}
	for _, v := range f.values() {
		if v.value == nil {
			continue
		}
		if err := c.Set(v.name, *v.value, name); err != nil {
			return err
		}
	}
	return nil
}

// Environ overrides what the environment says; lookup is os.LookupEnv.
func (c *Config) Environ(lookup func(string) (string, bool)) error {
	for _, s := range settings() {
		if v, ok := lookup(Variable(s.name)); ok {
			if err := c.Set(s.name, v, Variable(s.name)); err != nil {
				return err
			}
		}
	}
	if v, ok := lookup("SALLYPORT_SOCKET"); ok && v != "" {
		return c.Set("socket.path", v, "SALLYPORT_SOCKET")
	}
	return nil
}

// Variable is the name of a setting in the environment.
func Variable(name string) string {
	return "SALLYPORT_" + strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
}

// Value is one effective setting.
type Value struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"` // "default", a file, a variable, a flag
}

// Values lists all settings in the order of the table.
func (c Config) Values() (all []Value) {
	for _, s := range settings() {
		all = append(all, Value{s.name, s.get(&c), c.sources[s.name]})
	}
	return all
}

// Setting is one row of the table, for the manual.
type Setting struct {
	Name     string
	Default  string // as a file would say it; "" is none
	Help     string
	Variable string // its name in the environment
}

// Settings lists every setting there is, in the order of the table.
func Settings() (all []Setting) {
	for _, s := range settings() {
		all = append(all, Setting{s.name, s.def, s.help, Variable(s.name)})
	}
	return all
}

// Source is where the value of a setting came from: "default", a file, a variable, a flag; "" when there is no such setting.
func (c Config) Source(name string) string { return c.sources[name] }

// Template is a configuration file with every setting as a comment.
func Template() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Settings of this appliance. A line without its # overrides the default that it shows.\n"+
		"# config.d/*.yaml beside this file override it, and the environment overrides both: a.b is SALLYPORT_A_B.\n"+
		"# sallyport check-config prints what is in force and where it came from.\napiVersion: %s\n", Version)
	var open []string
	for _, s := range settings() {
		parts := strings.Split(s.name, ".")
		for depth := range len(parts) - 1 {
			if depth < len(open) && open[depth] == parts[depth] {
				continue
			}
			open = append(slices.Clone(open[:min(depth, len(open))]), parts[depth])
			fmt.Fprintf(&b, "#%s%s:\n", strings.Repeat("  ", depth), parts[depth])
		}
		open = open[:len(parts)-1]
		fmt.Fprintf(&b, "#%s%s: %s  # %s\n", strings.Repeat("  ", len(parts)-1), parts[len(parts)-1], quoted(s.name, s.def), s.help)
	}
	return b.String()
}

// quoted writes a default as YAML.
func quoted(name, s string) string {
	switch {
	case name == "socket.groups", name == "listen.hosts":
		return "[]"
	case s == "":
		return `""`
	}
	return s
}

func parseInt(s string, lo, hi int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < lo || n > hi {
		return 0, fmt.Errorf("%.40q: want a number from %d to %d", s, lo, hi)
	}
	return n, nil
}

func oneOf(s string, words ...string) (string, error) {
	if slices.Contains(words, s) {
		return s, nil
	}
	return "", fmt.Errorf("%.40q: want one of %s", s, strings.Join(words, ", "))
}

// off says that nothing listens.
const off = "off"

// AutoHTTPS is the ListenHTTPS of listen.https: auto, and Console the address it stands for where a program serves people.
const (
	AutoHTTPS = "auto"
	Console   = "127.0.0.1:8443"
)

// Resolve puts in what auto stands for in a program that serves people; a daemon in a test listens nowhere.
func (c *Config) Resolve() {
	if c.ListenHTTPS == AutoHTTPS {
		c.ListenHTTPS = Console
	}
}

// https takes an address, or auto.
func https(s string) (string, error) {
	if s == AutoHTTPS {
		return s, nil
	}
	return address(s)
}

// address takes host:port. The host may be empty for every address of this machine; "off" and "" are none.
func address(s string) (string, error) {
	if s == "" || s == off {
		return "", nil
	}
	host, port, ok := split(s)
	if !ok {
		return "", fmt.Errorf("%.80q: want host:port, or off", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%.80q: want a port from 0 to 65535, not %d", s, n)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !hostName(host) {
		return "", fmt.Errorf("%.80q: want an address or a name before the port", s)
	}
	return s, nil
}

// split takes host:port apart; an IPv6 host stands in brackets.
func split(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", "", false
	}
	host, port = s[:i], s[i+1:]
	if inner, found := strings.CutPrefix(host, "["); found {
		host, ok = strings.CutSuffix(inner, "]")
		return host, port, ok
	}
	return host, port, !strings.Contains(host, ":")
}

// loopback takes an address only when nobody outside this machine can reach it: there is no TLS on it.
func loopback(s string) (string, error) {
	s, err := address(s)
	if s == "" || err != nil {
		return "", err
	}
	host, port, _ := split(s)
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return "", fmt.Errorf("%.80q: want an address of this machine alone, like 127.0.0.1:%s", s, port)
	}
	return s, nil
}

// shown is an address as a file says it.
func shown(s string) string {
	if s == "" {
		return off
	}
	return s
}

// hosts takes names and addresses without ports.
func hosts(s string) (out []string, err error) {
	for _, h := range list(s) {
		if _, err := netip.ParseAddr(h); err != nil && !hostName(h) {
			return nil, fmt.Errorf("%.80q: want a name or an address, without a port", h)
		}
		out = append(out, strings.ToLower(h))
	}
	return out, nil
}

// hostName takes labels of letters, digits and hyphens, at most 253 bytes.
func hostName(s string) bool {
	for _, label := range strings.Split(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label {
			return false
		}
		if strings.ContainsFunc(label, func(c rune) bool {
			return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-')
		}) {
			return false
		}
	}
	return len(s) <= 253
}

// absolute takes a path that means the same to the daemon and to who talks to it.
func absolute(s string) (string, error) {
	if s != "" && !filepath.IsAbs(s) {
		return "", fmt.Errorf("%.200q: want an absolute path", s)
	}
	return s, nil
}

func list(s string) (out []string) {
	for _, part := range strings.Split(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

func age(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	return d.String()
}

// Auto is the Reserve of store.reserve: auto. The content store knows the rule.
const Auto = -1

func parseReserve(s string) (int64, error) {
	if s == "auto" {
		return Auto, nil
	}
	return units.ParseSize(s)
}

func reserve(n int64) string {
	if n == Auto {
		return "auto"
	}
	return size(n)
}

func size(n int64) string { return strings.ReplaceAll(units.Size(n), " ", "") }
