package cert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"sallyport/internal/code"
)

// Judge says whether a pair that people brought can be used; check-config asks it. An expired one can.
func Judge(certFile, keyFile string) error {
	if certFile == "" && keyFile == "" {
		return nil
	}
	_, err := brought(certFile, keyFile)
	return err
}

// brought loads a certificate, the chain that may follow it, and its key.
func brought(certFile, keyFile string) (*tls.Certificate, error) {
	switch {
	case certFile == "":
		return nil, code.New(code.Certificate, "tls.key is set and tls.cert is not").In(keyFile, "tls.cert").Do("Set both, or none.")
	case keyFile == "":
		return nil, code.New(code.Certificate, "tls.cert is set and tls.key is not").In(certFile, "tls.key").Do("Set both, or none.")
	}
	chain, err := chainOf(certFile)
	if err != nil {
		return nil, code.Wrap(code.Certificate, err, "the certificate cannot be read").In(certFile, "tls.cert").
			Do("Put a PEM file there: the certificate of this host first, then those that lead to its CA.")
	}
	key, err := keyOf(keyFile)
	if err != nil {
		return nil, code.Wrap(code.Certificate, err, "the private key cannot be read").In(keyFile, "tls.key").
			Do("Put the unencrypted PEM file there that belongs to tls.cert, readable by the daemon's user alone.")
	}
	leaf := chain[0]
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(leaf.PublicKey) {
		return nil, code.New(code.Certificate, "the key does not belong to the certificate").In(keyFile, "tls.key").
			Want("the key of "+leaf.Subject.String(), "another one").Do("Check that tls.cert begins with the certificate of this host, and that tls.key is its key.")
	}
	if leaf.IsCA {
		return nil, code.New(code.Certificate, "the first certificate is a CA, not that of a host").In(certFile, "tls.cert").
			Do("Put the certificate of this host first, then those that lead to its CA.")
	}
	pair := &tls.Certificate{PrivateKey: key, Leaf: leaf}
	for _, c := range chain {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	return pair, nil
}

func chainOf(path string) (all []*x509.Certificate, err error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	for b, rest := pem.Decode(text); b != nil; b, rest = pem.Decode(rest) {
		if b.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the file: %w", len(all)+1, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("no certificate in PEM form")
	}
	return all, nil
}

func keyOf(path string) (crypto.Signer, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	for b, rest := pem.Decode(text); b != nil; b, rest = pem.Decode(rest) {
		var key any
		switch b.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(b.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(b.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(b.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("it is encrypted with a password")
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		return strong(key)
	}
	return nil, errors.New("no private key in PEM form")
}

// strong takes the kinds of key that every browser of the day accepts.
func strong(key any) (crypto.Signer, error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		return k, nil
	case *rsa.PrivateKey:
		if k.N.BitLen() < 2048 {
			return nil, fmt.Errorf("an RSA key of %d bits is too short, 2048 is the least", k.N.BitLen())
		}
		return k, nil
	}
	return nil, fmt.Errorf("a key of kind %T, which browsers do not take; want ECDSA or RSA", key)
}
