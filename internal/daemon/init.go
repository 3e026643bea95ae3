package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/cas"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/config"
	"sallyport/internal/ident"
	"sallyport/internal/keyring"
	"sallyport/internal/marks"
	"sallyport/internal/root"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/wire"
)

// InitOptions say what Init makes.
type InitOptions struct {
	DataDir        string
	Name           string
	Tenant         string
	SingleOperator bool
	Hybrid         bool   // a post-quantum hybrid age identity
	Actor          string // who asks, for the timeline
}

// rootYears is how long the first trust root and its keys are valid.
const rootYears = 10

// dawn is before any appliance was made: keys count from here, so that a machine whose clock or build is older than the
// signer's takes its card. Revocation, not a first day, is what ends a key.
func dawn() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// Init makes the data directory of a new appliance: keys, trust root, stores, marks. It may be repeated after a crash and
// keeps every key it finds; a finished appliance is refused with code conflict.
func Init(o InitOptions, d Deps) (wire.Created, error) {
	d = d.fill()
	m := &maker{InitOptions: o, Deps: d}
	if err := m.begin(); err != nil {
		return wire.Created{}, fmt.Errorf("init: %w", err)
	}
	for _, step := range []func() error{m.keys, m.root, m.stores, m.first, m.finish} {
		if err := step(); err != nil {
			return wire.Created{}, fmt.Errorf("init: %w", err)
		}
	}
	return m.created()
}

// maker is one Init under way.
type maker struct {
	InitOptions
	Deps
	now  time.Time
	in   Instance
	ring *keyring.Ring
	own  *root.Trusted
}

