package api

import (
	"context"
	"path/filepath"

	"sallyport/internal/code"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// keysInside is said of every backup.
const keysInside = "It holds the keys of this appliance: whoever has it can speak for it. Keep it as you keep the keys."

// backupCreate copies the appliance. It holds secrets, so it is for root and the daemon's user.
func (a *API) backupCreate(ctx context.Context, c *web.Call) (any, error) {
	var q wire.BackupRequest
	if err := c.Decode(&q); err != nil {
		return nil, err
	}
	if err := absolute(q.To); err != nil {
		return nil, err
	}
	if !c.Actor.Admin {
		return nil, code.New(code.Denied, "a backup holds the keys: it is for root and the daemon's user")
	}
	if err := a.Intake.Settle(); err != nil { // else its state would know of a root that is not in it
		return nil, err
	}
	m, err := a.Care.Backup(ctx, person(c.Actor), filepath.Clean(q.To), func(step string, done, total int64) {
		c.Progress(wire.Progress{Stage: "backup", Subject: step, Bytes: done, TotalBytes: total})
	})
	if err != nil {
		return nil, err
	}
	x := m.Archive
	return wire.Backup{
		Dir: m.Dir, Name: x.Name, CreatedAt: x.CreatedAt, Files: len(x.Files), Bytes: x.Bytes, Feeds: len(x.Feeds), Events: x.Head.Size,
		Lacks: x.Lacks, Warning: keysInside,
	}, nil
}
