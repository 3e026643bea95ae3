package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"mime"
	"net/http"
	"strconv"

	"sallyport/internal/code"
	"sallyport/internal/upload"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

func (a *API) uploadRows() []web.Action {
	const scope = "airgap:import"
	return []web.Action{
		web.Row("uploads/create", "Begins an upload of the files of a bundle, or finds the one that is open for them.", operators(), scope, a.uploadsCreate).Changes(),
		web.Row("uploads/list", "Lists the uploads that are here.", doers(), scope, a.uploadsList),
		web.Row("uploads/show", "Tells which chunks of an upload are here.", doers(), scope, a.uploadsShow),
		web.Row("uploads/chunk", "Takes one chunk of an upload, as base64.", operators(), scope, a.uploadsChunk),
		web.Row("uploads/complete", "Makes a medium of an upload of which every chunk is here.", operators(), scope, a.uploadsComplete).Changes(),
		web.Row("uploads/remove", "Throws an upload away.", operators(), scope, a.uploadsRemove).Changes(),
	}
}

func (a *API) uploadsCreate(ctx context.Context, c *web.Call, q wire.UploadRequest) (wire.Upload, error) {
	tenant, err := a.tenant(q.Tenant)
	if err != nil {
		return wire.Upload{}, err
	}
	return a.Uploads.Begin(ctx, upload.Owner{Tenant: tenant, By: c.Actor.Name()}, q)
}

func (a *API) uploadsList(_ context.Context, _ *web.Call, q wire.UploadRequest) (wire.Uploads, error) {
	tenant, err := a.tenant(q.Tenant)
	if err != nil {
		return wire.Uploads{}, err
	}
	return a.Uploads.List(tenant), nil
}

func (a *API) uploadsShow(_ context.Context, _ *web.Call, q wire.UploadRequest) (wire.Upload, error) {
	tenant, err := a.tenant(q.Tenant)
	if err != nil {
		return wire.Upload{}, err
	}
	return a.Uploads.Show(tenant, q.ID)
}

// uploadsChunk takes a chunk as runbook 5 sends it: the same upload_id and chunk_index again is no harm.
func (a *API) uploadsChunk(ctx context.Context, _ *web.Call, q wire.UploadChunk) (wire.Upload, error) {
	tenant, err := a.tenant(q.Tenant)
	if err != nil {
		return wire.Upload{}, err
	}
	if err := a.Uploads.Check(tenant, q.ID, q.Total); err != nil {
		return wire.Upload{}, err
	}
	return a.Uploads.Chunk(ctx, tenant, q.ID, q.Index, bytes.NewReader(q.Data))
}

func (a *API) uploadsComplete(ctx context.Context, _ *web.Call, q wire.UploadRequest) (wire.Upload, error) {
	tenant, err := a.tenant(q.Tenant)
	if err != nil {
		return wire.Upload{}, err
	}
	said := q.Digests
	if q.Digest != "" {
		said = map[string]string{"": q.Digest}
	}
	return a.Uploads.Complete(ctx, tenant, q.ID, said)
}

func (a *API) uploadsRemove(ctx context.Context, _ *web.Call, q wire.UploadRequest) (wire.None, error) {
	tenant, err := a.tenant(q.Tenant)
	if err != nil {
		return wire.None{}, err
	}
	return wire.None{}, a.Uploads.Remove(ctx, tenant, q.ID)
}

