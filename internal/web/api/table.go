package api

import (
	"cmp"
	"slices"

	"sallyport/internal/access"
	"sallyport/internal/web"
)

// The sets of roles that rows name. Everything that is not in a row is denied.

func anybody() access.Roles { return access.Of(access.All()...) }

// readers see what this appliance holds and how it stands.
func readers() access.Roles { return anybody() }

// operators bring things in and out.
func operators() access.Roles { return access.Of(access.Operator, access.Admin) }

// approvers say yes or no to what others propose.
func approvers() access.Roles { return access.Of(access.Approver, access.Admin) }

// doers operate or approve, and so look at what waits.
func doers() access.Roles { return access.Of(access.Operator, access.Approver, access.Admin) }

// witnesses see what happened and who said yes: everyone but a viewer.
func witnesses() access.Roles {
	return access.Of(access.Operator, access.Approver, access.Auditor, access.Admin)
}

// keepers look after the machine, or judge whether others do.
func keepers() access.Roles { return access.Of(access.Operator, access.Auditor, access.Admin) }

// auditors look at who may do what, and who did.
func auditors() access.Roles { return access.Of(access.Auditor, access.Admin) }

// admins alone change trust, keys, time, accounts and settings, and copy the keys.
func admins() access.Roles { return access.Of(access.Admin) }

// Actions is the table.
func (a *API) Actions() []web.Action {
	all := a.rows()
	for i := range all {
		all[i] = a.agreeing(all[i])
		all[i].Run = a.guard(all[i].Run)
	}
	return all
}

func (a *API) rows() []web.Action {
	return slices.Concat(
		a.statusRows(), a.feedRows(), a.recordRows(), a.crossingRows(), a.mediaRows(), a.peerRows(), a.trustRows(),
		a.approvalRows(), a.exportRows(), a.timelineRows(), a.storeRows(), a.deliveryRows(), a.accessRows(), a.jobRows(), a.uploadRows(),
	)
}

// Table is the table without a daemon behind it: for descriptions, help and tests. Its actions do not run.
func Table() []web.Action { return new(API).Actions() }

func (a *API) statusRows() []web.Action {
	return []web.Action{
		web.Row("status/show", "Tells whether this appliance is well, how old its data is, and what waits for people.", readers(), "airgap:status:read", a.statusShow),
		web.Row("doctor/run", "Checks state, keys, trust, layers, disk and clock, and says what to do about each fault.", keepers(), "airgap:status:read", a.doctorRun),
		web.Row("metrics/show", "Gives the metrics as monitoring reads them.", keepers(), "airgap:status:read", a.metricsShow),
		web.Row("settings/show", "Lists the settings that are in force and where each came from.", auditors(), "", a.settingsShow),
		web.Row("backup/create", "Copies the whole appliance, with its keys, into a directory.", admins(), "", a.backupCreate).Changes().Proves().Jobs(),
		web.Row("time/show", "Tells the trusted time, where it comes from and what speaks against the clock.", readers(), "airgap:status:read", a.timeShow),
		web.Row("time/set", "Sets the trusted time by the word of two people.", admins(), "", a.timeSet).Changes().Proves().Yes(approvers()),
		web.Row("time/confirm", "Lets a time anchor count that jumps too far for one person.", admins(), "", a.timeConfirm).Changes().Proves().Yes(approvers()),
	}
}

func (a *API) feedRows() []web.Action {
	return []web.Action{
		web.Row("load/run", "Loads files into a feed of this appliance.", operators(), "feed:load", a.loadRun).Changes().Jobs(),
		web.Row("feeds/list", "Lists the feeds, how many records each has and how old it is.", readers(), "feed:read", a.feedsList),
		web.Row("feeds/show", "Shows one feed and the generations of it that are held here.", readers(), "feed:read", a.feedsShow),
		web.Row("feeds/rollback", "Makes an earlier generation of a feed active again and pins it.", operators(), "feed:manage", a.feedsRollback).Changes(),
		web.Row("feeds/pin", "Keeps a feed at its active generation: what arrives is kept, not activated.", operators(), "feed:manage", a.feedsPin).Changes(),
		web.Row("feeds/unpin", "Lets a pinned feed go on to the newest generation held.", operators(), "feed:manage", a.feedsUnpin).Changes(),
		web.Row("feeds/hold", "Keeps a generation, whatever retention says.", operators(), "feed:manage", a.feedsHold).Changes(),
		web.Row("feeds/release", "Releases a hold, by the word of two people.", operators(), "", a.feedsRelease).Changes().Yes(approvers()),
		web.Row("feeds/rhythm", "Says how often a stick with this feed arrives.", operators(), "feed:manage", a.feedsRhythm).Changes(),
	}
}

