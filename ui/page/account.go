package page

import (
	"time"

	"sallyport/internal/units"
	"sallyport/ui/kit"
)

// MyAccountView is what a person has here.
type MyAccountView struct {
	Now         time.Time
	Name, Roles string
	Phone       bool // an authenticator is enrolled
	CodesLeft   int
	EndsAt      string
	Problems    []kit.NoticeView
}

// PhoneView enrols a phone for an account that is there.
type PhoneView struct {
	Name, Secret, URI string
	Clock             time.Time
	Doubt             string
	Problems          []kit.NoticeView
}

func (v MyAccountView) facts() []kit.Def {
	phone := kit.Badge(kit.Warn, "none: a password alone")
	if v.Phone {
		phone = kit.Join(kit.Badge(kit.OK, "enrolled"), kit.Soft(units.Plural(int64(v.CodesLeft), "recovery code", "recovery codes")+" left"))
	}
	list := []kit.Def{{Term: "Name", Value: kit.Strong(v.Name)}, {Term: "Roles", Value: kit.Text(v.Roles)}, {Term: "Phone", Value: phone}}
	if v.EndsAt != "" {
		list = append(list, kit.Def{Term: "Ends", Value: day(v.EndsAt)})
	}
	return list
}

func (v MyAccountView) phoneLabel() string {
	if v.Phone {
		return "Enrol another phone"
	}
	return "Enrol a phone"
}
