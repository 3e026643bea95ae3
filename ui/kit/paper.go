package kit

import (
	"fmt"
	"image/color"
	"strings"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
)

// SheetView is one printed page: black on white, whole digests, times in UTC.
type SheetView struct {
	Title, Subtitle string
	QR, QRLabel     string // the text of the code at the top right; "" = none
	Foot            string
}

// QRView is a QR code. A text that is too long for one is shown as text.
type QRView struct {
	Text, Label string
}

// quiet is the white border that a reader of QR codes needs, in modules.
const quiet = 4

// drawing is a QR code as one path in a square of side modules; side 0 means that the text does not fit.
func (v QRView) drawing() (path string, side int) {
	c, err := qr.Encode(v.Text, qr.M, qr.Auto)
	if err != nil || v.Text == "" {
		return "", 0
	}
	side = c.Bounds().Dx()
	var b strings.Builder
	for y := range side {
		for x := 0; x < side; x++ {
			run := 0
			for x+run < side && dark(c, x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
				x += run
			}
		}
	}
	return b.String(), side + 2*quiet
}

func dark(c barcode.Barcode, x, y int) bool {
	grey := color.GrayModel.Convert(c.At(x, y)).(color.Gray)
	return grey.Y < 128
}

// box is the field a drawing stands in.
func box(side int) string { return fmt.Sprintf("0 0 %d %d", side, side) }
