package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"filippo.io/age/armor"

	"sallyport/internal/code"
	"sallyport/internal/digest"
)

func identity(t testing.TB, hybrid bool) Identity {
	t.Helper()
	id, err := NewIdentity(hybrid)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func sealed(t testing.TB, plain []byte, rs ...Recipient) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := Encrypt(&b, rs...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// opens reads everything; a failure of header or payload is one error.
func opens(file []byte, ids ...Identity) ([]byte, error) {
	r, err := Decrypt(bytes.NewReader(file), ids...)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 8)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	for _, hybrid := range []bool{false, true} {
		a, b := identity(t, hybrid), identity(t, hybrid)
		for _, n := range []int{0, 1, 65535, 65536, 65537, 3<<20 + 1} {
			file := sealed(t, pattern(n), a.Recipient(), b.Recipient())
			for _, ids := range [][]Identity{{a}, {b}, {identity(t, !hybrid), b}} {
				got, err := opens(file, ids...)
				if err != nil || !bytes.Equal(got, pattern(n)) {
					t.Errorf("hybrid %v, %d bytes: %d, %v", hybrid, n, len(got), err)
				}
			}
			key, err := age.ParseIdentities(strings.NewReader(a.String()))
			if err != nil {
				t.Fatal(err)
			}
			r, err := age.Decrypt(bytes.NewReader(file), key...)
			if err != nil {
				t.Fatalf("plain age does not open it: %v", err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, pattern(n)) {
				t.Errorf("plain age: %d bytes, %v", len(got), err)
			}
		}
	}
}

func TestKeysRoundTrip(t *testing.T) {
	for _, hybrid := range []bool{false, true} {
		id := identity(t, hybrid)
		r, err := ParseRecipient(id.Recipient().String())
		if err != nil || r.String() != id.Recipient().String() || r.Hybrid() != hybrid || id.Recipient().Hybrid() != hybrid {
			t.Errorf("recipient %q: %v", r, err)
		}
		ids, err := ParseIdentities([]byte("# made for a test\n\n" + id.String() + "\n"))
		if err != nil || len(ids) != 1 || ids[0].String() != id.String() || ids[0].Recipient().String() != r.String() {
			t.Errorf("identity file: %v", err)
		}
		if s := fmt.Sprintf("%#v", id); strings.Contains(s, id.String()) {
			t.Error("printed for debugging, an identity shows its secret")
		}
	}
}

func TestKeysRefused(t *testing.T) {
	good := identity(t, false)
	for _, s := range []string{"", "age1", "ssh-ed25519 AAAA", "age1yubikey1qqqq", good.String(), strings.ToUpper(good.Recipient().String()), good.Recipient().String() + " ", "age1pq1qqqq", "passphrase"} {
		if _, err := ParseRecipient(s); code.Of(err) != code.KeyBad {
			t.Errorf("recipient %.20q: %v", s, err)
		}
	}
	for _, s := range []string{"", "# only a comment\n", good.Recipient().String(), "AGE-PLUGIN-X-1QQQ", good.String()[:50], good.String() + "\nrubbish", strings.Repeat("#", identityFileMax+1)} {
		_, err := ParseIdentities([]byte(s))
		if code.Of(err) != code.KeyBad {
			t.Errorf("identities %.20q: %v", s, err)
		}
		if err != nil && strings.Contains(err.Error(), "AGE-SECRET-KEY-1"+"Q") || err != nil && strings.Contains(err.Error(), "rubbish") {
			t.Errorf("the error repeats the file: %v", err)
		}
	}
}

func TestEncryptRefuses(t *testing.T) {
	x, h := identity(t, false).Recipient(), identity(t, true).Recipient()
	many := make([]Recipient, stanzaMax+1)
	for i := range many {
		many[i] = x
	}
	for name, rs := range map[string][]Recipient{"none": nil, "a zero one": {{}}, "zero among others": {x, {}}, "mixed": {x, h}, "too many": many} {
		var b bytes.Buffer
		if _, err := Encrypt(&b, rs...); code.Of(err) != code.EncryptionRequired || b.Len() != 0 {
			t.Errorf("%s: %v, %d bytes written", name, err, b.Len())
		}
	}
}

func TestDecryptWithoutIdentity(t *testing.T) {
	file := sealed(t, nil, identity(t, false).Recipient())
	for _, ids := range [][]Identity{nil, {{}}} {
		if _, err := opens(file, ids...); code.Of(err) != code.IdentityMissing {
			t.Errorf("%v", err)
		}
	}
}

// header makes a header of our own making with a MAC line that proves nothing.
func header(stanzas ...string) []byte {
	return []byte(ageIntro + strings.Join(stanzas, "") + "--- " + base64.RawStdEncoding.EncodeToString(make([]byte, 32)) + "\n" + strings.Repeat("x", 100))
}

func stanza(kind string, args string, body int) string {
	s := base64.RawStdEncoding.EncodeToString(make([]byte, body))
	var b strings.Builder
	fmt.Fprintf(&b, "-> %s %s\n", kind, args)
	for ; len(s) >= 64; s = s[64:] {
		b.WriteString(s[:64] + "\n")
	}
	return b.String() + s + "\n"
}

func foreign(t *testing.T, plain []byte, rs ...age.Recipient) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := age.Encrypt(&b, rs...)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(plain)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// endless is a header that never ends.
type endless struct{ n int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'A'
		if (e.n+int64(i))%65 == 64 {
			p[i] = '\n'
		}
	}
	e.n += int64(len(p))
	return len(p), nil
}

func TestHostileSealing(t *testing.T) {
	me, other := identity(t, false), identity(t, false)
	plain := pattern(200 << 10)
	good := sealed(t, plain, me.Recipient())
	head := bytes.LastIndex(good[:400], []byte("\n--- ")) + 1
	head += bytes.IndexByte(good[head:], '\n') + 1
	chunk := 64<<10 + 16
	at := func(n int) int { return head + 16 + n*chunk }
	pass, err := age.NewScryptRecipient("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	pass.SetWorkFactor(10)
	x := stanza("X25519", "CQ"+strings.Repeat("A", 41), 32) // the base point: well-formed and nobody's
	flip := func(i int) []byte {
		b := bytes.Clone(good)
		b[i] ^= 1
		return b
	}
	var armored bytes.Buffer
	aw := armor.NewWriter(&armored)
	aw.Write(good)
	aw.Close()
	for _, row := range []struct {
		name string
		file []byte
		want code.Code
	}{
		{"sealed to us", good, ""},
		{"sealed to someone else", sealed(t, plain, other.Recipient()), code.NotForUs},
		{"sealed to another kind", sealed(t, plain, identity(t, true).Recipient()), code.NotForUs},
		{"10,000 stanzas", header(strings.Repeat(x, 10000)), code.SealLimit},
		{"65 stanzas", header(strings.Repeat(x, 65)), code.SealLimit},
		{"64 stanzas", header(strings.Repeat(x, 64)), code.NotForUs},
		{"one stanza over the bytes", header(stanza("X25519", "A", 100<<10)), code.SealLimit},
		{"no stanza", header(), code.SealDamaged},
		{"a body without a stanza", header("AAAA\n", x), code.SealDamaged},
		{"scrypt", foreign(t, plain, pass), code.SealForm},
		{"scrypt work factor 30", header(stanza("scrypt", strings.Repeat("A", 22)+" 30", 32)), code.SealForm},
		{"scrypt beside X25519", header(x, stanza("scrypt", strings.Repeat("A", 22)+" 10", 32)), code.SealForm},
		{"plugin", header(stanza("piv-p256", "AAAA BBBB", 32)), code.SealForm},
		{"plugin beside X25519", header(x, stanza("yubikey", "AAAA", 32)), code.SealForm},
		{"ssh-rsa", header(stanza("ssh-rsa", "AAAA", 256)), code.SealForm},
		{"ssh-ed25519", header(stanza("ssh-ed25519", "AAAA BBBB", 32)), code.SealForm},
		{"a kind in other case", header(stanza("x25519", strings.Repeat("A", 43), 32)), code.SealForm},
		{"hybrid beside X25519", header(x, stanza("mlkem768x25519", "A", 32)), code.SealForm},
		{"armored", armored.Bytes(), code.SealForm},
		{"no age at all", []byte("PK\x03\x04 rubbish"), code.SealForm},
		{"version 2", bytes.Replace(good, []byte("/v1\n"), []byte("/v2\n"), 1), code.SealForm},
		{"empty", nil, code.SealDamaged},
		{"cut in the first line", good[:10], code.SealDamaged},
		{"cut in the header", good[:head-20], code.SealDamaged},
		{"cut before the nonce", good[:head], code.SealDamaged},
		{"cut in the nonce", good[:head+9], code.SealDamaged},
		{"cut before the first chunk", good[:at(0)], code.SealDamaged},
		{"cut at a chunk", good[:at(1)], code.SealDamaged},
		{"cut in a chunk", good[:at(1)+5000], code.SealDamaged},
		{"last chunk gone", good[:at(3)], code.SealDamaged},
		{"two last chunks", append(bytes.Clone(good), good[at(3):]...), code.SealDamaged},
		{"one byte behind", append(bytes.Clone(good), 0), code.SealDamaged},
		{"a second file behind", append(bytes.Clone(good), good...), code.SealDamaged},
		{"a bit in the MAC", flip(head - 10), code.SealDamaged},
		{"a bit in the nonce", flip(head + 3), code.SealDamaged},
		{"a bit in chunk 2", flip(at(1) + 77), code.SealDamaged},
		{"a bit in the last tag", flip(len(good) - 1), code.SealDamaged},
		{"CRLF", bytes.Replace(good, []byte("\n"), []byte("\r\n"), 1), code.SealForm},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := opens(row.file, me)
			if code.Of(err) != row.want {
				t.Errorf("code %q, want %q: %v", code.Of(err), row.want, err)
			}
			if !bytes.HasPrefix(plain, got) {
				t.Error("bytes that were never sealed came out")
			}
			if e, ok := errors.AsType[*code.Error](err); ok && row.want != code.NotForUs && e.Place == "" {
				t.Errorf("the error does not say where: %v", err)
			}
		})
	}
	got, err := opens(sealed(t, good, me.Recipient()), me)
	if err != nil || !bytes.Equal(got, good) {
		t.Errorf("age in age: the outer one alone is opened: %v", err)
	}
}

