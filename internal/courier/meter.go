package courier

import (
	"fmt"
	"os"

	"sallyport/internal/units"
)

// meterStep is how many bytes pass between two readings of the progress line.
const meterStep = 64 << 20

// meter shows on a terminal how far the reading is; nil, so nothing, where talk goes into a file or a pipe. The line wipes
// itself at the end.
func meter(f *os.File) func(done, total int64) {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	var shown int64
	return func(done, total int64) {
		switch {
		case done == total && shown > 0:
			fmt.Fprint(f, "\r\x1b[K")
			shown = 0
		case done >= shown+meterStep && total > 0:
			fmt.Fprintf(f, "\rread %s of %s", units.Size(done), units.Size(total))
			shown = done
		case done >= shown+meterStep:
			fmt.Fprintf(f, "\rread %s", units.Size(done))
			shown = done
		}
	}
}