// Routes are the addresses of uploads as programs like them. All but a chunk and a form are the actions by another name.
func (a *API) Routes() []web.Route {
	do := func(method, path, action string, in func(*http.Request, func(string) string) (wire.UploadRequest, error)) web.Route {
		return web.Route{Method: method, Path: path, Action: action, Body: maxUploadRequest, Serve: func(w http.ResponseWriter, r *http.Request, who web.Actor, param func(string) string) error {
			q, err := in(r, param)
			if err != nil {
				return err
			}
			v, err := a.Do(r.Context(), who, action, q)
			if err == nil {
				web.WriteJSON(w, v)
			}
			return err
		}}
	}
	named := func(r *http.Request, param func(string) string) (wire.UploadRequest, error) {
		return wire.UploadRequest{ID: param("id"), Tenant: r.URL.Query().Get("tenant")}, nil
	}
	told := func(r *http.Request, param func(string) string) (wire.UploadRequest, error) {
		q, err := uploadRequest(r)
		q.ID = param("id")
		return q, err
	}
	return []web.Route{
		{Method: http.MethodPost, Path: "uploads", Action: "uploads/create", Serve: a.uploadBegin},
		{Method: http.MethodPut, Path: "uploads/:id/chunks/:index", Action: "uploads/chunk", Body: upload.MaxBody, Serve: a.uploadChunk},
		do(http.MethodGet, "uploads", "uploads/list", named),
		do(http.MethodGet, "uploads/:id", "uploads/show", named),
		do(http.MethodPost, "uploads/:id/complete", "uploads/complete", told),
		do(http.MethodPost, "uploads/:id/remove", "uploads/remove", told),
		do(http.MethodDelete, "uploads/:id", "uploads/remove", named),
		{Method: http.MethodGet, Path: "runs/:id/files/:file", Action: "runs/download", Serve: a.runsFile},
	}
}

// maxUploadRequest bounds what is told about an upload: the names of all its files.
const maxUploadRequest = 8 << 20

// uploadRequest reads a body that tells about an upload; an empty one tells nothing.
func uploadRequest(r *http.Request) (q wire.UploadRequest, err error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, maxUploadRequest+1))
	if err == nil && len(b) > maxUploadRequest {
		return q, code.New(code.TooLarge, "")
	}
	if err != nil {
		return q, code.Wrap(code.BadUsage, err, "the request does not read")
	}
	return q, web.NewCall(web.Actor{}, b, nil).Decode(&q)
}

// uploadBegin begins an upload, or takes a whole one as a form.
func (a *API) uploadBegin(w http.ResponseWriter, r *http.Request, who web.Actor, _ func(string) string) error {
	if typ, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); typ == "multipart/form-data" {
		return a.uploadForm(w, r, who)
	}
	q, err := uploadRequest(r)
	if err != nil {
		return err
	}
	v, err := a.Do(r.Context(), who, "uploads/create", q)
	if err == nil {
		web.WriteJSON(w, v)
	}
	return err
}

func (a *API) uploadForm(w http.ResponseWriter, r *http.Request, who web.Actor) error {
	tenant, err := a.tenant(r.URL.Query().Get("tenant"))
	if err != nil {
		return err
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return code.Wrap(code.UploadForm, err, "the form does not read")
	}
	v, err := a.Uploads.Form(r.Context(), upload.Owner{Tenant: tenant, By: who.Name()}, r.ContentLength, parts)
	if err == nil {
		web.WriteJSON(w, v)
	}
	return err
}

// uploadChunk takes the bytes of a chunk as they are, or a JSON body with them as base64.
func (a *API) uploadChunk(w http.ResponseWriter, r *http.Request, _ web.Actor, param func(string) string) error {
	tenant, err := a.tenant(r.URL.Query().Get("tenant"))
	if err != nil {
		return err
	}
	index, err := chunkIndex(param("index"))
	if err != nil {
		return err
	}
	id, body := param("id"), io.Reader(r.Body)
	if typ, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); typ == "application/json" {
		if body, err = a.uncoded(r, tenant, id, index); err != nil {
			return err
		}
	}
	v, err := a.Uploads.Chunk(r.Context(), tenant, id, index, body)
	if err == nil {
		web.WriteJSON(w, v)
	}
	return err
}

// chunkIndex reads an index; the upload says whether there is such a chunk.
func chunkIndex(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, code.New(code.UploadForm, "an index that is no number").In("", "index").Want("0 to "+strconv.Itoa(math.MaxInt32), text)
	}
	return n, nil
}

// uncoded is the body of a chunk that came as base64. What it says of itself must fit the address.
func (a *API) uncoded(r *http.Request, tenant, id string, index int64) (io.Reader, error) {
	q := wire.UploadChunk{ID: id, Index: index}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q); err != nil {
		return nil, code.Wrap(code.UploadForm, err, "the chunk does not decode")
	}
	if q.ID != id || q.Index != index {
		return nil, code.New(code.UploadForm, "the body speaks of another chunk than its address").Want(id+" "+strconv.FormatInt(index, 10), q.ID+" "+strconv.FormatInt(q.Index, 10))
	}
	return bytes.NewReader(q.Data), a.Uploads.Check(tenant, id, q.Total)
}
