package record

import (
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"
)

// ecosystems maps a purl type to the ecosystem of the OSV schema. A type that is not here keeps its own name.
var ecosystems = map[string]string{
	"golang": "Go", "npm": "npm", "pypi": "PyPI", "maven": "Maven", "cargo": "crates.io", "composer": "Packagist",
	"gem": "RubyGems", "nuget": "NuGet", "hex": "Hex", "pub": "Pub", "swift": "SwiftURL", "deb": "Debian", "apk": "Alpine",
	"conan": "ConanCenter", "cran": "CRAN", "hackage": "Hackage", "githubactions": "GitHub Actions", "bitnami": "Bitnami",
}

// FromPURL reads a package URL (purl-spec) as the package that advisories would name: "pkg:golang/golang.org/x/net@v0.1.0"
// is {Go, golang.org/x/net}, "pkg:maven/g/a" is {Maven, g:a}. A distribution keeps its name in the ecosystem only
// where the namespace says another one than the type's own ("pkg:deb/ubuntu/curl" is {Ubuntu, curl}).
func FromPURL(s string) (Package, bool) {
	if len(s) > 4096 || !strings.HasPrefix(s, "pkg:") {
		return Package{}, false
	}
	u, err := packageurl.FromString(s)
	if err != nil || u.Name == "" {
		return Package{}, false
	}
	p := Package{Ecosystem: ecosystems[u.Type], Name: u.Name}
	if p.Ecosystem == "" {
		p.Ecosystem = u.Type
	}
	switch {
	case u.Type == "deb" || u.Type == "apk" || u.Type == "rpm":
		p.Ecosystem = distribution(u.Namespace, p.Ecosystem)
	case u.Namespace != "" && u.Type == "maven":
		p.Name = u.Namespace + ":" + u.Name
	case u.Namespace != "":
		p.Name = u.Namespace + "/" + u.Name
	}
	return p, true
}

func distribution(namespace, standard string) string {
	switch strings.ToLower(namespace) {
	case "":
		return standard
	case "debian":
		return "Debian"
	case "ubuntu":
		return "Ubuntu"
	case "alpine":
		return "Alpine"
	case "redhat":
		return "Red Hat"
	case "rocky":
		return "Rocky Linux"
	case "almalinux":
		return "AlmaLinux"
	case "opensuse":
		return "openSUSE"
	case "suse":
		return "SUSE"
	}
	return namespace
}

// names collects what a document speaks of.
type names struct {
	packages []Package
	aliases  []string
}

func (n *names) purl(s string) {
	if p, ok := FromPURL(s); ok {
		n.packages = append(n.packages, p)
	}
}

func (n *names) alias(s string) {
	if s != "" && len(s) <= maxAlias {
		n.aliases = append(n.aliases, s)
	}
}

// fields sorts and drops repetitions; first comes before the other aliases.
func (n *names) fields(id string) Fields {
	slices.Sort(n.aliases)
	n.aliases = slices.DeleteFunc(slices.Compact(n.aliases), func(s string) bool { return s == id })
	return Fields{ID: id, Aliases: n.aliases, Packages: unique(n.packages)}
}

// maxAlias is the longest alias kept, in bytes: what is longer is not something a person asks for.
const maxAlias = 512
