package cert

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"path/filepath"
	"time"

	"sallyport/internal/marks"
)

// makeCA makes a CA that may speak for these names alone, and keeps it.
func (k *Keeper) makeCA(permitted names, now marks.Reading) (*tls.Certificate, error) {
	serial, err := serial(k.o.Random)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		// two CAs of one appliance must not look alike to a browser that trusts both
		Subject:               pkix.Name{Organization: []string{"Sallyport " + k.o.Label}, CommonName: "Site CA " + hex.EncodeToString(serial.Bytes()[:4])},
		NotBefore:             now.Trusted.Add(-slack),
		NotAfter:              now.Stamp().Add(caLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},

		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         permitted.dns,
		PermittedIPRanges:           permitted.ranges(),
	}
	return k.make(caFile, template, nil)
}

// makeLeaf makes a certificate for the door, and keeps it.
func (k *Keeper) makeLeaf(ca *tls.Certificate, want names, now marks.Reading) (*tls.Certificate, error) {
	serial, err := serial(k.o.Random)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{"Sallyport " + k.o.Label}, CommonName: want.first()},
		NotBefore:    now.Trusted.Add(-slack),
		NotAfter:     now.Stamp().Add(leafLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     want.dns,
		IPAddresses:  want.ips(),

		BasicConstraintsValid: true,
	}
	return k.make(leafFile, template, ca)
}

// make signs a template with a new key and writes both as one file; a nil ca signs itself.
func (k *Keeper) make(name string, template *x509.Certificate, ca *tls.Certificate) (*tls.Certificate, error) {
	template.NotBefore, template.NotAfter = template.NotBefore.UTC().Truncate(time.Second), template.NotAfter.UTC().Truncate(time.Second)
	key, err := ecdsa.GenerateKey(elliptic.P256(), k.o.Random)
	if err != nil {
		return nil, fmt.Errorf("make certificate %s: %w", name, err)
	}
	parent, signer := template, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(k.o.Random, template, parent, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("make certificate %s: %w", name, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make certificate %s: %w", name, err)
	}
	var text bytes.Buffer
	for _, b := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := pem.Encode(&text, b); err != nil {
			return nil, fmt.Errorf("make certificate %s: %w", name, err)
		}
	}
	if err := k.o.FS.WriteFile(filepath.Join(k.o.Dir, name), text.Bytes(), 0o600); err != nil {
		return nil, fmt.Errorf("keep certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(text.Bytes(), text.Bytes())
	if err != nil {
		return nil, fmt.Errorf("make certificate %s: %w", name, err)
	}
	return &pair, nil
}

// serial is a random number of 127 bits that is never zero.
func serial(random io.Reader) (*big.Int, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:]), nil
}
