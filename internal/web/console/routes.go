package console

import "sallyport/internal/access"

// Route is one page or one form of the console.
type Route struct {
	Pattern string       // method and path, as net/http's ServeMux has them
	Roles   access.Roles // who may open it; what it asks for is judged again, action by action
	Open    bool         // also without a session
	Actions []string     // all that its view may ask for
	Run     view
}

// The sets of roles of the table of actions.
func anybody() access.Roles { return access.Of(access.All()...) }

func operators() access.Roles { return access.Of(access.Operator, access.Admin) }

func approvers() access.Roles { return access.Of(access.Approver, access.Admin) }

func doers() access.Roles { return access.Of(access.Operator, access.Approver, access.Admin) }

func witnesses() access.Roles {
	return access.Of(access.Operator, access.Approver, access.Auditor, access.Admin)
}

func admins() access.Roles { return access.Of(access.Admin) }

// Routes is the table of all pages and forms.
func Routes() (all []Route) {
	for _, rows := range [][]Route{doorRoutes(), flowRoutes(), workRoutes(), uploadRoutes(), helpRoutes(), pageRoutes()} {
		all = append(all, rows...)
	}
	return all
}

// doorRoutes are the pages before the door: set-up, sign-in, and proving again who one is.
func doorRoutes() []Route {
	return []Route{
		{Pattern: "GET /sign-in", Open: true, Run: signInForm},
		{Pattern: "POST /sign-in", Open: true, Run: signInDo},
		{Pattern: "GET /sign-in/link/{code}", Open: true, Run: signInLink},
		{Pattern: "GET /sign-in/lost", Open: true, Run: lostForm},
		{Pattern: "POST /sign-in/lost", Open: true, Run: lostDo},
		{Pattern: "POST /sign-out", Open: true, Run: signOut},
		{Pattern: "GET /step-up", Roles: anybody(), Run: stepUpForm},
		{Pattern: "POST /step-up", Roles: anybody(), Run: stepUpDo},
		{Pattern: "GET /account", Roles: anybody(), Run: accountShow},
		{Pattern: "POST /account/password", Roles: anybody(), Run: accountPassword},
		{Pattern: "GET /account/phone", Roles: anybody(), Run: accountPhone},
		{Pattern: "POST /account/phone", Roles: anybody(), Run: accountEnrol},
		{Pattern: "POST /account/codes", Roles: anybody(), Run: accountCodes},
		{Pattern: "GET /set-up", Open: true, Run: setUpForm},
		{Pattern: "POST /set-up", Open: true, Run: setUpCode},
		{Pattern: "POST /set-up/account", Open: true, Run: setUpAccount},
		{Pattern: "GET /set-up/rhythm", Roles: admins(), Actions: []string{"settings/show"}, Run: rhythmForm},
		{Pattern: "POST /set-up/rhythm", Roles: admins(), Actions: []string{"delivery/set"}, Run: rhythmDo},
		{Pattern: "GET /set-up/card", Roles: admins(), Run: cardForm},
		{Pattern: "POST /set-up/card", Roles: admins(), Actions: []string{"users/card"}, Run: cardDo},
	}
}

// flowRoutes are the main job: look, import, exchange, approve.
func flowRoutes() []Route {
	return []Route{
		{Pattern: "GET /{$}", Roles: anybody(), Actions: []string{"status/show", "media/list", "receipts/list", "runs/list", "jobs/list"}, Run: overview},
		{Pattern: "GET /import", Roles: anybody(), Actions: []string{"media/list", "media/show", "jobs/list", "uploads/show"}, Run: importChoose},
		{Pattern: "POST /import", Roles: operators(), Actions: []string{"jobs/start", "import/run", "exchange/run", "media/show"}, Run: importStart},
		{Pattern: "GET /import/{job}", Roles: doers(), Actions: []string{"jobs/show", "approvals/show", "peers/inspect"}, Run: importJob},
		{Pattern: "POST /import/{job}/approve", Roles: operators(), Actions: []string{"jobs/start", "import/run"}, Run: importApprove},
		{Pattern: "POST /import/{job}/again", Roles: operators(), Actions: []string{"jobs/start", "import/run", "exchange/run"}, Run: importAgain},
		{Pattern: "GET /import/{job}/sheet", Roles: doers(), Actions: []string{"jobs/show", "receipts/show"}, Run: importSheet},
		{Pattern: "POST /exchange", Roles: operators(), Actions: []string{"jobs/start", "exchange/run"}, Run: exchangeStart},
		{Pattern: "GET /exchange/{job}", Roles: doers(), Actions: []string{"jobs/show", "approvals/show"}, Run: exchangeJob},
		{Pattern: "POST /exchange/{job}/approve", Roles: operators(), Actions: []string{"jobs/start", "exchange/run"}, Run: exchangeApprove},
		{Pattern: "GET /peers/add", Roles: admins(), Actions: []string{"peers/inspect", "card/show", "media/list"}, Run: peerAddForm},
		{Pattern: "POST /peers/add", Roles: admins(), Actions: []string{"peers/add", "jobs/start"}, Run: peerAddDo},
	}
}

// workRoutes are what waits for people and what runs by itself.
func workRoutes() []Route {
	return []Route{
		{Pattern: "GET /approvals", Roles: witnesses(), Actions: []string{"approvals/list"}, Run: approvalsList},
		{Pattern: "GET /approvals/{digest}", Roles: witnesses(), Actions: []string{"approvals/show", "jobs/list", "jobs/show", "media/list"}, Run: approvalShow},
		{Pattern: "POST /approvals/{digest}/approve", Roles: approvers(), Actions: []string{"approvals/approve"}, Run: approvalYes},
		{Pattern: "POST /approvals/{digest}/deny", Roles: approvers(), Actions: []string{"approvals/deny"}, Run: approvalNo},
		{Pattern: "POST /approvals/{digest}/go", Roles: doers(), Actions: []string{"jobs/start", "import/run", "exchange/run", "trust/apply", "keys/apply"}, Run: approvalGo},
		{Pattern: "GET /jobs", Roles: anybody(), Actions: []string{"jobs/list"}, Run: jobsList},
		{Pattern: "GET /jobs/{id}", Roles: anybody(), Actions: []string{"jobs/show"}, Run: jobShow},
		{Pattern: "POST /jobs/{id}/cancel", Roles: operators(), Actions: []string{"jobs/cancel"}, Run: jobCancel},
		{Pattern: "GET /jobs/{id}/log", Roles: anybody(), Actions: []string{"jobs/log"}, Run: jobLog},
		{Pattern: "GET /jobs/{id}/events", Roles: anybody(), Actions: []string{"jobs/show"}, Run: jobEvents},
		{Pattern: "GET /events", Roles: anybody(), Actions: []string{"jobs/list"}, Run: overviewEvents},
	}
}
