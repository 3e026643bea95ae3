// Package layer keeps one immutable, sorted index file over the records of a generation, and reads them through it.
//
// Data: a bbolt file of ours, read-only once sealed. Bodies are elsewhere: lines in shards, documents in blobs. A base holds
// every record of a generation; an overlay what differs from its base, removals as tombstones, and nothing that does not.
//
//	meta             "meta" → JSON of Meta
//	kind/<kind>      key → flags, digest, shard, frame, offset, length [, name, media type, source]
//	alias            lower-case alias NUL kind NUL key → nothing
//	package          ecosystem NUL name NUL kind NUL key → nothing
//
// Order: built under a temporary name with sync off, in ascending (kind, key); lookups are sorted by spilled runs; then read
// back and checked, fsynced once, and renamed by the caller through durable.FS. A delta is merged with the overlay before it
// into a new overlay (Merge); one that has grown heavy is written as a new base instead (Fold), which moves no body: only the
// index is new, and each record stays in the shard that was signed. Until that rename a crash leaves a file
// nobody names; after it a whole layer that no transaction names yet. Bytes here are trusted no more than a blob's: a record's
// body is hashed again on every read, and a damaged file gives an error, not a panic.
package layer

import (
	"io"

	"sallyport/internal/digest"
	"sallyport/internal/ident"
)

// Shard is one blob of zstd frames that a layer points into.
type Shard struct {
	Digest  digest.Digest `json:"digest"`
	Bytes   int64         `json:"bytes"` // packed
	Kind    string        `json:"kind"`
	Records int64         `json:"records"`
}

// Meta says what a layer is.
type Meta struct {
	Feed       ident.FeedRef    `json:"feed"`
	Epoch      int64            `json:"epoch"`
	Generation int64            `json:"generation"`
	Root       digest.Digest    `json:"root"` // state root of the generation
	Shards     []Shard          `json:"shards"`
	Counts     map[string]int64 `json:"counts"`            // live records per kind in this file
	Bytes      int64            `json:"bytes"`             // of all live bodies, lines with their LF, not packed
	Overlay    bool             `json:"overlay,omitempty"` // holds changes over a base, tombstones included
	Base       digest.Digest    `json:"base,omitzero"`     // of an overlay: state root of the base it lies over; zero: not said
	Gone       int64            `json:"gone,omitempty"`    // tombstones; filled in by Seal
	Mixed      []string         `json:"mixed,omitempty"`   // kinds with both lines and documents; filled in by Seal
}

// Entry is one record of a layer: where its body lies.
type Entry struct {
	Kind, Key string
	Digest    digest.Digest
	Deleted   bool  // a tombstone: only in overlays
	Document  bool  // the body is the blob Digest names; Shard, Frame and Offset are 0
	Shard     int   // index in Meta.Shards
	Frame     int64 // packed offset of the frame in the shard
	Offset    int64 // inside the inflated frame
	Length    int64 // of the body: a line without its LF, a document's size
	Name      string
	MediaType string
	Source    string
}

// Ref names a record inside a feed.
type Ref struct{ Kind, Key string }

// Blob is an open blob of the content store.
type Blob interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Blobs opens a blob by its digest.
type Blobs func(digest.Digest) (Blob, error)
