package intake

import (
	"sallyport/internal/bundle"
	"sallyport/internal/digest"
	"sallyport/internal/peer"
)

// Delivery is a receipt that came home: what became of a bundle of ours at a peer.
type Delivery struct {
	Peer     peer.Peer
	Tenant   string // ours
	Receipt  *bundle.Receipt
	Digest   digest.Digest // of the receipt's payload
	Envelope []byte
	At       string // trusted time it was taken in
}

// CardInfo is a card in plain values.
type CardInfo struct {
	Name        string   `json:"name"`
	ID          string   `json:"id"`
	Fingerprint string   `json:"fingerprint"` // root id, 64 hex
	Words       string   `json:"words"`       // the same as nine words
	RootVersion int64    `json:"rootVersion"`
	Recipient   string   `json:"recipient"`
	KeyIDs      []string `json:"keyids"`
	Tenants     []string `json:"tenants"`
	Counter     int64    `json:"counter"`
	IssuedAt    string   `json:"issuedAt"`
	NotAfter    string   `json:"notAfter"`
	Files       []string `json:"files,omitempty"` // written, relative to the medium
}

// AddRequest asks to trust the appliance whose card is on a medium.
type AddRequest struct {
	Name        string                         // of the appliance on the card, needed when several unknown cards are there
	Fingerprint string                         // root id, 64 hex (with or without "sha256:")
	Words       string                         // nine words
	Answer      func(q Question) (bool, error) // asks a person; used when neither of the two is given; may be nil
	Tenant      string                         // ours, to which the peer is bound; "" when there is only one
	TheirTenant string                         // theirs; "" when their root names one only, or one with the name of ours
	Actor       string
	Compared    string // how a person compared Fingerprint elsewhere (peer.ByWords); "" is peer.ByFingerprint
}

// Question is what a person compares before trusting an appliance.
type Question struct {
	Card     CardInfo `json:"card"`
	Sentence string   `json:"sentence"`
}
