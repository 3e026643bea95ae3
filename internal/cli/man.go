package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sallyport/internal/code"
)

// manCmd writes a manual page for each command.
func (a *app) manCmd() *cobra.Command {
	var to string
	c := &cobra.Command{Use: "man --to DIR", Short: "write manual pages", Args: cobra.NoArgs}
	c.Flags().StringVar(&to, "to", "", "directory to write to")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if to == "" {
			return missing("--to", "Say where to write the pages.")
		}
		if err := os.MkdirAll(to, 0o755); err != nil {
			return code.Wrap(code.BadUsage, err, "write manual").In(to, "")
		}
		return pages(cmd.Root(), to)
	}
	return c
}

func pages(c *cobra.Command, dir string) error {
	if c.Hidden || c.Name() == "help" {
		return nil
	}
	name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(manPage(c)), 0o644); err != nil {
		return fmt.Errorf("write manual: %w", err)
	}
	for _, sub := range c.Commands() {
		if err := pages(sub, dir); err != nil {
			return err
		}
	}
	return nil
}

// manPage is one page in the man macros.
func manPage(c *cobra.Command) string {
	var b strings.Builder
	title := strings.ToUpper(strings.ReplaceAll(c.CommandPath(), " ", "-"))
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"sallyport %s\" \"Sallyport\"\n", roff(title), Version)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(strings.ReplaceAll(c.CommandPath(), " ", "-")), roff(c.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(c.UseLine()))
	if c.Long != "" {
		fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", roff(c.Long))
	}
	if c.HasAvailableSubCommands() {
		b.WriteString(".SH COMMANDS\n")
		for _, sub := range c.Commands() {
			if !sub.Hidden {
				fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(sub.Use), roff(sub.Short))
			}
		}
	}
	options(&b, "OPTIONS", c.NonInheritedFlags())
	options(&b, "OPTIONS OF EVERY COMMAND", c.InheritedFlags())
	b.WriteString(".SH EXIT STATUS\n0 ok, 1 unexpected, 2 usage, 3 not allowed, 4 not found, 5 offline or sealed violation, 6 integrity, 7 signature or trust, 8 older than accepted, 9 stale or time, " +
		"10 try again later, 11 quarantined, 12 delta base missing, 13 decryption, 14 no space, 130 interrupted\n")
	b.WriteString(".SH ENVIRONMENT\nSALLYPORT_DATA_DIR, SALLYPORT_SOCKET, NO_COLOR, and every setting of config.yaml as SALLYPORT_A_B\n")
	return b.String()
}

func options(b *strings.Builder, head string, f *pflag.FlagSet) {
	if !f.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", head)
	f.VisitAll(func(x *pflag.Flag) {
		if !x.Hidden {
			fmt.Fprintf(b, ".TP\n.B \\-\\-%s\n%s\n", roff(x.Name), roff(x.Usage))
		}
	})
}

// roff escapes what the macros would read.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n", "\n.br\n").Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
