package access

import (
	"context"
	"fmt"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/seal"
	"sallyport/internal/state"
	"sallyport/internal/units"
)

// card is what is kept of the recovery card.
type card struct {
	Recipient string `json:"recipient"`      // of its identity: backups are sealed to it
	Hash      string `json:"hash,omitempty"` // of its code; "": used
	At        string `json:"at"`
	By        string `json:"by"`
}

const cardKey = "card"

var (
	cards     = state.Table[card]{Name: "access.card"}
	recovered = state.Table[Recovery]{Name: "access.recovered"}
)

// Card is the sheet that is printed and not kept: two secrets, and what to do with them.
type Card struct {
	Appliance   string   `json:"appliance"`
	ID          string   `json:"applianceId"`
	Fingerprint string   `json:"fingerprint"` // 64 hex
	Words       string   `json:"words"`       // the same as nine words
	Identity    string   `json:"identity"`    // secret: AGE-SECRET-KEY-1…
	Recipient   string   `json:"recipient"`
	Code        string   `json:"code"` // secret: opens a way in once
	MadeAt      string   `json:"madeAt"`
	Restore     []string `json:"restore"` // what to do on a new machine, one step each
	Return      []string `json:"return"`  // what to do when nobody can sign in
}

// GoString keeps the secrets out of %#v, String out of %v.
func (c Card) GoString() string { return "access.Card(" + c.Recipient + ")" }
func (c Card) String() string   { return c.GoString() }

// MakeCard makes a recovery identity and a code, keeps the recipient of the one and the hash of the other, and gives both for
// printing. The card before is void: its code at once, its identity for backups made from now on.
func (d *Desk) MakeCard(ctx context.Context, by By) (Card, error) {
	id, err := seal.NewIdentity(false)
	if err != nil {
		return Card{}, err
	}
	text, err := newCode(d.Random)
	if err != nil {
		return Card{}, err
	}
	kept := card{Recipient: id.Recipient().String(), Hash: hashCode(text), At: clock.Format(d.Now().Trusted), By: by.Name}
	err = d.State.Update(ctx, func(tx *state.Tx) error {
		before, replaced, err := cards.Get(tx, cardKey)
		if err != nil {
			return err
		}
		if err := cards.Put(tx, cardKey, kept); err != nil {
			return err
		}
		typ := "key.created"
		if replaced {
			typ = "key.rotated"
		}
		return d.event(tx, typ, by.Name, "recovery identity", "recipient", kept.Recipient, "before", before.Recipient, "remote", by.Remote)
	})
	if err != nil {
		return Card{}, err
	}
	words := units.Words(d.Appliance.Fingerprint)
	return Card{
		Appliance: d.Appliance.Name, ID: d.Appliance.ID, Fingerprint: d.Appliance.Fingerprint.Hex(), Words: words,
		Identity: id.String(), Recipient: kept.Recipient, Code: text, MadeAt: kept.At,
		Restore: []string{
			"Take a machine with Sallyport, the newest backup of " + d.Appliance.Name + ", and the newest stick that it wrote.",
			"Where the backup is encrypted, put the line AGE-SECRET-KEY-… of this card into a file; age -d -i FILE opens the backup.",
			"Run: sallyport restore --from BACKUP --roots STICK --data-dir DIR --reason WHY",
			"Compare the nine words with this card. Other words mean another appliance: stop.",
		},
		Return: []string{
			"On the host, as root: sallyport users recover. Without root: on the sign-in page choose \"Lost your phone or password\" and type the code of this card. It works once.",
			"Within 15 minutes make a new admin with the code that is shown.",
			"Sign in, give the others back what they need, and print a new card.",
			"This cannot be done silently: every receipt says so from then on.",
		},
	}, nil
}

// CardAt tells when the recovery card was made, "" where none was; good is false where none was, or its code was used.
func (d *Desk) CardAt(ctx context.Context) (at string, good bool, err error) {
	err = d.State.View(func(tx *state.Tx) error {
		c, _, err := cards.Get(tx, cardKey)
		at, good = c.At, c.Hash != ""
		return err
	})
	if err == nil {
		err = ctx.Err()
	}
	return at, good, err
}

// BackupRecipient is the recipient of the recovery identity, for backups; ok is false where no card was made.
func BackupRecipient(tx *state.Tx) (recipient string, ok bool, err error) {
	c, ok, err := cards.Get(tx, cardKey)
	return c.Recipient, ok, err
}

// Recovery says that somebody opened a way in past all accounts.
type Recovery struct {
	Count int    `json:"count"` // so many times
	At    string `json:"at"`    // the last time, trusted
	By    string `json:"by"`
	How   string `json:"how"` // root, card
}

// Recovered is the last time that somebody opened a way in; ok is false when nobody ever did.
func Recovered(tx *state.Tx) (r Recovery, ok bool, err error) {
	_, r, ok, err = recovered.Last(tx, "")
	return r, ok, err
}

// Recover opens a way in for one new admin, for fifteen minutes: for root on the host, or with the code of the recovery card, which
// works once. It stands in the timeline, in every receipt from then on, and under "Needs you". Codes denied, set-up-code,
// sign-in-delayed, conflict (nobody became admin yet).
func (d *Desk) Recover(ctx context.Context, by By, typed string) (OneTime, error) {
	now := d.moment()
	r := Recovery{At: clock.Format(now.Trusted), By: by.Name, How: "root"}
	if typed == "" && !by.Host {
		return OneTime{}, code.New(code.Denied, "opening a way in is for root on the host, or for whoever holds the recovery card")
	}
	if typed != "" {
		if r.How = "card"; r.By == "" {
			r.By = "recovery card"
		}
		if err := d.attempt(now, "", by.Remote); err != nil {
			return OneTime{}, err
		}
	}
	err := d.State.Update(ctx, func(tx *state.Tx) error {
		if found, err := administered(tx); err != nil || !found {
			if err == nil {
				err = code.New(code.Conflict, "nobody became admin here yet").Do("Print a set-up code: sallyport setup-code.")
			}
			return err
		}
		if typed != "" {
			if err := spendCard(tx, typed); err != nil {
				return err
			}
		}
		last, _, err := Recovered(tx)
		if err != nil {
			return err
		}
		r.Count = last.Count + 1
		if err := recovered.Put(tx, fmt.Sprintf("%016d", r.Count), r); err != nil {
			return err
		}
		return d.event(tx, "access.recovered", r.By, d.Appliance.Name, "how", r.How, "minutes", fmt.Sprint(int(recoverLife/time.Minute)), "remote", by.Remote)
	})
	if code.Of(err) == code.SetupCodeBad {
		d.denied(ctx, now, denial{What: "card", Remote: by.Remote})
	}
	if err != nil {
		return OneTime{}, err
	}
	if typed != "" {
		d.delays.won("", by.Remote)
	}
	d.Log.Warn("a way in past all accounts was opened", "by", r.By, "how", r.How, "remote", by.Remote)
	return d.open(kindRecover, "", recoverLife, codeTries, r.By)
}

// spendCard uses the code of the recovery card up.
func spendCard(tx *state.Tx, typed string) error {
	c, ok, err := cards.Get(tx, cardKey)
	if err != nil {
		return err
	}
	if !ok || c.Hash == "" || !same(c.Hash, hashCode(typed)) {
		return code.New(code.SetupCodeBad, "this is not the code of the recovery card, or it was used")
	}
	c.Hash = ""
	return cards.Put(tx, cardKey, c)
}
