package access

import (
	"fmt"
	"strings"

	"sallyport/internal/code"
)

// Role is what somebody may do here. The table of actions says which roles each action wants.
type Role string

// The roles. Admin does not include the others in the type; the table of actions lists it where an admin may.
const (
	Viewer   Role = "viewer"   // looks
	Operator Role = "operator" // loads, imports, exchanges, exports
	Approver Role = "approver" // says yes or no to plans
	Auditor  Role = "auditor"  // reads timeline, receipts and approvals
	Admin    Role = "admin"    // people, trust, keys, time, settings
)

// All lists the roles, the least first.
func All() []Role { return []Role{Viewer, Operator, Approver, Auditor, Admin} }

// Roles is a set of roles; the zero value is none and allows nothing.
type Roles uint8

// Of makes a set. A role that is none of All adds nothing.
func Of(roles ...Role) Roles {
	var s Roles
	for _, r := range roles {
		for i, known := range All() {
			if r == known {
				s |= 1 << i
			}
		}
	}
	return s
}

// ParseRoles reads names joined by +, commas or spaces: "operator+approver". Code usage for an unknown name or none at all.
func ParseRoles(s string) (Roles, error) {
	var set Roles
	for _, name := range strings.FieldsFunc(s, func(r rune) bool { return r == '+' || r == ',' || r == ' ' }) {
		r := Of(Role(strings.ToLower(name)))
		if r == 0 {
			return 0, code.New(code.BadUsage, "there is no role %.40q", name).Want(Of(All()...).String(), fmt.Sprintf("%.40q", name))
		}
		set |= r
	}
	if set == 0 {
		return 0, code.New(code.BadUsage, "no role was named").Want("one or more of "+Of(All()...).String(), "none")
	}
	return set, nil
}

// Has tells whether a role is in the set.
func (s Roles) Has(r Role) bool { return s&Of(r) != 0 }

// Any tells whether the sets have a role in common.
func (s Roles) Any(o Roles) bool { return s&o != 0 }

// List is the roles of the set in the order of All.
func (s Roles) List() []Role {
	list := []Role{}
	for i, r := range All() {
		if s&(1<<i) != 0 {
			list = append(list, r)
		}
	}
	return list
}

// String is the names joined by +; ParseRoles reads it back unless it is empty.
func (s Roles) String() string {
	var names []string
	for _, r := range s.List() {
		names = append(names, string(r))
	}
	return strings.Join(names, "+")
}

// MarshalText writes String.
func (s Roles) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes; empty text is the empty set.
func (s *Roles) UnmarshalText(b []byte) (err error) {
	if *s = 0; len(b) == 0 {
		return nil
	}
	*s, err = ParseRoles(string(b))
	return err
}
