package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/code"
	"sallyport/internal/wire"
)

func (a *app) keysCmd() *cobra.Command {
	list := command("list", "list our own keys, and where their private halves are", 0, func([]string) error {
		k, err := call[wire.KeyRows](a, "keys/list", nil)
		if err != nil {
			return err
		}
		return a.show(k, func(w io.Writer) { keyTable(w, k.Keys) })
	})
	return family("keys", "our own keys: exchange and revoke them, by two people", list, a.keysRotateCmd(), a.keysRevokeCmd(), a.keysRenewCmd(), a.keysApplyCmd())
}

func (a *app) keysRotateCmd() *cobra.Command {
	var q wire.KeyRequest
	var keep string
	c := command("rotate bundle|appliance|age", "make a new key and propose to use it; the old one stays valid for a while, and what was signed stays provable", 1, func(args []string) (err error) {
		q.Kind = args[0]
		if q.Overlap, err = seconds(keep); err != nil {
			return err
		}
		return a.proposeKeys("keys/rotate", q)
	})
	f := c.Flags()
	f.StringVar(&q.Tenant, "tenant", "", "whose bundle key, where there are several tenants")
	f.StringVar(&q.Reason, "reason", "", "why, for the audit")
	f.StringVar(&keep, "overlap", "90d", "how long the old key stays valid: 36h, 90d")
	return c
}

func (a *app) keysRevokeCmd() *cobra.Command {
	var q wire.KeyRequest
	c := command("revoke KEYID", "propose to end a key that is not in use any more: what it signs is refused everywhere from then on", 1, func(args []string) error {
		q.KeyID = args[0]
		return a.proposeKeys("keys/revoke", q)
	})
	c.Flags().StringVar(&q.Reason, "reason", "", "why, for the audit")
	return c
}

func (a *app) keysRenewCmd() *cobra.Command {
	var q wire.KeyRequest
	c := command("renew", "propose a later end of our trust root: ten years from today", 0, func([]string) error {
		return a.proposeKeys("keys/renew", q)
	})
	c.Flags().StringVar(&q.Reason, "reason", "", "why, for the audit")
	return c
}

func (a *app) proposeKeys(action string, q wire.KeyRequest) error {
	if q.Reason == "" {
		return missing("--reason", "Say why the key changes.")
	}
	p, err := call[wire.KeyPlan](a, action, q)
	if err != nil {
		return err
	}
	return a.show(p, func(w io.Writer) { a.keyPlan(w, p) })
}

func (a *app) keysApplyCmd() *cobra.Command {
	var q wire.KeyRequest
	var files []string
	c := command("apply DIGEST", "say yes to a change of our keys, and make it when enough people have", 1, func(args []string) error {
		q.Approve = args[0]
		if err := approval(false, q.Approve); err != nil {
			return err
		}
		for _, f := range files {
			b, err := rootKey(f)
			if err != nil {
				return err
			}
			q.RootKeys = append(q.RootKeys, b)
		}
		p, err := call[wire.KeyPlan](a, "keys/apply", q)
		if err != nil {
			return a.whoNext(err, "keys", "apply", args[0])
		}
		return a.show(p, func(w io.Writer) { a.keyPlan(w, p) })
	})
	c.Flags().StringArrayVar(&files, "root-key", nil, "file of a root key that is kept offline; it is read once and not stored")
	c.Flags().StringVar(&q.Reason, "reason", "", "why, for the audit")
	return c
}

// maxRootKey is far more than a PEM file of one key has.
const maxRootKey = 64 << 10

// rootKey reads a key with the rights of whoever types: the daemon never opens a path for it.
func rootKey(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, code.Wrap(code.SigningKey, err, "root key").In(file, "")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRootKey))
	if err != nil {
		return nil, code.Wrap(code.SigningKey, err, "root key").In(file, "")
	}
	return b, nil
}

// seconds reads a duration: what Go writes, or days as 90d.
func seconds(s string) (int64, error) {
	var days int64
	if n, err := fmt.Sscanf(s, "%dd", &days); n == 1 && err == nil && fmt.Sprintf("%dd", days) == s && days > 0 && days < 10000 {
		return days * 86400, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second {
		return 0, code.New(code.BadUsage, "this is not a duration: %.40q", s).Do("Write 36h or 90d.")
	}
	return int64(d / time.Second), nil
}

// keyPlan prints a change of our own keys, and how to go on.
func (a *app) keyPlan(w io.Writer, p wire.KeyPlan) {
	fmt.Fprintln(w, clean(p.Sentence))
	for _, line := range p.Changes {
		fmt.Fprintf(w, "  %s\n", clean(line))
	}
	if p.Applied {
		return
	}
	fmt.Fprintf(w, "plan %s\n", p.Digest)
	a.saidYes(p.People, p.Need, p.ExpiresAt)
	words := []string{"keys", "apply", p.Digest}
	if p.Offline {
		words = append(words, "--root-key", "FILE")
		a.say("The root key is not on this machine: bring its file along.")
	}
	if len(p.People) < p.Need {
		a.say("The second person types, signed in as themselves: %s", clean(a.elsewhere(words...)))
		return
	}
	a.say("To make it: %s", clean(a.typed(words...)))
}
