package console

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"

	"sallyport/internal/code"
	"sallyport/internal/upload"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// uploadRoutes are the addresses that files are sent to. A form without script goes on to the page that imports them; the script
// is answered in JSON, errors too.
func uploadRoutes() []Route {
	return []Route{
		{Pattern: "GET /uploads", Roles: doers(), Actions: []string{"uploads/list"}, Run: scripted(uploadsList)},
		{Pattern: "POST /uploads", Roles: operators(), Actions: []string{"uploads/create"}, Run: uploadBegin},
		{Pattern: "GET /uploads/{id}", Roles: doers(), Actions: []string{"uploads/show"}, Run: scripted(uploadShow)},
		{Pattern: "PUT /uploads/{id}/chunks/{index}", Roles: operators(), Actions: []string{"uploads/chunk"}, Run: scripted(uploadChunk)},
		{Pattern: "POST /uploads/{id}/complete", Roles: operators(), Actions: []string{"uploads/complete"}, Run: scripted(uploadComplete)},
		{Pattern: "POST /uploads/{id}/remove", Roles: operators(), Actions: []string{"uploads/remove"}, Run: uploadRemove},
	}
}

// scripted answers a script in JSON.
func scripted(run func(con *Console, c *Ctx) (any, error)) view {
	return func(con *Console, c *Ctx) (Page, error) {
		v, err := run(con, c)
		if err != nil {
			web.WriteProblem(c.W, err)
		} else {
			web.WriteJSON(c.W, v)
		}
		return served, nil
	}
}

func uploadsList(_ *Console, c *Ctx) (any, error) {
	return ask[wire.Uploads](c, "uploads/list", wire.UploadRequest{Tenant: c.query("tenant")})
}

func uploadShow(_ *Console, c *Ctx) (any, error) {
	return ask[wire.Upload](c, "uploads/show", wire.UploadRequest{ID: c.path("id"), Tenant: c.query("tenant")})
}

// uploadBegin takes a form with all its files, as a browser without script sends it, or begins what the script sends in chunks.
func uploadBegin(con *Console, c *Ctx) (Page, error) {
	typ, _, _ := mime.ParseMediaType(c.R.Header.Get("Content-Type")) // what cannot be read is neither of the two
	if typ != "multipart/form-data" {
		return scripted(uploadPlan)(con, c)
	}
	if err := con.Door.Allow(c.Who, "uploads/create", nil); err != nil {
		return Page{}, err
	}
	tenant, err := con.uploader(c)
	if err != nil {
		return Page{}, err
	}
	parts, err := c.R.MultipartReader()
	if err != nil {
		return Page{}, code.Wrap(code.UploadForm, err, "the form does not read")
	}
	up, err := con.Upload.Form(c.R.Context(), upload.Owner{Tenant: tenant, By: c.Who.Name()}, c.R.ContentLength, parts)
	if err != nil {
		return Page{}, err
	}
	return c.to("/import?upload=" + up.ID)
}

// uploader is whose files they are: the tenant that is named, else the only one.
func (con *Console) uploader(c *Ctx) (string, error) {
	named := c.query("tenant")
	for _, t := range con.Site.Tenants {
		if t == named || named == "" && len(con.Site.Tenants) == 1 {
			return t, nil
		}
	}
	return "", code.New(code.BadUsage, "this appliance has several tenants, and none of them was named")
}

// maxUploadPlan bounds the list of files of an upload.
const maxUploadPlan = 8 << 20

// told reads what the script says of an upload.
func told(c *Ctx) (q wire.UploadRequest, err error) {
	b, err := io.ReadAll(http.MaxBytesReader(c.W, c.R.Body, maxUploadPlan))
	if err != nil {
		return q, web.BodyError(err)
	}
	if len(b) == 0 {
		return q, nil
	}
	if err := json.Unmarshal(b, &q); err != nil {
		return q, code.Wrap(code.UploadForm, err, "the request does not decode")
	}
	return q, nil
}

func uploadPlan(_ *Console, c *Ctx) (any, error) {
	q, err := told(c)
	if err != nil {
		return nil, err
	}
	return ask[wire.Upload](c, "uploads/create", q)
}

func uploadComplete(_ *Console, c *Ctx) (any, error) {
	q, err := told(c)
	if err != nil {
		return nil, err
	}
	q.ID = c.path("id")
	return ask[wire.Upload](c, "uploads/complete", q)
}

// uploadChunk takes the bytes of one chunk.
func uploadChunk(con *Console, c *Ctx) (any, error) {
	if err := con.Door.Allow(c.Who, "uploads/chunk", nil); err != nil {
		return nil, err
	}
	tenant, err := con.uploader(c)
	if err != nil {
		return nil, err
	}
	index, err := strconv.ParseInt(c.path("index"), 10, 64)
	if err != nil {
		return nil, code.New(code.UploadForm, "an index that is no number").In("", "index").Want("a number", c.path("index"))
	}
	return con.Upload.Chunk(c.R.Context(), tenant, c.path("id"), index, http.MaxBytesReader(c.W, c.R.Body, upload.MaxBody))
}

// uploadRemove is asked for by the script, and by the button of the page.
func uploadRemove(con *Console, c *Ctx) (Page, error) {
	if typ, _, _ := mime.ParseMediaType(c.R.Header.Get("Content-Type")); typ == "application/json" {
		return scripted(func(_ *Console, c *Ctx) (any, error) {
			return ask[wire.None](c, "uploads/remove", wire.UploadRequest{ID: c.path("id"), Tenant: c.query("tenant")})
		})(con, c)
	}
	if _, err := ask[wire.None](c, "uploads/remove", wire.UploadRequest{ID: c.path("id"), Tenant: c.query("tenant")}); err != nil {
		return Page{}, err
	}
	c.say("The upload was removed.")
	return c.to("/import")
}
