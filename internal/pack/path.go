package pack

import (
	"fmt"
	"strings"

	"sallyport/internal/code"
)

// Limits of a member's path (bundle format, "Reader's limits").
const (
	pathMax  = 512
	depthMax = 16
)

// CheckPath is the rule for member names: 1–512 bytes of [A-Za-z0-9._/-], at most 16 parts, none empty, "." or "..".
// The code is tar-name. Names never become paths on our disk; the rule is for the people and tools that see them.
func CheckPath(p string) error {
	why := pathFault(p)
	if why == "" {
		return nil
	}
	return code.New(code.TarName, "%s", why).In(p[:min(len(p), 128)], "").Want("1–512 bytes of [A-Za-z0-9._/-], at most 16 parts, no dot parts", fmt.Sprintf("%.64q", p))
}

func pathFault(p string) string {
	switch {
	case p == "":
		return "a member without a name"
	case len(p) > pathMax:
		return fmt.Sprintf("a name of %d bytes", len(p))
	case p[0] == '/':
		return "an absolute name"
	}
	for i := range len(p) {
		if !pathByte(p[i]) {
			return fmt.Sprintf("a name with the byte 0x%02x at %d", p[i], i)
		}
	}
	if n := strings.Count(p, "/") + 1; n > depthMax {
		return fmt.Sprintf("a name of %d parts", n)
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Sprintf("a name with the part %q", part)
		}
	}
	return ""
}

func pathByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-' || c == '/'
}