func (a *API) recordRows() []web.Action {
	return []web.Action{
		web.Row("records/show", "Shows one record, and on request the way from it to a signature.", readers(), "feed:read", a.recordsShow),
		web.Row("records/search", "Searches records by id, alias or package.", readers(), "feed:read", a.recordsSearch),
		web.Row("records/list", "Lists the records of a feed, page by page.", readers(), "feed:read", a.recordsList),
	}
}

// crossingRows are what crosses the gap: in, out, and the answers.
func (a *API) crossingRows() []web.Action {
	return []web.Action{
		web.Row("import/run", "Verifies what is on a medium for this appliance, plans it, and takes it in once it is approved.", operators(), "airgap:import", a.importRun).
			Changes().Jobs().Yes(approvers()),
		web.Row("exchange/run", "Does one whole visit of a medium: everything in, under one plan, then everything out.", operators(), "airgap:exchange", a.exchangeRun).
			Changes().Jobs(),
		web.Row("outbound/write", "Writes receipts and inventory for hubs to a medium.", operators(), "airgap:exchange", a.outboundWrite).Changes().Jobs(),
		web.Row("receipts/list", "Lists the receipts that were given, newest first.", witnesses(), "receipt:read", a.receiptsList),
		web.Row("receipts/show", "Shows one receipt with its signed envelope.", witnesses(), "receipt:read", a.receiptsShow),
		web.Row("quarantine/list", "Lists what was refused and kept.", witnesses(), "quarantine:read", a.quarantineList),
		web.Row("quarantine/show", "Shows one refused thing, its files and the log of its verification.", witnesses(), "quarantine:read", a.quarantineShow),
		web.Row("quarantine/release", "Verifies a refused bundle again and takes it in if it proves.", operators(), "", a.quarantineRelease).
			Changes().Jobs().Yes(approvers()),
		web.Row("quarantine/remove", "Throws a refused thing away and says why.", operators(), "", a.quarantineRemove).Changes(),
	}
}

func (a *API) mediaRows() []web.Action {
	return []web.Action{
		web.Row("media/list", "Lists the media that are plugged in and what waits for more of them.", readers(), "media:read", a.mediaList),
		web.Row("media/show", "Tells what is on one medium, as its labels say themselves; nothing is opened.", readers(), "media:read", a.mediaShow),
		web.Row("media/forget", "Drops a bundle that waits for volumes or for its base.", operators(), "", a.mediaForget).Changes(),
		web.Row("media/heal", "Takes from a medium the bytes that have rotted here.", operators(), "store:manage", a.mediaHeal).Changes().Jobs(),
	}
}

func (a *API) peerRows() []web.Action {
	return []web.Action{
		web.Row("card/show", "Shows the card that says who this appliance is.", readers(), "peer:read", a.cardShow),
		web.Row("card/write", "Writes the card and the trust root of this appliance to a medium.", operators(), "airgap:exchange", a.cardWrite).Changes(),
		web.Row("peers/list", "Lists the appliances that are known here.", readers(), "peer:read", a.peersList),
		web.Row("peers/show", "Shows one peer and what it holds of ours.", readers(), "peer:read", a.peersShow),
		web.Row("peers/fleet", "Tells how each peer stands with what is made here, worst first.", readers(), "peer:read", a.peersFleet),
		web.Row("peers/inspect", "Reads the card on a medium and asks for its words to be compared.", doers(), "", a.peersInspect),
		web.Row("peers/add", "Trusts an appliance for the first time, whose fingerprint or words were compared.", admins(), "", a.peersAdd).Changes().Proves(),
		web.Row("peers/confirm", "Takes the six words of a receipt that a peer read over the phone.", operators(), "", a.peersConfirm).Changes(),
	}
}

