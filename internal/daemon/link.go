package daemon

import (
	"context"

	"sallyport/internal/code"
)

// SignInLink is an address that opens the console signed in as an account: once, within ten minutes, from this machine alone.
// It is for a demonstration. Code not-found when there is no console or no such account.
func (d *Daemon) SignInLink(ctx context.Context, account string) (string, error) {
	c := d.Console()
	if c == nil || c.Plain == "" && len(c.Addresses) == 0 {
		return "", code.New(code.Missing, "this appliance has no console")
	}
	once, err := d.access.Link(ctx, account)
	if err != nil {
		return "", err
	}
	at := c.Plain
	if at == "" {
		at = c.Addresses[0]
	}
	return at + "sign-in/link/" + once.Code, nil
}
