package bundle

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/attest"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/ident"
	"sallyport/internal/pack"
)

func (m *Manifest) check() error {
	c := &checker{code: code.ManifestBad}
	c.header(&m.Header, attest.TypeManifest)
	c.wrap(c.code, "exportId", CheckName(m.ExportID))
	c.match(wordRE, "runId", m.RunID)
	c.name("tenant", m.Tenant)
	c.appliance("appliance", m.Appliance)
	c.audience(m.Audience)
	c.wrap(c.code, "profile.kind", ident.Kind(m.Profile.Kind))
	c.match(wordRE, "profile.variant", m.Profile.Variant)
	c.text("profile.name", m.Profile.Name, 1, 64)
	c.time("generatedAt", m.GeneratedAt)
	if m.NotAfter != "" {
		c.time("notAfter", m.NotAfter)
	}
	c.between("trustRoot.version", m.TrustRoot.Version, 1, MaxNumber)
	c.log("log", &m.Log)
	if m.Challenge != "" {
		c.match(hex32RE, "challenge", m.Challenge)
	}
	m.checkFeeds(c)
	m.checkContents(c)
	if got := RerunHash(m.Contents); c.ok() && got != m.RerunHash {
		c.refuse(code.RerunHashBad, "rerunHash", got, m.RerunHash)
	}
	return c.err
}

func (c *checker) audience(ids []string) {
	c.demand(len(ids) > 0 && len(ids) <= 1000, "audience", "1 to 1000", len(ids))
	for i, id := range ids {
		if id == "*" && len(ids) == 1 {
			return
		}
		c.wrap(c.code, "audience", ident.Appliance(id))
		if i > 0 {
			c.ascending("audience", ids[i-1], id)
		}
	}
}

func (m *Manifest) checkFeeds(c *checker) {
	c.demand(len(m.Feeds) <= MaxFeeds, "feeds", fmt.Sprintf("at most %d", MaxFeeds), len(m.Feeds))
	for i := range m.Feeds {
		f, place := &m.Feeds[i], fmt.Sprintf("feeds[%d]", i)
		c.wrap(c.code, place+".feed", ident.Feed(f.Feed))
		if f.Origin != m.Appliance.ID {
			c.refuse(code.OriginMismatch, place+".origin", m.Appliance.ID, fmt.Sprintf("%.60q", f.Origin))
		}
		if i > 0 {
			c.ascending("feeds", m.Feeds[i-1].Feed, f.Feed)
		}
		c.between(place+".generation", f.Generation, 1, MaxNumber)
		c.demand((m.Delta != nil) == (len(f.Bases) > 0), place+".bases", "in a delta, and nowhere else", len(f.Bases))
		for j, b := range f.Bases {
			c.demand(b.Generation >= 1 && (j == 0 || f.Bases[j-1].Generation < b.Generation), place+".bases", "ascending by generation", b.Generation)
			c.demand(b.Generation < f.Generation || b.Generation == f.Generation && b.StateRoot == f.StateRoot, place+".bases", fmt.Sprintf("generations before %d", f.Generation), b.Generation)
		}
		for kind := range f.Counts {
			c.wrap(c.code, place+".counts", ident.Kind(kind))
		}
		if f.Derivation != nil {
			c.wrap(c.code, place+".derivation.feed", ident.Feed(f.Derivation.Feed))
			for _, s := range f.Derivation.Selectors {
				c.text(place+".derivation.selectors", s, 1, MaxText)
			}
		}
	}
}

