package console

import (
	"slices"

	"sallyport/internal/access"
)

// pageRoutes are all other pages.
func pageRoutes() []Route {
	return slices.Concat(contentRoutes(), exportRoutes(), mediaRoutes(), trustRoutes(), historyRoutes(), peopleRoutes(), applianceRoutes())
}

// contentRoutes are what is held here: feeds and records.
func contentRoutes() []Route {
	steer := []string{"feeds/show", "feeds/rollback", "feeds/pin", "feeds/unpin", "feeds/hold", "feeds/release", "feeds/rhythm", "approvals/list"}
	return []Route{
		{Pattern: "GET /feeds", Roles: anybody(), Actions: []string{"feeds/list"}, Run: feedsPage},
		{Pattern: "GET /feeds.csv", Roles: anybody(), Actions: []string{"feeds/list"}, Run: feedsCSV},
		{Pattern: "GET /feeds/{origin}/{feed}", Roles: anybody(), Actions: []string{"feeds/show"}, Run: feedPage},
		{Pattern: "GET /feeds/{origin}/{feed}/{verb}", Roles: doers(), Actions: []string{"feeds/show", "approvals/list"}, Run: feedAsk},
		{Pattern: "POST /feeds/{origin}/{feed}/{verb}", Roles: doers(), Actions: steer, Run: feedDo},
		{Pattern: "GET /records", Roles: anybody(), Actions: []string{"records/list", "records/search", "feeds/list"}, Run: recordsPage},
		{Pattern: "GET /records.csv", Roles: anybody(), Actions: []string{"records/list", "records/search"}, Run: recordsCSV},
		{Pattern: "GET /records/{kind}/{key...}", Roles: anybody(), Actions: []string{"records/show", "records/search"}, Run: recordPage},
	}
}

// exportRoutes are what goes out, and to whom.
func exportRoutes() []Route {
	return []Route{
		{Pattern: "GET /exports", Roles: anybody(), Actions: []string{"runs/list", "peers/list"}, Run: exportsPage},
		{Pattern: "GET /exports.csv", Roles: anybody(), Actions: []string{"runs/list"}, Run: exportsCSV},
		{Pattern: "GET /exports/new", Roles: operators(), Actions: []string{"runs/submit", "peers/fleet", "feeds/list", "media/list"}, Run: exportNewForm},
		{Pattern: "POST /exports/new", Roles: operators(), Actions: []string{"runs/submit", "peers/fleet", "feeds/list", "media/list"}, Run: exportNewDo},
		{Pattern: "GET /exports/confirm", Roles: operators(), Actions: []string{"peers/list"}, Run: confirmForm},
		{Pattern: "POST /exports/confirm", Roles: operators(), Actions: []string{"peers/confirm", "peers/list"}, Run: confirmDo},
		{Pattern: "GET /exports/{id}", Roles: anybody(), Actions: []string{"runs/show", "runs/files"}, Run: exportPage},
		{Pattern: "GET /exports/{id}/events", Roles: anybody(), Actions: []string{"runs/show"}, Run: exportEvents},
		{Pattern: "POST /exports/{id}/cancel", Roles: operators(), Actions: []string{"runs/cancel"}, Run: exportCancel},
		{Pattern: "POST /exports/{id}/retry", Roles: operators(), Actions: []string{"runs/retry"}, Run: exportRetry},
		{Pattern: "POST /exports/{id}/verify", Roles: anybody(), Actions: []string{"jobs/start", "bundles/verify"}, Run: exportVerify},
		{Pattern: "POST /exports/{id}/files/{name}", Roles: doers(), Actions: []string{"runs/download"}, Run: exportFile},
		{Pattern: "GET /peers", Roles: anybody(), Actions: []string{"peers/fleet"}, Run: peersPage},
		{Pattern: "GET /peers.csv", Roles: anybody(), Actions: []string{"peers/fleet"}, Run: peersCSV},
		{Pattern: "GET /peers/{name}", Roles: anybody(), Actions: []string{"peers/fleet"}, Run: peerPage},
	}
}

