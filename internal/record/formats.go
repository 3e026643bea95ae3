package record

import (
	"encoding/json"
	"fmt"
	"strings"

	"sallyport/internal/code"
)

// spdx reads SPDX 2.2 and 2.3 JSON (ISO/IEC 5962 and its successor).
func spdx(body []byte, n *names) (Document, string, error) {
	var doc struct {
		Version   string `json:"spdxVersion"`
		Name      string `json:"name"`
		Namespace string `json:"documentNamespace"`
		Packages  []struct {
			Name string `json:"name"`
			Refs []struct {
				Type    string `json:"referenceType"`
				Locator string `json:"referenceLocator"`
			} `json:"externalRefs"`
		} `json:"packages"`
	}
	if err := decode(body, &doc); err != nil {
		return Document{}, "", err
	}
	if doc.Version != "SPDX-2.3" && doc.Version != "SPDX-2.2" {
		return Document{}, "", code.New(code.LoadType, "").In("", "spdxVersion").Want("SPDX-2.3", fmt.Sprintf("%.20q", doc.Version))
	}
	if doc.Namespace == "" {
		return Document{}, "", missing("documentNamespace")
	}
	n.alias(doc.Name)
	for _, p := range doc.Packages {
		for _, r := range p.Refs {
			if r.Type == "purl" {
				n.purl(r.Locator)
			}
		}
	}
	return Document{Kind: SBOM, MediaType: "application/spdx+json"}, doc.Namespace, nil
}

// vexProduct is a product or subcomponent of OpenVEX: an object, or in its first drafts a text.
type vexProduct struct {
	ID          string `json:"@id"`
	Identifiers struct {
		PURL string `json:"purl"`
	} `json:"identifiers"`
	Sub []vexProduct `json:"subcomponents"`
}

func (p *vexProduct) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &p.ID)
	}
	type plain vexProduct
	return json.Unmarshal(b, (*plain)(p))
}

func (p *vexProduct) names(n *names) {
	n.purl(p.ID)
	n.purl(p.Identifiers.PURL)
	for i := range p.Sub {
		p.Sub[i].names(n)
	}
}

// vexVulnerability is an object, or in the first drafts of OpenVEX a text.
type vexVulnerability struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases"`
}

func (v *vexVulnerability) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &v.Name)
	}
	type plain vexVulnerability
	return json.Unmarshal(b, (*plain)(v))
}

// openVEX reads OpenVEX 0.0.1 to 0.2.0.
func openVEX(body []byte, n *names) (Document, string, error) {
	var doc struct {
		ID         string `json:"@id"`
		Author     string `json:"author"`
		Statements []struct {
			Vulnerability vexVulnerability `json:"vulnerability"`
			Products      []vexProduct     `json:"products"`
			Status        string           `json:"status"`
		} `json:"statements"`
	}
	if err := decode(body, &doc); err != nil {
		return Document{}, "", err
	}
	if doc.ID == "" {
		return Document{}, "", missing("@id")
	}
	for i, s := range doc.Statements {
		switch s.Status {
		case "not_affected", "affected", "fixed", "under_investigation":
		default:
			return Document{}, "", code.New(code.JSONType, "").In("", fmt.Sprintf("statements[%d].status", i)).
				Want("not_affected, affected, fixed or under_investigation", fmt.Sprintf("%.40q", s.Status))
		}
		n.alias(s.Vulnerability.Name)
		for _, a := range s.Vulnerability.Aliases {
			n.alias(a)
		}
		for j := range s.Products {
			s.Products[j].names(n)
		}
	}
	return Document{Kind: VEX, MediaType: "application/vnd.openvex+json"}, doc.ID, nil
}

type csafProduct struct {
	Helper struct {
		PURL  string   `json:"purl"`
		PURLs []string `json:"purls"`
	} `json:"product_identification_helper"`
}

func (p *csafProduct) names(n *names) {
	n.purl(p.Helper.PURL)
	for _, s := range p.Helper.PURLs {
		n.purl(s)
	}
}

type csafBranch struct {
	Branches []csafBranch `json:"branches"`
	Product  csafProduct  `json:"product"`
}

func (b *csafBranch) names(n *names) {
	b.Product.names(n)
	for i := range b.Branches {
		b.Branches[i].names(n)
	}
}

// csaf reads CSAF 2.0 and 2.1 (OASIS).
func csaf(body []byte, n *names) (Document, string, error) {
	var doc struct {
		Document struct {
			Version  string `json:"csaf_version"`
			Title    string `json:"title"`
			Tracking struct {
				ID string `json:"id"`
			} `json:"tracking"`
		} `json:"document"`
		Tree struct {
			Branches      []csafBranch  `json:"branches"`
			FullNames     []csafProduct `json:"full_product_names"`
			Relationships []struct {
				Product csafProduct `json:"full_product_name"`
			} `json:"relationships"`
		} `json:"product_tree"`
		Vulnerabilities []struct {
			CVE string `json:"cve"`
			IDs []struct {
				Text string `json:"text"`
			} `json:"ids"`
		} `json:"vulnerabilities"`
	}
	if err := decode(body, &doc); err != nil {
		return Document{}, "", err
	}
	if !strings.HasPrefix(doc.Document.Version, "2.") {
		return Document{}, "", code.New(code.LoadType, "").In("", "document.csaf_version").Want("2.0 or 2.1", fmt.Sprintf("%.20q", doc.Document.Version))
	}
	if doc.Document.Tracking.ID == "" {
		return Document{}, "", missing("document.tracking.id")
	}
	for i := range doc.Tree.Branches {
		doc.Tree.Branches[i].names(n)
	}
	for i := range doc.Tree.FullNames {
		doc.Tree.FullNames[i].names(n)
	}
	for i := range doc.Tree.Relationships {
		doc.Tree.Relationships[i].Product.names(n)
	}
	for _, v := range doc.Vulnerabilities {
		n.alias(v.CVE)
		for _, id := range v.IDs {
			n.alias(id.Text)
		}
	}
	return Document{Kind: VEX, MediaType: "application/csaf+json"}, doc.Document.Tracking.ID, nil
}
