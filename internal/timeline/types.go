package timeline

import "slices"

// types is the list of 30-trust-and-time, "Timeline".
var types = []string{
	"reach.runtime.ingested", "runtime.ingest.failed", "reach.runtime.orphaned", "reach.runtime.adopted",
	"export.run.submitted", "export.run.started", "export.run.succeeded", "export.run.failed", "export.run.cancelled",
	"export.retention.completed", "export.retention.failed",
	"bundle.import.accepted", "bundle.import.held", "bundle.import.parked", "bundle.import.quarantined",
	"bundle.import.refused", "bundle.import.activated", "bundle.import.rolledback",
	"mirror.bundle.created", "mirror.delta.applied", "mirror.delta.apply_failed", "mirror.encryption.enabled",
	"feed.loaded", "feed.rolledback", "feed.pinned",
	"trust.rotation.proposed", "trust.rotation.approved", "trust.rotation.applied",
	"key.created", "key.rotated", "key.revoked",
	"time.anchor.applied", "time.anchor.rejected", "time.anchor.stale",
	"approval.granted", "approval.denied",
	"auth.login", "auth.denied", "access.recovered", "user.created", "user.changed", "user.disabled", "role.changed",
	"token.created", "token.revoked", "session.revoked", "config.changed",
	"media.seen", "media.written", "media.removed", "hold.set", "hold.released",
	"backup.created", "backup.restored", "support.bundle.created", "daemon.started", "daemon.stopped",
	"airgap.sealed", "airgap.unsealed", "redaction_notice",
}

// Types lists the event types there are.
func Types() []string { return slices.Clone(types) }

// Known tells whether an event type is one of them.
func Known(t string) bool { return slices.Contains(types, t) }
