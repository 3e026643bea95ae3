package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/web/api"
)

// action is a row of the table as people and scripts read it.
type action struct {
	Name    string   `json:"name"`
	Summary string   `json:"summary"`
	Roles   []string `json:"roles"`
	Agree   []string `json:"agree,omitempty"` // may say yes to what somebody proposed
	Scope   string   `json:"scope,omitempty"`
	Audit   string   `json:"audit,omitempty"`
	StepUp  bool     `json:"stepUp,omitempty"`
	Job     bool     `json:"job,omitempty"`
}

func (a *app) apiCmd() *cobra.Command {
	var actions bool
	c := command("api", "print the description of the API (OpenAPI 3.1), or who may do what", 0, func([]string) error {
		if !actions {
			doc, err := api.Describe(Version)
			if err != nil {
				return err
			}
			_, err = a.Out.Write(doc)
			return err
		}
		list := tableOf()
		return a.show(list, func(w io.Writer) {
			var rows [][]string
			for _, x := range list {
				rows = append(rows, []string{x.Name, strings.Join(x.Roles, " "), strings.Join(x.Agree, " "), x.Scope, x.Summary})
			}
			table(w, "ACTION ROLES AGREE SCOPE WHAT", rows)
		})
	})
	c.Flags().BoolVar(&actions, "actions", false, "list every action, the roles of which one is enough, and the scope that a token needs")
	return c
}

func tableOf() (list []action) {
	for _, x := range api.Table() {
		row := action{Name: x.Name, Summary: x.Summary, Scope: x.Scope, Audit: x.Audit, StepUp: x.StepUp, Job: x.Job}
		for _, r := range x.Roles.List() {
			row.Roles = append(row.Roles, string(r))
		}
		for _, r := range (x.Approve &^ x.Roles).List() {
			row.Agree = append(row.Agree, string(r))
		}
		list = append(list, row)
	}
	return list
}
