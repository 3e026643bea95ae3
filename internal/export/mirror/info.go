package mirror

import (
	"fmt"
	"strconv"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/clock"
)

// provenance says from what, by whom and when the bundle was made. It names nobody who loaded anything.
type provenance struct {
	BundleName string   `json:"bundleName"`
	RunID      string   `json:"runId"`
	Attempt    int64    `json:"attempt"`
	Profile    string   `json:"profile"`
	Tenant     string   `json:"tenant"`
	Builder    builder  `json:"builder"`
	BuiltAt    string   `json:"builtAt"`
	Feeds      []source `json:"feeds"`
}

type builder struct {
	Appliance string `json:"appliance"`
	Name      string `json:"name"`
	Software  string `json:"software"`
}

// info adds the papers for people and stock tools. They are volatile: they change between two runs over the same data,
// and rerunHash leaves them out.
func (w *writer) info() error {
	sources := w.sources
	if sources == nil {
		sources = []source{}
	}
	prov, err := w.PutJSON(paper("provenance.json", typeJSON), provenance{
		BundleName: w.Run.Name, RunID: w.Run.ID, Attempt: int64(w.Run.Attempt), Profile: w.Run.Profile, Tenant: w.Run.Tenant,
		Builder: builder{w.Self.ID, w.Self.Name, w.Self.Software}, BuiltAt: clock.Format(w.Now), Feeds: sources,
	})
	if err != nil {
		return err
	}
	sheet, err := w.PutBytes(paper("manifest.yaml", "application/yaml"), []byte(w.yaml()))
	if err != nil {
		return err
	}
	readme, err := w.PutBytes(paper("README.md", "text/markdown"), []byte(w.readme()))
	if err != nil {
		return err
	}
	anchor, err := w.Anchor("mirror/time-anchor.json")
	if err != nil {
		return err
	}
	w.members = append(w.members, prov, sheet, readme, anchor)
	return nil
}

func paper(name, typ string) bundle.Content {
	return bundle.Content{Path: "mirror/" + name, Role: bundle.RoleInfo, ContentType: typ, Volatile: true}
}

// yaml is the short form of the manifest for people; export.json is what is signed and decides.
func (w *writer) yaml() string {
	var b strings.Builder
	row := func(indent int, key, value string) {
		fmt.Fprintf(&b, "%s%s: %s\n", strings.Repeat(" ", indent), key, value)
	}
	b.WriteString("# For people. What is signed, and decides, is export.json.\n")
	row(0, "apiVersion", "sallyport/mirror.v1")
	row(0, "name", strconv.Quote(w.Run.Name))
	row(0, "runId", strconv.Quote(w.Run.ID))
	row(0, "profile", strconv.Quote(w.Run.Profile))
	row(0, "tenant", strconv.Quote(w.Run.Tenant))
	row(0, "appliance", strconv.Quote(w.Self.Name))
	row(0, "generatedAt", strconv.Quote(clock.Format(w.Now)))
	row(0, "records", strconv.FormatInt(w.records, 10))
	if len(w.feeds) == 0 {
		row(0, "feeds", "[]")
		return b.String()
	}
	row(0, "feeds", "")
	for _, f := range w.feeds {
		row(2, "- feed", strconv.Quote(f.Feed))
		row(4, "epoch", strconv.FormatInt(f.Epoch, 10))
		row(4, "generation", strconv.FormatInt(f.Generation, 10))
		row(4, "stateRoot", strconv.Quote(f.StateRoot.String()))
		row(4, "records", strconv.FormatInt(f.Records, 10))
	}
	return b.String()
}

// readme prints the full lines that check this bundle with stock tools.
func (w *writer) readme() string {
	req, _ := w.Request() // it was read before the run came here
	archive := w.Run.Name + ".tar.zst"
	opening := "cat " + archive + "* | zstd -d | tar -x"
	if !req.Unencrypted {
		opening = "cat " + archive + ".age* | age -d -i YOUR-IDENTITY.key | zstd -d | tar -x"
	}
	return strings.NewReplacer("{{name}}", w.Run.Name, "{{open}}", opening, "{{archive}}", archive, "{{tenant}}", w.Run.Tenant,
		"{{appliance}}", w.Self.Name, "{{day}}", clock.Format(w.Now)[:10]).Replace(readmeText)
}

const readmeText = `# {{name}}

Made by {{appliance}} for tenant {{tenant}} on {{day}}. Everything below is listed with size and SHA-256 in
mirror/export.json, which is signed three times; mirror verify checks all of it at once:

    mirror verify PATH --key export-center.pub

The key must come from somewhere else than this medium: your installation, your letter, a phone call.

## By hand, without our program

The outer files, in the folder that holds them:

    sha256sum -c SHA256SUMS

Open the archive:

    {{open}}

The signature over mirror/export.json, in the folder it was opened into, with openssl:

    base64 -d < signatures/export.sig > export.sig.der
    openssl dgst -sha256 -verify export-center.pub -signature export.sig.der mirror/export.json

With cosign 2 or 3, on a host without a network:

    cosign verify-blob --key export-center.pub --signature signatures/export.sig \
      --insecure-ignore-tlog=true mirror/export.json

With the Sigstore bundle, cosign 3:

    cosign verify-blob --key export-center.pub --bundle signatures/export.sigstore.json \
      --insecure-ignore-tlog=true mirror/export.json

With the Sigstore bundle, cosign 2 (it wants a trusted root, an empty one will do):

    echo '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}' > empty-root.json
    cosign verify-blob --key export-center.pub --bundle signatures/export.sigstore.json --new-bundle-format \
      --trusted-root empty-root.json --insecure-ignore-tlog=true mirror/export.json

Then every file against the signed list:

    jq -r '.contents[] | (.digest | ltrimstr("sha256:")) + "  " + .path' mirror/export.json | sha256sum -c

A line of a .jsonl.zst file is one record; mirror/indexes names file and line of each.
`
