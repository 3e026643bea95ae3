package feed

import (
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/ident"
	"sallyport/internal/state"
)

// Recorded names another load record for a generation, when the one it had is lost and the same files were loaded again
// by the user. Code not-found; code conflict when the generation does not name was.
func Recorded(tx *state.Tx, ref ident.FeedRef, p Point, was, now digest.Digest, user string) error {
	g, ok, err := At(tx, ref, p)
	if err != nil {
		return err
	}
	if !ok {
		return code.New(code.Missing, "generation %d of feed %q is not held here", p.Generation, ref.Name)
	}
	if g.LoadRecord != was {
		return code.New(code.Conflict, "the feed changed while the files were read").Want(was, g.LoadRecord)
	}
	g.LoadRecord, g.LoadedBy = now, user
	return generations.Put(tx, genKey(ref, p), g)
}
