package kafka

import (
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
)

func fromPEM(text []byte) (certs []*x509.Certificate, err error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate in it")
	}
	return certs, nil
}

// jksMagic begins a Java key store.
const jksMagic = 0xfeedfeed

// errJKS is why a Java key store cannot be read.
var errJKS = errors.New("the Java key store is damaged")

// fromJKS gives the trusted certificates of a Java key store. They are not encrypted; the digest at the end, which needs
// the password, is not looked at: the file is as trustworthy as the PEM file that could be in its place. Numbers are
// big-endian:
//
//	magic u32 | version u32 (1, 2) | entries u32 | entry… | SHA-1 digest
//	entry of a key (tag 1):         tag u32 | alias | time u64 | length u32, key | chain u32 | certificate…
//	entry of a certificate (tag 2): tag u32 | alias | time u64 | certificate
//	alias, type: length u16, text;  certificate: type (version 2 only) | length u32, DER
//
// Source: sun.security.provider.JavaKeyStore.
func fromJKS(text []byte) (certs []*x509.Certificate, err error) {
	r := &reading{left: text}
	r.u32()
	version := r.u32()
	if version != 1 && version != 2 {
		return nil, errJKS
	}
	certificate := func() []byte {
		if version == 2 {
			r.bytes(int(r.u16()))
		}
		return r.bytes(int(r.u32()))
	}
	for n := r.u32(); n > 0 && !r.short; n-- {
		tag := r.u32()
		r.bytes(int(r.u16()))
		r.bytes(8)
		switch tag {
		case 1:
			r.bytes(int(r.u32()))
			for n := r.u32(); n > 0 && !r.short; n-- {
				certificate()
			}
		case 2:
			der := certificate()
			if r.short {
				return nil, errJKS
			}
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, err
			}
			certs = append(certs, cert)
		default:
			return nil, errJKS
		}
	}
	if r.short {
		return nil, errJKS
	}
	if len(certs) == 0 {
		return nil, errors.New("no trusted certificate in the Java key store")
	}
	return certs, nil
}

// reading takes numbers and bytes off the front of a text. After the first that is not there, short is set and everything
// is zero.
type reading struct {
	left  []byte
	short bool
}

func (r *reading) bytes(n int) []byte {
	if n < 0 || n > len(r.left) {
		r.short, r.left = true, nil
		return nil
	}
	b := r.left[:n:n]
	r.left = r.left[n:]
	return b
}

func (r *reading) u16() uint16 {
	if b := r.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reading) u32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}
