package wire

// Console says where browsers reach an appliance and what their warning about its certificate must show.
type Console struct {
	Addresses   []string `json:"addresses"`             // "https://127.0.0.1:8443/"; empty: it does not answer over the network
	Plain       string   `json:"plain,omitempty"`       // the same without TLS, for this machine alone
	Fingerprint string   `json:"fingerprint,omitempty"` // SHA-256 of the certificate as browsers show it
	Authority   string   `json:"authority,omitempty"`   // of our site CA; "" when people brought the certificate
	Names       []string `json:"names,omitempty"`       // that the certificate is good for
	NotAfter    string   `json:"notAfter,omitempty"`
	Note        string   `json:"note,omitempty"` // why it does not answer, or what is not well with the certificate
	Next        string   `json:"next,omitempty"` // what to do about that
}