func TestHeaderLimitIsExact(t *testing.T) {
	id := identity(t, false)
	for _, row := range []struct {
		size int
		want code.Code
	}{{headerMax, code.SealDamaged}, {headerMax + 1, code.SealLimit}} {
		frame := len(header(stanza("X25519", "A", 0))) - 100
		arg := strings.Repeat("A", row.size-frame+1)
		file := header(stanza("X25519", arg, 0))
		if len(file)-100 != row.size {
			t.Fatalf("the test makes %d bytes of header, not %d", len(file)-100, row.size)
		}
		if _, err := opens(file, id); code.Of(err) != row.want {
			t.Errorf("header of %d bytes: %v, want %s", row.size, err, row.want)
		}
	}
}

func TestSixtyFourHybridStanzas(t *testing.T) {
	me := identity(t, true)
	rs := make([]Recipient, stanzaMax)
	for i := range rs {
		rs[i] = identity(t, true).Recipient()
	}
	rs[stanzaMax-1] = me.Recipient()
	got, err := opens(sealed(t, []byte("hello"), rs...), me)
	if err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestHugeHeaderIsNotRead(t *testing.T) {
	for name, start := range map[string]string{"in a body": ageIntro + "-> X25519 AAAA\n", "in a line": ageIntro + "-> X25519 "} {
		src := &endless{}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decrypt(io.MultiReader(strings.NewReader(start), src), identity(t, false))
		runtime.ReadMemStats(&after)
		if code.Of(err) != code.SealLimit {
			t.Errorf("%s: %v", name, err)
		}
		if src.n > headerMax+bufferSize+4096 || after.TotalAlloc-before.TotalAlloc > 8<<20 {
			t.Errorf("%s: %d bytes read, %d allocated", name, src.n, after.TotalAlloc-before.TotalAlloc)
		}
	}
}

var errStick = errors.New("input/output error")

func TestErrorsOfTheFileComeThrough(t *testing.T) {
	id := identity(t, false)
	file := sealed(t, pattern(5<<20), id.Recipient())
	for _, n := range []int{0, 10, 100, 250, 3 << 20, len(file)} {
		r, err := Decrypt(io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(errStick)), id)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, errStick) || code.Of(err) != code.Bug {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	var k DareKey
	k[0] = 1
	dare := dared(t, k, pattern(5<<20))
	for _, n := range []int{0, 10, 100, 3 << 20, len(dare)} {
		r, err := DecryptDARE(io.MultiReader(bytes.NewReader(dare[:n]), iotest.ErrReader(errStick)), k)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, errStick) || code.Of(err) != code.Bug {
			t.Errorf("DARE after %d bytes: %v", n, err)
		}
	}
}

