package api

import (
	"encoding/base64"
	"mime"
	"net/http"
	"time"

	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// runsFile sends a file of a finished bundle. The action runs/download says first that it may go, and writes down that it went; a
// client that was interrupted asks for the rest by Range.
func (a *API) runsFile(w http.ResponseWriter, r *http.Request, who web.Actor, param func(string) string) error {
	q := wire.ShelfRequest{ID: param("id"), File: param("file")}
	if _, err := a.Do(r.Context(), who, "runs/download", q); err != nil {
		return err
	}
	f, about, err := a.Export.Open(r.Context(), q.ID, q.File)
	if err != nil {
		return err
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": about.Name}))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("ETag", `"`+about.Digest.Hex()+`"`)
	h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(about.Digest[:])+":") // RFC 9530
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}