// mediaRoutes are sticks, what waits for more of them, and what was refused.
func mediaRoutes() []Route {
	return []Route{
		{Pattern: "GET /media", Roles: anybody(), Actions: []string{"media/list"}, Run: mediaPage},
		{Pattern: "GET /media/forget/{label}", Roles: operators(), Actions: []string{"media/list"}, Run: forgetForm},
		{Pattern: "POST /media/forget/{label}", Roles: operators(), Actions: []string{"media/forget", "media/list"}, Run: forgetDo},
		{Pattern: "GET /media/heal", Roles: operators(), Actions: []string{"media/list"}, Run: healForm},
		{Pattern: "POST /media/heal", Roles: operators(), Actions: []string{"jobs/start", "media/heal", "media/list"}, Run: healDo},
		{Pattern: "POST /media/card", Roles: operators(), Actions: []string{"card/write"}, Run: cardWrite},
		{Pattern: "GET /quarantine", Roles: witnesses(), Actions: []string{"quarantine/list"}, Run: quarantinePage},
		{Pattern: "GET /quarantine.csv", Roles: witnesses(), Actions: []string{"quarantine/list"}, Run: quarantineCSV},
		{Pattern: "GET /quarantine/{n}", Roles: witnesses(), Actions: []string{"quarantine/show"}, Run: quarantinedPage},
		{Pattern: "GET /quarantine/{n}/remove", Roles: operators(), Actions: []string{"quarantine/show"}, Run: quarantineRemoveForm},
		{Pattern: "POST /quarantine/{n}/remove", Roles: operators(), Actions: []string{"quarantine/remove", "quarantine/show"}, Run: quarantineRemoveDo},
		{Pattern: "GET /quarantine/{n}/release", Roles: operators(), Actions: []string{"quarantine/show", "media/list"}, Run: quarantineReleaseForm},
		{Pattern: "POST /quarantine/{n}/release", Roles: operators(), Actions: []string{"jobs/start", "quarantine/release", "quarantine/show", "media/list"}, Run: quarantineReleaseDo},
	}
}

// trustRoutes are whom this appliance believes, and its own keys.
func trustRoutes() []Route {
	return []Route{
		{Pattern: "GET /trust", Roles: anybody(), Actions: []string{"trust/show"}, Run: trustPage},
		{Pattern: "GET /trust.csv", Roles: anybody(), Actions: []string{"trust/show"}, Run: trustCSV},
		{Pattern: "GET /trust/{name}", Roles: anybody(), Actions: []string{"trust/show"}, Run: trustOnePage},
		{Pattern: "GET /trust/plan", Roles: doers(), Actions: []string{"trust/plan", "media/list"}, Run: trustPlanPage},
		{Pattern: "POST /trust/apply", Roles: approvers(), Actions: []string{"jobs/start", "trust/apply", "trust/plan", "media/list"}, Run: trustApply},
		{Pattern: "GET /trust/keys/{verb}", Roles: admins(), Actions: []string{"keys/list"}, Run: keyForm},
		{Pattern: "POST /trust/keys/{verb}", Roles: admins(), Actions: []string{"keys/rotate", "keys/revoke", "keys/renew", "keys/list"}, Run: keyDo},
	}
}

// historyRoutes are what happened, and what was answered.
func historyRoutes() []Route {
	return []Route{
		{Pattern: "GET /timeline", Roles: witnesses(), Actions: []string{"timeline/list"}, Run: timelinePage},
		{Pattern: "GET /timeline.csv", Roles: witnesses(), Actions: []string{"timeline/list"}, Run: timelineCSV},
		{Pattern: "GET /timeline/verify", Roles: witnesses(), Actions: []string{"timeline/verify"}, Run: timelineVerify},
		{Pattern: "GET /timeline/checkpoint", Roles: witnesses(), Actions: []string{"timeline/checkpoint"}, Run: timelineCheckpoint},
		{Pattern: "GET /receipts", Roles: witnesses(), Actions: []string{"receipts/list"}, Run: receiptsPage},
		{Pattern: "GET /receipts.csv", Roles: witnesses(), Actions: []string{"receipts/list"}, Run: receiptsCSV},
		{Pattern: "GET /receipts/{n}", Roles: witnesses(), Actions: []string{"receipts/show"}, Run: receiptPage},
		{Pattern: "GET /receipts/{n}/sheet", Roles: witnesses(), Actions: []string{"receipts/show"}, Run: receiptSheet},
	}
}

