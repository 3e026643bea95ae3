package units

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/tyler-smith/go-bip39/wordlists"
)

const wordBits = 11

// Words writes a fingerprint as nine words: its first 88 bits, high bit first, as eight, and as check the first
// 11 bits of SHA-256 of those 11 bytes (20-bundle-format, "Words for people").
func Words(fp [32]byte) string {
	sum := sha256.Sum256(fp[:11])
	return strings.Join(append(pick(fp[:11], 8), pick(sum[:], 1)...), " ")
}

// Spoken writes the first 66 bits of a digest as six words: the spoken receipt.
func Spoken(d [32]byte) string { return strings.Join(pick(d[:], 6), " ") }

func pick(b []byte, n int) []string {
	words := make([]string, n)
	for i := range words {
		v := 0
		for bit := i * wordBits; bit < (i+1)*wordBits; bit++ {
			v = v<<1 | int(b[bit/8]>>(7-bit%8)&1)
		}
		words[i] = wordlists.English[v]
	}
	return words
}

// MatchWords tells whether the nine words, as a person types them (any case, any white space), are those of fp.
// The error says which word is unknown or that the check word does not fit the others, both signs of a typing error.
func MatchWords(fp [32]byte, typed string) (bool, error) {
	got := strings.Fields(strings.ToLower(typed))
	if len(got) != 9 {
		return false, fmt.Errorf("%d words were given: a fingerprint has nine", len(got))
	}
	var bits []byte
	for i, w := range got {
		v := index(w)
		if v < 0 {
			return false, fmt.Errorf("word %d %.20q is not on the list", i+1, w)
		}
		for b := wordBits - 1; b >= 0; b-- {
			bits = append(bits, byte(v>>b&1))
		}
	}
	var first [11]byte
	for i := range 88 {
		first[i/8] |= bits[i] << (7 - i%8)
	}
	sum := sha256.Sum256(first[:])
	if pick(sum[:], 1)[0] != got[8] {
		return false, fmt.Errorf("the ninth word does not fit the other eight: one of them was misread")
	}
	return strings.Join(got, " ") == Words(fp), nil
}

// Unlisted tells which of the words that a person typed are not on the list of words; none may still be the wrong ones.
func Unlisted(typed string) (list []string) {
	for i, w := range strings.Fields(strings.ToLower(typed)) {
		if index(w) < 0 {
			list = append(list, fmt.Sprintf("word %d %.20q", i+1, w))
		}
	}
	return list
}

func index(w string) int {
	for i, known := range wordlists.English {
		if known == w {
			return i
		}
	}
	return -1
}
