package api

import (
	"context"

	"sallyport/internal/code"
	"sallyport/internal/config"
	"sallyport/internal/job"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// settingsShow lists what is in force and where each value came from. There is no secret among the settings: keys are files.
func (a *API) settingsShow(context.Context, *web.Call, wire.None) (wire.Settings, error) {
	out := wire.Settings{DataDir: a.Self.DataDir, Settings: []wire.Setting{}}
	about := config.Settings()
	for i, v := range a.Config.Values() { // both in the order of the table
		out.Settings = append(out.Settings, wire.Setting{Name: v.Name, Value: v.Value, Source: v.Source, Variable: about[i].Variable, Help: about[i].Help})
	}
	return out, nil
}

// runsFiles names the files of a finished bundle.
func (a *API) runsFiles(ctx context.Context, _ *web.Call, q wire.ShelfRequest) (wire.Shelf, error) {
	run, files, err := a.Export.Files(ctx, q.ID)
	if err != nil {
		return wire.Shelf{}, err
	}
	out := wire.Shelf{Run: run.ID, Name: run.Name, Files: []wire.ShelfFile{}}
	for _, f := range files {
		out.Files = append(out.Files, wire.ShelfFile{Name: f.Name, Bytes: f.Bytes, Digest: f.Digest.String()})
	}
	return out, nil
}

// runsDownload says that a file of a bundle may be taken away and which one it is; the door sends its bytes.
func (a *API) runsDownload(ctx context.Context, _ *web.Call, q wire.ShelfRequest) (wire.ShelfFile, error) {
	f, about, err := a.Export.Open(ctx, q.ID, q.File)
	if err != nil {
		return wire.ShelfFile{}, err
	}
	f.Close()
	return wire.ShelfFile{Name: about.Name, Bytes: about.Bytes, Digest: about.Digest.String()}, nil
}

// runsRetry puts a run that failed or was cancelled back into the queue.
func (a *API) runsRetry(ctx context.Context, c *web.Call, q wire.RunRequest) (wire.Run, error) {
	run, err := a.Export.Show(ctx, q.ID)
	if err != nil {
		return wire.Run{}, err
	}
	if run.State != job.Failed && run.State != job.Cancelled {
		return wire.Run{}, code.New(code.ExportConflict, "run %s is %s", q.ID, run.State).Do("Only a run that failed or was cancelled is tried again.")
	}
	if err := a.Export.Retry(ctx, q.ID, c.Actor.Name()); err != nil {
		return wire.Run{}, err
	}
	a.count(q.ID)
	return a.run(ctx, q.ID)
}