// peopleRoutes are who may come in.
func peopleRoutes() []Route {
	return []Route{
		{Pattern: "GET /users", Roles: auditors(), Actions: []string{"users/list"}, Run: usersPage},
		{Pattern: "GET /users.csv", Roles: auditors(), Actions: []string{"users/list"}, Run: usersCSV},
		{Pattern: "GET /users/new", Roles: admins(), Actions: []string{"users/create"}, Run: userNewForm},
		{Pattern: "POST /users/new", Roles: admins(), Actions: []string{"users/create"}, Run: userNewDo},
		{Pattern: "GET /users/{name}", Roles: auditors(), Actions: []string{"users/show", "sessions/list"}, Run: userPage},
		{Pattern: "POST /users/{name}", Roles: admins(), Actions: []string{"users/change", "users/show", "sessions/list"}, Run: userChangeDo},
		{Pattern: "POST /users/{name}/link", Roles: admins(), Actions: []string{"users/link", "users/show", "sessions/list"}, Run: userLinkDo},
		{Pattern: "GET /users/{name}/{verb}", Roles: admins(), Actions: []string{"users/show"}, Run: userAsk},
		{Pattern: "POST /users/{name}/{verb}", Roles: admins(), Actions: []string{"users/change", "users/disable", "users/show"}, Run: userDo},
		{Pattern: "GET /sessions", Roles: anybody(), Actions: []string{"sessions/list"}, Run: sessionsPage},
		{Pattern: "POST /sessions/revoke", Roles: anybody(), Actions: []string{"sessions/revoke"}, Run: sessionsRevoke},
		{Pattern: "GET /tokens", Roles: auditors(), Actions: []string{"tokens/list"}, Run: tokensPage},
		{Pattern: "GET /tokens.csv", Roles: auditors(), Actions: []string{"tokens/list"}, Run: tokensCSV},
		{Pattern: "GET /tokens/new", Roles: admins(), Actions: []string{"tokens/list"}, Run: tokenNewForm},
		{Pattern: "POST /tokens/new", Roles: admins(), Actions: []string{"tokens/create", "tokens/list"}, Run: tokenNewDo},
		{Pattern: "GET /tokens/{id}/revoke", Roles: admins(), Actions: []string{"tokens/list"}, Run: tokenRevokeForm},
		{Pattern: "POST /tokens/{id}/revoke", Roles: admins(), Actions: []string{"tokens/revoke"}, Run: tokenRevokeDo},
	}
}

// applianceRoutes are the machine: its disk, its time, its copies, its settings.
func applianceRoutes() []Route {
	return []Route{
		{Pattern: "GET /settings", Roles: admins(), Actions: []string{"settings/show"}, Run: settingsPage},
		{Pattern: "GET /settings.csv", Roles: admins(), Actions: []string{"settings/show"}, Run: settingsCSV},
		{Pattern: "GET /store", Roles: anybody(), Actions: []string{"store/show"}, Run: storePage},
		{Pattern: "GET /store/prune", Roles: anybody(), Actions: []string{"store/plan"}, Run: prunePage},
		{Pattern: "POST /store/prune", Roles: operators(), Actions: []string{"store/prune"}, Run: pruneDo},
		{Pattern: "GET /store/scrub", Roles: operators(), Actions: []string{"store/scrub"}, Run: scrubForm},
		{Pattern: "POST /store/scrub", Roles: operators(), Actions: []string{"jobs/start", "store/scrub"}, Run: scrubDo},
		{Pattern: "GET /time", Roles: anybody(), Actions: []string{"time/show", "approvals/list"}, Run: timePage},
		{Pattern: "GET /time/set", Roles: approvers(), Actions: []string{"time/show", "approvals/list"}, Run: timeSetForm},
		{Pattern: "POST /time/set", Roles: approvers(), Actions: []string{"time/set", "time/show", "approvals/list"}, Run: timeSetDo},
		{Pattern: "GET /time/confirm", Roles: approvers(), Actions: []string{"time/show", "approvals/list"}, Run: timeConfirmForm},
		{Pattern: "POST /time/confirm", Roles: approvers(), Actions: []string{"time/confirm", "time/show", "approvals/list"}, Run: timeConfirmDo},
		{Pattern: "GET /backups", Roles: admins(), Actions: []string{"media/list", "timeline/list"}, Run: backupsPage},
		{Pattern: "POST /backups", Roles: admins(), Actions: []string{"jobs/start", "backup/create", "media/list", "timeline/list"}, Run: backupDo},
	}
}

// auditors judge whether others do what they should.
func auditors() access.Roles { return access.Of(access.Auditor, access.Admin) }