type fullDisk struct{ left int }

func (f *fullDisk) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errStick
	}
	return len(p), nil
}

func TestWriteErrors(t *testing.T) {
	var k DareKey
	k[0] = 1
	id := identity(t, false)
	for _, left := range []int{0, 100, 2 << 20} {
		for name, open := range map[string]func(io.Writer) (io.WriteCloser, error){
			"age":  func(w io.Writer) (io.WriteCloser, error) { return Encrypt(w, id.Recipient()) },
			"dare": func(w io.Writer) (io.WriteCloser, error) { return EncryptDARE(w, k, bytes.NewReader(make([]byte, 12))) },
		} {
			w, err := open(&fullDisk{left: left})
			if err == nil {
				_, err = w.Write(pattern(3 << 20))
				err = errors.Join(err, w.Close())
			}
			if !errors.Is(err, errStick) {
				t.Errorf("%s, disk of %d bytes: %v", name, left, err)
			}
		}
	}
}

func TestTag(t *testing.T) {
	// printf 'sallyport/v1/recipient\0sha256:<64 × 0…1>\0age1x' | sha256sum | cut -c1-16
	d, err := digest.Parse("sha256:0000000000000000000000000000000000000000000000000000000000000001")
	if err != nil {
		t.Fatal(err)
	}
	if got := Tag(d, "age1x"); got != "b16c3aca9f19d620" {
		t.Errorf("Tag = %s", got)
	}
}

