package api

import (
	"context"
	"path/filepath"

	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// keysInside is said of every backup.
const keysInside = "It holds the keys of this appliance: whoever has it can speak for it. Keep it as you keep the keys."

// backupCreate copies the appliance. It holds secrets, so the table lets admins alone.
func (a *API) backupCreate(ctx context.Context, c *web.Call, q wire.BackupRequest) (wire.Backup, error) {
	if err := absolute(q.To); err != nil {
		return wire.Backup{}, err
	}
	if err := a.Intake.Settle(); err != nil { // else its state would know of a root that is not in it
		return wire.Backup{}, err
	}
	m, err := a.Care.Backup(ctx, person(c.Actor), filepath.Clean(q.To), func(step string, done, total int64) {
		c.Progress(wire.Progress{Stage: "backup", Subject: step, Bytes: done, TotalBytes: total})
	})
	if err != nil {
		return wire.Backup{}, err
	}
	x := m.Archive
	return wire.Backup{
		Dir: m.Dir, Name: x.Name, CreatedAt: x.CreatedAt, Files: len(x.Files), Bytes: x.Bytes, Feeds: len(x.Feeds), Events: x.Head.Size,
		Lacks: x.Lacks, Warning: keysInside,
	}, nil
}