func (a *API) trustRows() []web.Action {
	return []web.Action{
		web.Row("trust/show", "Shows whom this appliance believes, by which keys and since when.", readers(), "trust:read", a.trustShow),
		web.Row("trust/plan", "Shows the changes of trust that a medium carries; nothing is changed.", doers(), "", a.trustPlan),
		web.Row("trust/apply", "Proposes a change of trust from a medium, or says yes to it.", admins(), "", a.trustApply).Changes().Proves().Jobs().Yes(approvers()),
		web.Row("keys/list", "Lists the keys of this appliance, without their secret halves.", readers(), "trust:read", a.keysList),
		web.Row("keys/rotate", "Proposes a new key that the old one signs.", admins(), "", a.keysRotate).Changes().Proves(),
		web.Row("keys/revoke", "Proposes that a key is never believed again.", admins(), "", a.keysRevoke).Changes().Proves(),
		web.Row("keys/renew", "Proposes a later end of this appliance's trust root.", admins(), "", a.keysRenew).Changes().Proves(),
		web.Row("keys/apply", "Says yes to a change of keys, and makes it when enough people have.", admins(), "", a.keysApply).Changes().Proves().Yes(approvers()),
	}
}

func (a *API) approvalRows() []web.Action {
	return []web.Action{
		web.Row("approvals/list", "Lists the plans that wait for people.", witnesses(), "approval:read", a.approvalsList),
		web.Row("approvals/show", "Shows one plan, what it would change and who said yes.", witnesses(), "approval:read", a.approvalsShow),
		web.Row("approvals/approve", "Says yes to a plan by its digest.", approvers(), "", a.approvalsApprove).Changes().Proves(),
		web.Row("approvals/deny", "Says no to a plan and says why.", approvers(), "", a.approvalsDeny).Changes(),
	}
}

func (a *API) exportRows() []web.Action {
	return []web.Action{
		web.Row("runs/submit", "Starts an export run of a profile for a peer.", operators(), "export:run", a.runsSubmit).Changes(),
		web.Row("runs/watch", "Follows an export run until it ends; the run goes on when the watcher leaves.", readers(), "export:read", a.runsWatch).Streams(),
		web.Row("runs/list", "Lists the export runs, newest first.", readers(), "export:read", a.runsList),
		web.Row("runs/show", "Shows one export run.", readers(), "export:read", a.runsShow),
		web.Row("runs/files", "Lists the files of a finished bundle on the shelf.", readers(), "export:read", a.runsFiles),
		web.Row("runs/download", "Says which file of a finished bundle may be taken away; its bytes follow.", doers(), "export:download", a.runsDownload).Changes(), // nothing here, but what leaves is written down
		web.Row("runs/retry", "Puts a run that failed or was cancelled into the queue again.", operators(), "export:run", a.runsRetry).Changes(),
		web.Row("runs/cancel", "Cancels an export run.", operators(), "export:run", a.runsCancel).Changes(),
		web.Row("bundles/verify", "Reads every outer byte of a bundle and says whether it is as it was signed.", readers(), "export:read", a.bundlesVerify).Jobs(),
	}
}

func (a *API) timelineRows() []web.Action {
	return []web.Action{
		web.Row("timeline/list", "Lists what happened, from the log in which nothing can be changed unseen.", witnesses(), "timeline:read", a.timelineList),
		web.Row("timeline/verify", "Proves every entry of the log and every head of it that came back from outside.", witnesses(), "timeline:read", a.timelineVerify),
		web.Row("timeline/checkpoint", "Gives the signed head of the log.", witnesses(), "timeline:read", a.timelineCheckpoint),
	}
}

func (a *API) storeRows() []web.Action {
	return []web.Action{
		web.Row("store/show", "Shows what is on the disk and what of it could go.", readers(), "airgap:status:read", a.storeShow),
		web.Row("store/plan", "Says what a prune would drop; nothing is changed.", readers(), "airgap:status:read", a.storePlan),
		web.Row("store/prune", "Drops old generations and what nothing names any more, or says what it would drop.", operators(), "store:manage", a.storePrune).Changes(),
		web.Row("store/scrub", "Reads the store again and proves every byte of it.", operators(), "store:manage", a.storeScrub).Changes().Jobs(),
	}
}

// Scope is one thing that a token may be allowed.
type Scope struct {
	Name    string
	Actions []string // what it allows
}

// Scopes lists the scopes of the table by name.
func Scopes(table []web.Action) (all []Scope) {
	by := map[string]int{}
	for _, a := range table {
		if a.Scope == "" {
			continue
		}
		i, ok := by[a.Scope]
		if !ok {
			i = len(all)
			by[a.Scope] = i
			all = append(all, Scope{Name: a.Scope})
		}
		all[i].Actions = append(all[i].Actions, a.Name)
	}
	slices.SortFunc(all, func(x, y Scope) int { return cmp.Compare(x.Name, y.Name) })
	return all
}
