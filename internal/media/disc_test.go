package media

import (
	"fmt"
	"testing"

	"sallyport/internal/code"
)

func TestDiscs(t *testing.T) {
	four := []int64{DiscVolume, DiscVolume, DiscVolume, DiscVolume}
	for _, c := range []struct {
		sizes []int64
		want  string
	}{
		{nil, "[]"},
		{[]int64{1}, "[[0]]"},
		{four, "[[0 1 2 3]]"},
		{append(four, DiscVolume), "[[0 1 2 3] [4]]"},
		{[]int64{DiscBytes, 1, DiscBytes}, "[[0] [1] [2]]"},
		{[]int64{DiscBytes - 1, 1, 1}, "[[0 1] [2]]"},
	} {
		got, err := Discs(c.sizes)
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%v: %v %v, want %s", c.sizes, got, err, c.want)
		}
	}
	if _, err := Discs([]int64{1, DiscBytes + 1}); code.Of(err) != code.FileTooBig {
		t.Errorf("too large: %v", err)
	}
	if DiscVolume*4 > DiscBytes || DiscVolume%2048 != 0 {
		t.Error("four volumes are no disc")
	}
}
