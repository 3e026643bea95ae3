package cert

import (
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// names are what a certificate speaks for, sorted and without repetition.
type names struct {
	dns   []string
	addrs []netip.Addr
}

// parseNames sorts texts into addresses and names. What is neither, and what no certificate can say, is left out.
func parseNames(list []string) (n names) {
	for _, s := range list {
		if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
			n.addrs = append(n.addrs, a.Unmap().WithZone(""))
			continue
		}
		if s = strings.TrimSuffix(strings.ToLower(s), "."); HostName(s) {
			n.dns = append(n.dns, s)
		}
	}
	return n.sorted()
}

// HostName tells whether s is a name that a host may have: labels of letters, digits and hyphens, at most 253 bytes.
func HostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for _, label := range strings.Split(s, ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
		for _, c := range label {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-') {
				return false
			}
		}
	}
	return true
}

// namesOf reads a certificate.
func namesOf(c *x509.Certificate) (n names) {
	n.dns = slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			n.addrs = append(n.addrs, a.Unmap())
		}
	}
	return n.sorted()
}

func (n names) sorted() names {
	slices.Sort(n.dns)
	slices.SortFunc(n.addrs, netip.Addr.Compare)
	return names{slices.Compact(n.dns), slices.Compact(n.addrs)}
}

func (n names) with(more names) names {
	return names{slices.Concat(n.dns, more.dns), slices.Concat(n.addrs, more.addrs)}.sorted()
}

func (n names) without(less names) (out names) {
	for _, s := range n.dns {
		if !slices.Contains(less.dns, s) {
			out.dns = append(out.dns, s)
		}
	}
	for _, a := range n.addrs {
		if !slices.Contains(less.addrs, a) {
			out.addrs = append(out.addrs, a)
		}
	}
	return out
}

func (n names) equal(m names) bool {
	return slices.Equal(n.dns, m.dns) && slices.Equal(n.addrs, m.addrs)
}

// within leaves the names a CA may speak for.
func (n names) within(ca *x509.Certificate) (out names) {
	for _, s := range n.dns {
		if slices.ContainsFunc(ca.PermittedDNSDomains, func(d string) bool { return s == d || strings.HasSuffix(s, "."+d) }) {
			out.dns = append(out.dns, s)
		}
	}
	for _, a := range n.addrs {
		if slices.ContainsFunc(ca.PermittedIPRanges, func(r *net.IPNet) bool { return r.Contains(a.AsSlice()) }) {
			out.addrs = append(out.addrs, a)
		}
	}
	return out
}

// fits tells whether a CA may speak for all of them.
func fits(ca *x509.Certificate, n names) bool { return n.equal(n.within(ca)) }

// ranges are the addresses as name constraints: each alone.
func (n names) ranges() (out []*net.IPNet) {
	for _, a := range n.addrs {
		out = append(out, &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())})
	}
	return out
}

func (n names) ips() (out []net.IP) {
	for _, a := range n.addrs {
		out = append(out, a.AsSlice())
	}
	return out
}

// list is all of them as text, names first.
func (n names) list() (out []string) {
	out = slices.Clone(n.dns)
	for _, a := range n.addrs {
		out = append(out, a.String())
	}
	return out
}

// first is what stands as the subject.
func (n names) first() string {
	if all := n.list(); len(all) > 0 {
		return all[0]
	}
	return "sallyport"
}
