package layer

// forgetBytes is how much of a layer is walked before its pages are given back.
const forgetBytes = 4 << 20

// walked counts bytes that a walk has read, and now and then gives the file's pages back: they stay in the page cache, but
// a walk over a large layer no longer counts as this process's memory. It is called inside a read transaction, which keeps
// the mapping; whoever reads the same pages at the same time only meets them again.
func (l *Layer) walked(n int) {
	if l.seen.Add(int64(n)) >= forgetBytes {
		l.seen.Store(0)
		forget(l.db.Info().Data, l.size)
	}
}
