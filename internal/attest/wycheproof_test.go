package attest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Known attacks on signature checking, from the Wycheproof project, through the same path as export.sig: key as DER, signature as
// base64 text. Nothing but "valid" may verify.
func TestWycheproof(t *testing.T) {
	dir := os.Getenv("SALLYPORT_DATA")
	if dir == "" {
		dir = "../../../shared/data"
	}
	for _, name := range []string{"ecdsa_secp256r1_sha256_test.json", "ed25519_test.json"} {
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(dir, "wycheproof", name))
			if err != nil {
				t.Skip("no Wycheproof vectors here: ", err)
			}
			var file struct {
				NumberOfTests int
				TestGroups    []struct {
					PublicKeyDer string
					Tests        []struct {
						TcID             int
						Comment          string
						Msg, Sig, Result string
					}
				}
			}
			if err := json.Unmarshal(b, &file); err != nil {
				t.Fatal(err)
			}
			n, valid := 0, 0
			for _, g := range file.TestGroups {
				der, _ := hex.DecodeString(g.PublicKeyDer)
				k, err := ParseKey(der)
				for _, tc := range g.Tests {
					n++
					msg, _ := hex.DecodeString(tc.Msg)
					sig, _ := hex.DecodeString(tc.Sig)
					good := err == nil && verifyText(k, msg, []byte(base64.StdEncoding.EncodeToString(sig))) == nil
					if good != (tc.Result == "valid") {
						t.Errorf("case %d (%s): verified %v, want %s (key: %v)", tc.TcID, tc.Comment, good, tc.Result, err)
					}
					if good {
						valid++
					}
				}
			}
			if n != file.NumberOfTests || valid == 0 {
				t.Errorf("%d of %d cases run, %d valid", n, file.NumberOfTests, valid)
			}
			t.Logf("%d cases, %d valid", n, valid)
		})
	}
}