func (m *Manifest) checkContents(c *checker) {
	if len(m.Contents) > MaxContents {
		c.refuse(code.ManifestLimit, "contents", fmt.Sprintf("at most %d", MaxContents), len(m.Contents))
	}
	if !c.ok() {
		return
	}
	names := make(map[string]bool, len(m.Contents))
	sizes := make(map[digest.Digest]int64, len(m.Contents))
	var total int64
	for i := range m.Contents {
		e, place := &m.Contents[i], fmt.Sprintf("contents[%d]", i)
		if i > 0 {
			c.ascending("contents", m.Contents[i-1].Path, e.Path)
		}
		m.checkPath(c, place+".path", e.Path, names)
		m.checkContent(c, place, e)
		if n, seen := sizes[e.Digest]; seen && n != e.Bytes {
			c.refuse(c.code, place+".bytes", fmt.Sprintf("%d, as the same digest has elsewhere", n), e.Bytes)
		}
		sizes[e.Digest] = e.Bytes
		total += e.Bytes
		c.demand(total <= MaxNumber, place+".bytes", "a sum below 2^53", total)
		if !c.ok() {
			return
		}
	}
	for i := range m.Contents {
		dir := strings.ToLower(m.Contents[i].Path)
		for at := strings.LastIndexByte(dir, '/'); at > 0; at = strings.LastIndexByte(dir, '/') {
			dir = dir[:at]
			c.demand(!names[dir] && !slices.Contains(Front(m.Profile.Kind), dir), fmt.Sprintf("contents[%d].path", i), "a path below no other content", fmt.Sprintf("%.128q", m.Contents[i].Path))
		}
	}
	m.checkAnchor(c)
}

func (m *Manifest) checkPath(c *checker, place, path string, names map[string]bool) {
	if err := pack.CheckPath(path); err != nil && c.ok() {
		c.err = fmt.Errorf("%s: %w", place, err)
		return
	}
	folded := strings.ToLower(path)
	if names[folded] {
		c.refuse(code.TarDuplicate, place, "each path once, also without case", fmt.Sprintf("%.128q", path))
	}
	names[folded] = true
	inside := strings.HasPrefix(path, m.Profile.Kind+"/") || strings.HasPrefix(path, "signatures/")
	own := slices.Contains(Front(m.Profile.Kind), folded)
	c.demand(inside && !own, place, "below "+m.Profile.Kind+"/ or signatures/, and none of the first four members", fmt.Sprintf("%.128q", path))
}

func (m *Manifest) checkContent(c *checker, place string, e *Content) {
	c.demand(slices.Contains(Roles(), e.Role), place+".role", "a role of version 1", fmt.Sprintf("%.40q", e.Role))
	c.text(place+".contentType", e.ContentType, 1, 128)
	if e.Kind != "" {
		c.wrap(c.code, place+".kind", ident.Kind(e.Kind))
	}
	if e.Feed != nil {
		c.between(place+".feed", *e.Feed, 0, int64(len(m.Feeds)-1))
	}
	of := func(roles ...string) bool { return slices.Contains(roles, e.Role) }
	c.demand(e.Feed != nil || !of(RoleIndex, RoleShard, RoleDocument, RoleTombstones), place+".feed", "present for role "+e.Role, "none")
	c.demand(e.Kind != "" || !of(RoleShard, RoleDocument, RoleTombstones), place+".kind", "present for role "+e.Role, "none")
	c.demand(e.Records != nil || !of(RoleIndex, RoleShard, RoleTombstones), place+".records", "present for role "+e.Role, "none")
	c.demand(!e.Volatile || of(RoleAnchor, RoleInfo), place+".volatile", "for anchor and info only", e.Role)
	c.demand(m.Delta != nil || !of(RoleTombstones), place+".role", "tombstones in deltas only", e.Role)
}

// checkAnchor demands that `anchor` names the one content with that role.
func (m *Manifest) checkAnchor(c *checker) {
	var found []digest.Digest
	for _, e := range m.Contents {
		if e.Role == RoleAnchor {
			found = append(found, e.Digest)
		}
	}
	good := len(found) == 0 && m.Anchor.IsZero() || len(found) == 1 && found[0] == m.Anchor
	c.demand(good, "anchor", "the digest of the one content with role anchor", fmt.Sprintf("%v, %d such contents", m.Anchor, len(found)))
}