func dared(t testing.TB, k DareKey, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := EncryptDARE(&b, k, bytes.NewReader([]byte("twelve bytes")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDareKey(t *testing.T) {
	k, err := NewDareKey(bytes.NewReader(pattern(100)))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{k.String(), k.String() + "\n", " " + k.String() + "\r\n"} {
		if got, err := ParseDareKey([]byte(s)); err != nil || got != k {
			t.Errorf("%q: %v", s, err)
		}
	}
	one := DareKey{31: 1}
	if got := one.ID(); got != "720d53e022ad732b" { // (printf 'sallyport/v1/dare-key\0'; head -c 31 /dev/zero; printf '\1') | sha256sum | cut -c1-16
		t.Errorf("ID = %s", got)
	}
	s := k.String()
	for _, bad := range []string{"", "aes1-", s[5:], s[:len(s)-1], s + "A", strings.TrimRight(s, "="), "AES1-" + s[5:], s[:20] + "\n" + s[20:], DareKey{}.String(), s[:len(s)-2] + "9="} {
		if _, err := ParseDareKey([]byte(bad)); code.Of(err) != code.KeyBad {
			t.Errorf("%q: %v", bad, err)
		} else if len(bad) > 30 && strings.Contains(err.Error(), bad[5:30]) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
	if _, err := NewDareKey(strings.NewReader("short")); err == nil {
		t.Error("a key from too little randomness")
	}
}

func TestDareRoundTrip(t *testing.T) {
	k := DareKey{5: 9}
	for _, n := range []int{1, 65535, 65536, 65537, 131072, 3<<20 + 1} {
		file := dared(t, k, pattern(n))
		if !bytes.Equal(file, dared(t, k, pattern(n))) {
			t.Errorf("%d bytes: the same randomness gives other bytes", n)
		}
		for name, src := range map[string]io.Reader{"": bytes.NewReader(file), "by one": iotest.HalfReader(bytes.NewReader(file))} {
			r, err := DecryptDARE(src, k)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, pattern(n)) {
				t.Errorf("%d bytes %s: %d, %v", n, name, len(got), err)
			}
		}
	}
	w, err := EncryptDARE(io.Discard, k, bytes.NewReader(make([]byte, 12)))
	if err != nil {
		t.Fatal(err)
	}
	if w.Close() == nil {
		t.Error("nothing was sealed without an error")
	}
	if _, err := EncryptDARE(io.Discard, DareKey{}, bytes.NewReader(make([]byte, 12))); code.Of(err) != code.EncryptionRequired {
		t.Errorf("the zero key: %v", err)
	}
}

func TestHostileDare(t *testing.T) {
	k := DareKey{5: 9}
	plain := pattern(200 << 10)
	good := dared(t, k, plain)
	change := func(i int, to byte) []byte {
		b := bytes.Clone(good)
		b[i] = to
		return b
	}
	swapped := bytes.Clone(good)
	copy(swapped, good[darePackage:2*darePackage])
	copy(swapped[darePackage:], good[:darePackage])
	for _, row := range []struct {
		name string
		file []byte
		key  DareKey
		want code.Code
	}{
		{"ours", good, k, ""},
		{"another key", good, DareKey{5: 8}, code.NotForUs},
		{"the zero key", good, DareKey{}, code.IdentityMissing},
		{"empty", nil, k, code.SealDamaged},
		{"a bare header", good[:16], k, code.SealDamaged},
		{"cut in the first package", good[:1000], k, code.SealDamaged},
		{"cut behind the first package", good[:darePackage], k, code.SealDamaged},
		{"cut in the second", good[:darePackage+500], k, code.SealDamaged},
		{"last package gone", good[:3*darePackage], k, code.SealDamaged},
		{"one byte behind", append(bytes.Clone(good), 0), k, code.SealDamaged},
		{"last package twice", append(bytes.Clone(good), good[3*darePackage:]...), k, code.SealDamaged},
		{"two streams", append(bytes.Clone(good), good...), k, code.SealDamaged},
		{"packages swapped", swapped, k, code.NotForUs},
		{"DARE 1.0", change(0, 0x10), k, code.SealForm},
		{"ChaCha20", change(1, 1), k, code.SealForm},
		{"ChaCha20 later", change(darePackage+1, 1), k, code.SealDamaged},
		{"a bit in the first package", change(500, good[500]^1), k, code.NotForUs},
		{"a bit in the third", change(2*darePackage+500, good[2*darePackage+500]^1), k, code.SealDamaged},
		{"age", sealed(t, plain, identity(t, false).Recipient()), k, code.SealForm},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, err := DecryptDARE(bytes.NewReader(row.file), row.key)
			var got []byte
			if err == nil {
				got, err = io.ReadAll(r)
			}
			if code.Of(err) != row.want {
				t.Errorf("code %q, want %q: %v", code.Of(err), row.want, err)
			}
			if !bytes.HasPrefix(plain, got) {
				t.Error("bytes that were never sealed came out")
			}
		})
	}
}

func FuzzHeader(f *testing.F) {
	me := identity(f, false)
	good := sealed(f, []byte("hello"), me.Recipient())
	f.Add(good)
	f.Add(good[:50])
	f.Add(header(stanza("scrypt", "A 30", 32)))
	f.Add(header(stanza("X25519", strings.Repeat("A", 43), 32), stanza("mlkem768x25519", "A", 32)))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := opens(b, me)
		switch code.Of(err) {
		case "":
			if string(got) != "hello" {
				t.Errorf("a file that was never sealed opened: %q", got)
			}
		case code.NotForUs, code.SealDamaged, code.SealForm, code.SealLimit:
		default:
			t.Errorf("no code of ours: %v", err)
		}
	})
}
