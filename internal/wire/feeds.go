package wire

// FeedChange asks for one of the verbs of feeds: To is a generation for rollback, hold and release, as 12 or 2.12 with its
// epoch; Every is a rhythm like 14d, "" the appliance's default.
type FeedChange struct {
	Tenant  string `json:"tenant,omitempty"`
	Name    string `json:"name"`
	To      string `json:"to,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Every   string `json:"every,omitempty"`
	Approve string `json:"approve,omitempty"` // release: digest of what the first person proposed
}

// FeedChanged is what became of the feed.
type FeedChanged struct {
	Feed     Feed   `json:"feed"`
	Before   string `json:"before,omitempty"` // epoch.generation that was active
	After    string `json:"after,omitempty"`
	Changed  bool   `json:"changed"`
	Sentence string `json:"sentence"`
	Next     string `json:"next,omitempty"`
}
