package seal

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"strings"
	"testing"

	agetest "c2sp.org/CCTV/age"

	"sallyport/internal/code"
)

// vector is one file of c2sp.org/CCTV/age: lines `key: value`, an empty line, an age file.
type vector struct {
	expect, payload string
	armored         bool
	ids             []Identity
	file            []byte
}

func parseVector(t *testing.T, b []byte) vector {
	t.Helper()
	var v vector
	packed := false
	for {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		if !ok {
			t.Fatal("a vector without an empty line")
		}
		b = rest
		if len(line) == 0 {
			break
		}
		key, value, _ := strings.Cut(string(line), ": ")
		switch key {
		case "expect":
			v.expect = value
		case "payload":
			v.payload = value
		case "armored":
			v.armored = value == "yes"
		case "compressed":
			packed = true
		case "identity":
			ids, err := ParseIdentities([]byte(value))
			if err != nil {
				t.Fatal(err)
			}
			v.ids = append(v.ids, ids...)
		}
	}
	if packed {
		z, err := zlib.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if b, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	v.file = b
	return v
}

// wanted is the verdict of a vector here: the vector's own, but for the forms that are allowed by age and not by us.
func (v vector) wanted(name string) (open, read []code.Code) {
	anyForm := []code.Code{code.SealForm, code.SealDamaged, code.SealLimit}
	switch {
	case v.armored, strings.HasPrefix(name, "scrypt"):
		return []code.Code{code.SealForm}, nil
	case strings.HasSuffix(name, "_grease"), name == "hybrid_and_x25519", strings.HasPrefix(name, "stanza_") && v.expect == "success":
		return []code.Code{code.SealForm}, nil
	}
	switch v.expect {
	case "success":
		return []code.Code{""}, []code.Code{""}
	case "no match":
		return []code.Code{code.NotForUs, code.SealForm}, nil
	case "HMAC failure":
		return []code.Code{code.SealDamaged}, nil
	case "payload failure":
		return []code.Code{"", code.SealDamaged}, []code.Code{code.SealDamaged}
	}
	return anyForm, nil
}

func has(list []code.Code, c code.Code) bool {
	for _, x := range list {
		if x == c {
			return true
		}
	}
	return false
}

// TestVectors runs all of them. A failure of header or MAC gives no reader, so not one byte of plaintext; a failure of
// the payload gives exactly the plaintext that was proven before it, and an error.
func TestVectors(t *testing.T) {
	stranger, err := NewIdentity(false)
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(agetest.Vectors, "*")
	if err != nil || len(files) < 143 {
		t.Fatalf("%d vectors: %v", len(files), err)
	}
	for _, name := range files {
		t.Run(name, func(t *testing.T) {
			b, err := fs.ReadFile(agetest.Vectors, name)
			if err != nil {
				t.Fatal(err)
			}
			v := parseVector(t, b)
			if len(v.ids) == 0 {
				v.ids = []Identity{stranger}
			}
			open, read := v.wanted(name)
			r, err := Decrypt(bytes.NewReader(v.file), v.ids...)
			if !has(open, code.Of(err)) {
				t.Fatalf("expect %q: open: %v", v.expect, err)
			}
			if err != nil {
				if r != nil {
					t.Error("a reader beside the error")
				}
				return
			}
			plain, err := io.ReadAll(r)
			if !has(read, code.Of(err)) {
				t.Errorf("expect %q: read: %v", v.expect, err)
			}
			if sum := sha256.Sum256(plain); v.payload != "" && hex.EncodeToString(sum[:]) != v.payload {
				t.Errorf("expect %q: other plaintext, %d bytes", v.expect, len(plain))
			}
		})
	}
}
