package media

import (
	"fmt"

	"sallyport/internal/code"
)

// DiscBytes is what of a DVD is ours: 4.7e9 bytes less what a file system, roots, card, key and sheets take.
const DiscBytes = 4_700_000_000 - 64<<20

// DiscVolume is the size of a volume of which exactly four fill a disc, in whole sectors.
const DiscVolume = DiscBytes / 4 / 2048 * 2048

// Discs sorts files of these sizes, in their order, into as few discs as their order allows; each disc is a list of
// positions. A file that no disc can hold is code file-system-limit.
func Discs(sizes []int64) (discs [][]int, err error) {
	left := int64(0)
	for i, n := range sizes {
		if n > DiscBytes {
			return nil, code.New(code.FileTooBig, "a volume larger than a disc").In(fmt.Sprintf("volume %d", i+1), "").
				Want(fmt.Sprintf("at most %d bytes", int64(DiscBytes)), n).Do("Choose a smaller volume size.")
		}
		if n > left || len(discs) == 0 {
			discs, left = append(discs, nil), DiscBytes
		}
		discs[len(discs)-1], left = append(discs[len(discs)-1], i), left-n
	}
	return discs, nil
}
