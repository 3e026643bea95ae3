package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/attest"
	"sallyport/internal/code"
	"sallyport/internal/keyring"
	"sallyport/internal/root"
)

// TrustOf shows what is believed of one peer, or of all and ourselves with the empty name. Code not-found.
func (r *Room) TrustOf(_ context.Context, name string) (list []TrustView, err error) {
	c, err := r.circle()
	if err != nil {
		return nil, err
	}
	if name == "" || name == r.Self.Name {
		v := r.view1(c, c.own)
		v.Name, v.ID, v.Own = r.Self.Name, r.Self.ID, true
		if v.Keys, err = r.ownKeys(c.own, v.Keys); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	for id, p := range c.peers {
		if name != "" && p.Name != name {
			continue
		}
		v := r.view1(c, c.roots[id])
		v.Name, v.ID, v.Recipient, v.How, v.By, v.At = p.Name, p.ID, p.Recipient, p.Trust.How, p.Trust.By, p.Trust.At
		if v.Mark > v.Version {
			v.Warning = fmt.Sprintf("Version %d was accepted here before, and a restore brought version %d back: nothing of %s is taken in until its newest trust root is applied again.", v.Mark, v.Version, p.Name)
		}
		list = append(list, v)
	}
	if len(list) == 0 {
		return nil, code.New(code.Missing, "no peer %.40q", name)
	}
	slices.SortFunc(list, func(a, b TrustView) int {
		if a.Own != b.Own {
			return map[bool]int{true: -1, false: 1}[a.Own]
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list, nil
}

func (r *Room) view1(c *circle, t *root.Trusted) TrustView {
	d := t.Document()
	v := TrustView{
		Fingerprint: t.ID().Hex(), Words: t.Words(), Version: t.Version(), Mark: max(c.marked[t.ID().String()], t.Version()), NotAfter: d.NotAfter, Keys: []KeyRow{},
	}
	if t.Fresh(c.time.Trusted) != nil {
		v.Warning = "This trust root has expired: nothing signed under it is taken in. Its successor still can be applied."
	}
	for _, role := range root.Roles() {
		for _, id := range d.Roles[role].KeyIDs {
			e := entryOf(d, id)
			row := KeyRow{Kind: role, KeyID: id, Words: wordsOf(*e), Tenants: e.Scope.Tenants, State: "valid", NotAfter: e.NotAfter}
			switch code.Of(t.Why(id, role, "", "", c.time.Trusted)) {
			case code.KeyRevoked:
				row.State = "revoked"
			case code.KeyExpired:
				row.State = "expired"
			}
			v.Keys = append(v.Keys, row)
		}
	}
	return v
}

// ownKeys adds to the keys of our root where their private halves are and which are in use, and our age recipients.
func (r *Room) ownKeys(own *root.Trusted, rows []KeyRow) ([]KeyRow, error) {
	here := map[string]string{} // key id → state
	for _, k := range []func() (*attest.Signer, error){r.Keys.Appliance, r.Keys.Anchor, r.Keys.Root} {
		s, err := k()
		if err == nil {
			here[s.Public().ID()] = "in use"
		} else if code.Of(err) != code.SigningKey {
			return nil, err
		}
	}
	for _, t := range r.Self.Tenants {
		if s, err := r.Keys.Bundle(t); err == nil {
			here[s.Public().ID()] = "in use"
		}
	}
	for i := range rows {
		row := &rows[i]
		switch {
		case here[row.KeyID] != "":
			row.Here = true
			if row.State == "valid" {
				row.State = "in use"
			}
		case row.Kind == root.RoleBundle || row.Kind == root.RoleAppliance:
			old, err := r.oldKey(row, own.Key(row.KeyID))
			if err != nil {
				return nil, err
			}
			row.Here = old != nil
			if row.State == "valid" {
				row.State = "previous"
			}
		}
	}
	ids, err := r.Keys.Identities()
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		state := "in use"
		if i > 0 {
			state = "previous"
		}
		rows = append(rows, KeyRow{Kind: keyAge, KeyID: id.Recipient().String(), State: state, Here: true})
	}
	return rows, nil
}

// oldKey finds the private half of a key that was in use before.
func (r *Room) oldKey(row *KeyRow, k *attest.Key) (*attest.Signer, error) {
	if row.Kind == root.RoleAppliance {
		return r.Keys.Old(keyring.ApplianceKey, k)
	}
	var errs []error
	for _, t := range row.Tenants {
		s, err := r.Keys.Old(keyring.TenantKey(t), k)
		if s != nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// KeysList are our own keys.
func (r *Room) KeysList(ctx context.Context) ([]KeyRow, error) {
	list, err := r.TrustOf(ctx, r.Self.Name)
	if err != nil {
		return nil, err
	}
	return list[0].Keys, nil
}
