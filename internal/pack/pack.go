// Package pack is the one place that knows how bytes are put together: tar, zstd and gzip, written one way and read strictly.
//
// Data: none of its own. What it writes is fixed by the bundle format ("Payload", "Bodies"):
//
//	outer stream   independent zstd frames of 1–2 MiB inflated, each with checksum and content size, no dictionary
//	 └─ tar        canonical USTAR members, a PAX header only where path or size needs it, two zero blocks, nothing after
//	shard          a run of zstd frames of at most FrameMax inflated, cut by key (Cut)
//	index file     the same stream of frames, single-threaded, at most 1 MiB inflated each (EncodeStream)
//
// Order: a reader's guard walks frame and block headers (RFC 8878) in front of the decoder, so nothing that our writer
// would not write reaches it, and no header decides how much memory is used. Nothing here touches a disk; a crash leaves
// nothing. Goroutines belong to OuterWriter and Reader and have ended when their Close returns.
package pack

// Limits of the format. A breach is a refusal with its own code.
const (
	MaxWindow = 8 << 20  // bytes of history a frame may ask for
	FrameMax  = 2 << 20  // inflated bytes of one shard frame
	ShardMax  = 32 << 20 // packed bytes after which a shard ends
	LineMax   = 1 << 20  // bytes of one line with its LF
)
