package root

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/attest"
	"sallyport/internal/canon"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/ident"
)

// parse reads a payload and applies every rule a document must keep by itself. It gives the keys by id.
func parse(payload []byte) (*Document, map[string]*attest.Key, error) {
	if len(payload) > MaxDocument {
		return nil, nil, bad("document", "at most 1 MiB", fmt.Sprintf("%d bytes", len(payload)))
	}
	var d Document
	if err := canon.Unmarshal(payload, &d); err != nil {
		return nil, nil, fmt.Errorf("trust root: %w", err)
	}
	keys, err := d.check()
	if err != nil {
		return nil, nil, err
	}
	return &d, keys, nil
}

func bad(place string, want, got any) error {
	return code.New(code.RootBad, "").In("", place).Want(want, got)
}

func (d *Document) check() (map[string]*attest.Key, error) {
	switch {
	case d.Schema != attest.TypeRoot:
		return nil, bad("schema", attest.TypeRoot, fmt.Sprintf("%.80q", d.Schema))
	case d.RootVersion < 1:
		return nil, bad("rootVersion", "1 or more", d.RootVersion)
	case (d.RootVersion == 1) != d.RootID.IsZero():
		return nil, bad("rootId", "absent in version 1, present in all others", fmt.Sprintf("rootVersion %d", d.RootVersion))
	}
	if err := checkTime("notAfter", d.NotAfter); err != nil {
		return nil, err
	}
	keys, err := d.checkKeys()
	if err != nil {
		return nil, err
	}
	if err := d.checkRoles(keys); err != nil {
		return nil, err
	}
	return keys, d.checkLists(keys)
}

func (d *Document) checkKeys() (map[string]*attest.Key, error) {
	if len(d.Keys) == 0 || len(d.Keys) > MaxKeys {
		return nil, bad("keys", fmt.Sprintf("1 to %d", MaxKeys), len(d.Keys))
	}
	keys := map[string]*attest.Key{}
	for i, e := range d.Keys {
		place := fmt.Sprintf("keys[%d]", i)
		k, err := attest.ParseKeyText(e.Public)
		if err != nil {
			return nil, code.Wrap(code.Of(err), err, "trust root").In("", place+".public")
		}
		if e.KeyID != k.ID() || e.Alg != k.Alg() {
			return nil, bad(place, k.ID()+" "+k.Alg(), fmt.Sprintf("%.60q %.20q", e.KeyID, e.Alg))
		}
		if i > 0 && d.Keys[i-1].KeyID >= e.KeyID {
			return nil, bad(place, "ascending by keyid, each once", e.KeyID)
		}
		if err := checkTime(place+".notBefore", e.NotBefore); err != nil {
			return nil, err
		}
		if err := checkTime(place+".notAfter", e.NotAfter); err != nil {
			return nil, err
		}
		if err := checkScope(place+".scope.tenants", e.Scope.Tenants, ident.Name); err != nil {
			return nil, err
		}
		if err := checkScope(place+".scope.origins", e.Scope.Origins, ident.Appliance); err != nil {
			return nil, err
		}
		keys[e.KeyID] = k
	}
	return keys, nil
}

func checkScope(place string, list []string, name func(string) error) error {
	for i, s := range list {
		if i > 0 && list[i-1] >= s {
			return bad(place, "ascending, each once", fmt.Sprintf("%.60q", s))
		}
		if s == Any && len(list) == 1 {
			continue
		}
		if err := name(s); err != nil {
			return code.Wrap(code.RootBad, err, "").In("", place)
		}
	}
	return nil
}

func (d *Document) checkRoles(keys map[string]*attest.Key) error {
	for name := range d.Roles {
		if !slices.Contains(Roles(), name) {
			return bad("roles", strings.Join(Roles(), " "), fmt.Sprintf("%.40q", name))
		}
	}
	for _, name := range Roles() {
		place := "roles." + name
		r, ok := d.Roles[name]
		if !ok {
			return bad(place, "present", "absent")
		}
		for i, id := range r.KeyIDs {
			if i > 0 && r.KeyIDs[i-1] >= id {
				return bad(place+".keyids", "ascending, each once", fmt.Sprintf("%.60q", id))
			}
			if keys[id] == nil {
				return bad(place+".keyids", "a key of this document", fmt.Sprintf("%.60q", id))
			}
		}
		most := max(1, len(r.KeyIDs))
		if r.Threshold < 1 || r.Threshold > int64(most) {
			return bad(place+".threshold", fmt.Sprintf("1 to %d", most), r.Threshold)
		}
	}
	root := d.Roles[RoleRoot]
	if len(root.KeyIDs) == 0 || len(root.KeyIDs) > attest.MaxSignatures/2 {
		return bad("roles.root.keyids", "1 to 8 keys", len(root.KeyIDs))
	}
	return nil
}

func (d *Document) checkLists(keys map[string]*attest.Key) error {
	for i, r := range d.Revoked {
		place := fmt.Sprintf("revoked[%d]", i)
		if i > 0 && d.Revoked[i-1].KeyID >= r.KeyID {
			return bad(place, "ascending by keyid, each once", fmt.Sprintf("%.60q", r.KeyID))
		}
		if err := checkTime(place+".from", r.From); err != nil {
			return err
		}
		if slices.Contains(d.Roles[RoleRoot].KeyIDs, r.KeyID) {
			return bad(place, "a key that is no root key of the same document", fmt.Sprintf("%.60q", r.KeyID))
		}
	}
	for i, e := range d.FeedEpochs {
		place := fmt.Sprintf("feedEpochs[%d]", i)
		for _, err := range []error{ident.Name(e.Tenant), ident.Appliance(e.Origin), ident.Feed(e.Feed)} {
			if err != nil {
				return code.Wrap(code.RootBad, err, "").In("", place)
			}
		}
		if i > 0 && compareEpochs(d.FeedEpochs[i-1], e) >= 0 {
			return bad(place, "ascending by tenant, origin, feed, each once", e.Feed)
		}
	}
	return nil
}

func compareEpochs(a, b FeedEpoch) int {
	return cmp.Or(strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Origin, b.Origin), strings.Compare(a.Feed, b.Feed))
}

func checkTime(place, s string) error {
	if _, err := clock.Parse(s); err != nil {
		return code.Wrap(code.BadTime, err, "").In("", place)
	}
	return nil
}
