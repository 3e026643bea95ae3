// Package attest is the only place that signs and checks signatures: DSSE envelopes, fenced raw signatures, Sigstore bundles.
//
// Data: none. An envelope of ours is canonical JSON:
//
//	{"payload":"<std base64>","payloadType":"application/vnd.sallyport.<x>.v1+json","signatures":[{"keyid":"SHA256:…","sig":"<std base64>"}]}
//
// signed over PAE(payloadType, payload). ECDSA signatures are strict DER over SHA-256 and deterministic (RFC 6979), Ed25519
// signatures are RFC 8032; so the same keys and payload give the same bytes. Raw signatures are made over canonical JSON and our
// own gzip only, never over something that could be a PAE (30-trust-and-time, "Keys").
//
// Order: form, payload type, number of signatures, signatures, threshold of distinct public keys; only then is the payload handed
// out, as it was verified. Every envelope is attacker-controlled, at most MaxEnvelope bytes are looked at. Pure functions, a crash
// leaves nothing.
package attest

// The payload types of what we sign (20-bundle-format, "Encoding of what we sign"). `schema` inside the payload is the same.
const (
	TypeManifest  = "application/vnd.sallyport.manifest.v1+json"
	TypeLabel     = "application/vnd.sallyport.label.v1+json"
	TypeCard      = "application/vnd.sallyport.card.v1+json"
	TypeInventory = "application/vnd.sallyport.inventory.v1+json"
	TypeReceipt   = "application/vnd.sallyport.receipt.v1+json"
	TypeRoot      = "application/vnd.sallyport.root.v1+json"
	TypeAnchor    = "application/vnd.sallyport.anchor.v1+json"
)

// The algorithms of keys.
const (
	ECDSA   = "ecdsa-p256"
	Ed25519 = "ed25519"
)

// Limits of an envelope.
const (
	MaxSignatures = 16
	MaxEnvelope   = 16 << 20 // holds a manifest of 8 MiB in base64 and its signatures
)

// Types lists the payload types we sign.
func Types() []string {
	return []string{TypeManifest, TypeLabel, TypeCard, TypeInventory, TypeReceipt, TypeRoot, TypeAnchor}
}
