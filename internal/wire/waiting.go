package wire

// Waiting is one bundle that could not be taken in yet.
type Waiting struct {
	Label     string  `json:"label"` // 64 hex of the label id
	Name      string  `json:"name"`
	From      string  `json:"from"` // peer that packed it
	Tenant    string  `json:"tenant"`
	Kind      string  `json:"kind"`
	Variant   string  `json:"variant"`
	BundleID  string  `json:"bundleId"`
	Why       string  `json:"why"` // volumes: some have not come; base: a delta to a state that is not held here
	Needs     string  `json:"needs,omitempty"`
	Volumes   int     `json:"volumes"`
	Have      []int64 `json:"have"`
	Wanted    []int64 `json:"wanted"`
	Bytes     int64   `json:"bytes"`
	CreatedAt string  `json:"createdAt"`
	Since     string  `json:"since"`
	Plan      string  `json:"plan,omitempty"` // digest that an approval binds to while it is parked
	Receipt   string  `json:"receipt,omitempty"`
	Sentence  string  `json:"sentence"`
}

// Volume is one volume of a bundle that could not be taken in today.
type Volume struct {
	N      int64  `json:"n"`
	Code   string `json:"code"`
	Reason string `json:"reason"`
	At     int64  `json:"at,omitempty"` // byte of a read error
}

// ForgetRequest drops a waiting bundle, by its label id, the beginning of it, or its name.
type ForgetRequest struct {
	Label  string `json:"label"`
	Reason string `json:"reason"`
}

// QuarantineRequest names an entry; Path is a medium to look for the bundle on.
type QuarantineRequest struct {
	Number  string `json:"number,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Path    string `json:"path,omitempty"`
	Yes     bool   `json:"yes,omitempty"`
	Approve string `json:"approve,omitempty"`
}

// Quarantined is one refused thing that was kept. Bundle and Reason are foreign, cleaned.
type Quarantined struct {
	Number string   `json:"number"`
	Tenant string   `json:"tenant"`
	At     string   `json:"at"`
	Code   string   `json:"code"`
	Reason string   `json:"reason"`
	Bundle string   `json:"bundle"`
	From   string   `json:"from,omitempty"` // as the label says; foreign, cleaned
	Label  string   `json:"label"`          // digest of the label file
	Dir    string   `json:"dir"`            // below D/quarantine
	Bytes  int64    `json:"bytes"`
	Signer string   `json:"signer,omitempty"`
	Files  []string `json:"files,omitempty"`
	Log    string   `json:"log,omitempty"`
}

// Quarantine is the answer of quarantine/list.
type Quarantine struct {
	Entries []Quarantined `json:"entries"`
}
