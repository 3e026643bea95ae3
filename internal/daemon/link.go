package daemon

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"

	"sallyport/internal/access"
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

// Guest makes the first admin of an appliance of a demonstration. It has no app and a password that nobody knows: SignInLink is the
// one way in. Code set-up-done where somebody is admin already.
func (d *Daemon) Guest(ctx context.Context, account string) error {
	secret := make([]byte, 24)
	if _, err := io.ReadFull(d.deps.Random, secret); err != nil {
		return fmt.Errorf("guest %s: %w", account, err)
	}
	once, err := d.access.SetupCode(ctx, access.By{Name: account, Host: true})
	if err == nil {
		_, err = d.access.SetUp(ctx, access.SetUp{Code: once.Code, Name: account, Password: hex.EncodeToString(secret), NoTOTP: true, Remote: "127.0.0.1"})
	}
	if err != nil {
		return fmt.Errorf("guest %s: %w", account, err)
	}
	return nil
}