// begin judges the request and makes the folders.
func (m *maker) begin() (err error) {
	if m.DataDir, err = filepath.Abs(m.DataDir); err != nil {
		return err
	}
	for what, name := range map[string]string{"--name": m.Name, "--tenant": m.Tenant} {
		if err := ident.Name(name); err != nil {
			return code.Wrap(code.BadUsage, err, "%s", what)
		}
	}
	if _, err := os.Lstat(at(m.DataDir, "instance.json")); err == nil {
		return code.New(code.Conflict, "there is an appliance already").In(m.DataDir, "").Do("Name another --data-dir, or start this one with sallyport serve.")
	}
	strange, err := foreign(m.DataDir)
	if err != nil {
		return err
	}
	if len(strange) > 0 {
		return code.New(code.Conflict, "the directory is not empty: %.60q", strange[0]).In(m.DataDir, "").Do("Name an empty or a new directory.")
	}
	if m.now = m.Clock.Now(); m.now.Before(m.Build) || m.now.After(m.Build.AddDate(20, 0, 0)) {
		m.now = m.Build // a clock that cannot be right
	}
	if err := m.FS.Mkdir(m.DataDir, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(m.DataDir, 0o700); err != nil {
		return err
	}
	for _, f := range folders() {
		if err := m.FS.Mkdir(at(m.DataDir, f), 0o700); err != nil {
			return err
		}
	}
	m.in = Instance{
		Version: instanceVersion, Name: m.Name, Tenants: []string{m.Tenant}, SingleOperator: m.SingleOperator,
		CreatedAt: clock.Format(m.now), Software: m.Software,
	}
	m.in.Instance, err = ident.New(m.now, m.Random)
	return err
}

func (m *maker) keys() (err error) {
	if m.ring, err = keyring.Create(m.DataDir, m.FS, m.Random, keyring.Options{Tenant: m.Tenant, Hybrid: m.Hybrid}); err != nil {
		return err
	}
	m.in.ID, err = m.ring.ApplianceID()
	return err
}

// root signs version 1 of the trust root: one key per role, all for this appliance and its tenant alone.
func (m *maker) root() error {
	doc := root.Document{RootVersion: 1, Roles: map[string]root.Role{}, NotAfter: clock.Format(m.now.AddDate(rootYears, 0, 0))}
	scope := root.Scope{Tenants: []string{m.Tenant}, Origins: []string{m.in.ID}}
	var signer *attest.Signer
	for _, r := range []struct {
		role string
		key  func() (*attest.Signer, error)
	}{
		{root.RoleRoot, m.ring.Root},
		{root.RoleAppliance, m.ring.Appliance},
		{root.RoleAnchor, m.ring.Anchor},
		{root.RoleBundle, func() (*attest.Signer, error) { return m.ring.Bundle(m.Tenant) }},
	} {
		s, err := r.key()
		if err != nil {
			return err
		}
		if r.role == root.RoleRoot {
			signer = s
		}
		doc.Roles[r.role] = root.Role{Threshold: 1, KeyIDs: []string{s.Public().ID()}}
		doc.Keys = append(doc.Keys, root.Entry(s.Public(), scope, dawn(), m.now.AddDate(rootYears, 0, 0)))
	}
	envelope, err := root.New(doc, signer)
	if err != nil {
		return err
	}
	if m.own, err = root.First(envelope, time.Time{}); err != nil {
		return err
	}
	m.in.RootID = m.own.ID().String()
	return m.FS.WriteFile(rootFile(m.DataDir, m.own.ID(), 1), envelope, 0o644)
}

// stores makes state, marks and content store anew: without instance.json nothing was ever kept in them.
func (m *maker) stores() error {
	for _, name := range []string{"state.db", "marks"} {
		if err := m.FS.Remove(at(m.DataDir, name)); err != nil {
			return err
		}
	}
	if err := cas.Create(at(m.DataDir, "cas"), m.FS, m.in.Instance); err != nil {
		return err
	}
	if err := state.Create(at(m.DataDir, "state.db"), m.FS, m.in.Instance); err != nil {
		return err
	}
	return marks.Create(at(m.DataDir, "marks"), m.FS, m.in.Instance, m.Build)
}

// first writes the first events: which keys there are.
func (m *maker) first() (err error) {
	mk, err := marks.Open(at(m.DataDir, "marks"), m.FS, m.Clock)
	if err != nil {
		return err
	}
	db, err := state.Open(at(m.DataDir, "state.db"), m.FS)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	log := timeline.New(m.in.ID, mk.Now, m.Random)
	return db.Update(context.Background(), func(tx *state.Tx) error {
		for _, k := range m.own.Document().Keys {
			_, err := log.Append(tx, timeline.Event{Type: "key.created", Tenant: m.Tenant, Actor: m.Actor, Subject: k.KeyID, Attrs: map[string]string{"alg": k.Alg}})
			if err != nil {
				return err
			}
		}
		_, err := log.Append(tx, timeline.Event{
			Type: "trust.rotation.applied", Tenant: m.Tenant, Actor: m.Actor, Subject: "root",
			Attrs: map[string]string{"change": "root version 1", "fingerprint": m.own.ID().Hex(), "singleOperator": fmt.Sprint(m.SingleOperator)},
		})
		return err
	})
}

// finish writes the configuration and, last, who this is.
func (m *maker) finish() error {
	file := at(m.DataDir, "config.yaml")
	if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
		if err := m.FS.WriteFile(file, []byte(config.Template()), 0o600); err != nil {
			return err
		}
	}
	b, err := json.MarshalIndent(m.in, "", "  ")
	if err != nil {
		return err
	}
	return m.FS.WriteFile(at(m.DataDir, "instance.json"), append(b, '\n'), 0o600)
}

func (m *maker) created() (wire.Created, error) {
	recipient, err := m.ring.Recipient()
	if err != nil {
		return wire.Created{}, fmt.Errorf("init: %w", err)
	}
	return wire.Created{
		Appliance: applianceOf(m.in, m.DataDir, m.Software), Fingerprint: m.own.ID().Hex(), Words: m.own.Words(), Recipient: recipient.String(),
		Next: []string{
			"Write the fingerprint or the nine words on paper: others compare them when they meet this appliance.",
			"Start it: sallyport serve --data-dir " + m.DataDir,
			"Take the root key offline when you can: move " + at(m.DataDir, "keys", "root.key") + " to a safe; daily work does not need it, and keys apply --root-key FILE takes it from there.",
		},
	}, nil
}

func applianceOf(in Instance, dir, software string) wire.Appliance {
	return wire.Appliance{
		ID: in.ID, Name: in.Name, Tenants: in.Tenants, Instance: in.Instance, SingleOperator: in.SingleOperator, Software: software, DataDir: dir,
	}
}
