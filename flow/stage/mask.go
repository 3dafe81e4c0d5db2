package stage

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"github.com/narudata/naru/document"
	"github.com/narudata/naru/flow"
)

// Mask replaces what stands in fields of the body by its keyed hash (HMAC-SHA256). Equal values get equal
// masks, in every record, index, field and run with the same key, so that counts and joins keep working; without
// the key, masks say nothing but what is equal. Every scalar in a field or below it is replaced by one of its
// kind, so that the field's mapping still takes it:
//
//   - text by 32 hexadecimal digits (128 bits);
//   - text that is an IP address by one of the same family that nobody has, in 240.0.0.0/4 (28 bits: of a
//     million different addresses, two in a thousand share their mask) or fd00::/8 (120 bits);
//   - numbers by an integer from 1 to 2^31-1, equal numbers (1 and 1.0) by the same;
//   - true, false and null stay: a hash of two values hides nothing, and null is none.
//
// A field that takes neither of these (a date, a byte, a geo_point) is better left out of the index than masked.
//
// Ids, routing values and index names are not masked. If an id or a routing value is made from a masked field,
// it still tells it. A record whose body is no JSON is refused, not passed on.
//
// Fields are paths as document.ParsePaths reads them. Without a KeyFile the key is in the environment variable
// MaskKeyEnv.
type Mask struct {
	Fields  []string `json:"fields" doc:"paths of the fields, like user.email"`
	KeyFile string   `json:"keyFile,omitempty" doc:"file that holds the key; without it the key is in the environment variable NARU_MASK_KEY"`
}

// Validate says what is wrong with the fields.
func (m *Mask) Validate() error {
	if len(m.Fields) == 0 {
		return errors.New("mask: fields is missing: paths like user.email")
	}
	if _, err := document.ParsePaths(m.Fields); err != nil {
		return fmt.Errorf("mask: %w", err)
	}
	return nil
}

// Open loads the key and gives the stage.
func (m *Mask) Open(getenv func(string) string) (*Masker, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	key, err := LoadMaskKey(m.KeyFile, getenv)
	if err != nil {
		return nil, err
	}
	return NewMasker(m.Fields, key)
}

// A Masker is the stage that Mask describes.
type Masker struct {
	fields  []string
	paths   *document.Paths
	key     Secret
	hashers sync.Pool // of *masking
}

var _ flow.Stage = (*Masker)(nil)

// NewMasker gives the stage for fields and a key.
func NewMasker(fields []string, key Secret) (*Masker, error) {
	if len(key.b) == 0 {
		return nil, errors.New("mask: the key is empty")
	}
	paths, err := document.ParsePaths(fields)
	if err != nil {
		return nil, fmt.Errorf("mask: %w", err)
	}
	m := &Masker{fields: fields, paths: paths, key: key}
	m.hashers.New = func() any { return m.newMasking() }
	return m, nil
}

// String names the fields and tells keys apart without giving one away: two maskers with the same text give
// the same masks.
func (m *Masker) String() string {
	k := m.newMasking()
	sum := k.hash('k', []byte("fingerprint"))
	return fmt.Sprintf("mask %s with key %x", strings.Join(m.fields, ","), sum[:4])
}

// Process masks the bodies of b. It returns flow.Failures for those that are no JSON.
func (m *Masker) Process(_ context.Context, b *flow.Batch) error {
	k := m.hashers.Get().(*masking)
	defer m.hashers.Put(k)
	var failures flow.Failures
	for i := range b.Records {
		r := &b.Records[i]
		if r.Body == nil {
			continue
		}
		out, n, err := k.replacer.Apply(k.dst, r.Body)
		if err != nil {
			failures = append(failures, flow.Failure{Index: i, Err: flow.Permanent(fmt.Errorf("mask: %w", err))})
			continue
		}
		if n > 0 {
			r.Body = b.Copy(out)
			k.keep(out)
		}
	}
	if len(failures) > 0 {
		return failures
	}
	return nil
}

// masking is the state of one goroutine at work.
type masking struct {
	replacer document.Replacer
	dst      []byte // room for a body
	mac      hash.Hash
	head     [1]byte
	text     []byte
	sum      []byte
}

func (m *Masker) newMasking() *masking {
	k := &masking{mac: hmac.New(sha256.New, m.key.b)}
	k.replacer = document.Replacer{Paths: m.paths, Replace: k.replace}
	return k
}

// keep keeps the room for the next body, but not that of a giant one.
func (k *masking) keep(dst []byte) {
	if cap(dst) <= 1<<20 {
		k.dst = dst[:0]
	}
}

func (k *masking) replace(dst []byte, v document.Value) ([]byte, error) {
	switch v.Kind {
	case document.String:
		k.text = v.AppendText(k.text[:0])
		return k.appendText(append(dst, '"')), nil
	case document.Number:
		sum := k.hash('n', canonicalNumber(v.Raw))
		return strconv.AppendUint(dst, binary.BigEndian.Uint64(sum)%math.MaxInt32+1, 10), nil
	default:
		return append(dst, v.Raw...), nil
	}
}

// appendText appends the mask of k.text and a closing quotation mark.
func (k *masking) appendText(dst []byte) []byte {
	if addr, ok := address(k.text); ok {
		if addr.Is4() {
			four := addr.As4()
			sum := k.hash('4', four[:])
			addr = netip.AddrFrom4([4]byte{0xf0 | sum[0]&0x0f, sum[1], sum[2], sum[3]})
			if addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
				addr = netip.AddrFrom4([4]byte{240, 0, 0, 0})
			}
		} else {
			sixteen := addr.As16()
			sum := k.hash('6', sixteen[:])
			masked := [16]byte(sum[:16])
			masked[0] = 0xfd
			addr = netip.AddrFrom16(masked)
		}
		return append(addr.AppendTo(dst), '"')
	}
	sum := k.hash('t', k.text)
	return append(hex.AppendEncode(dst, sum[:16]), '"')
}

// hash gives the HMAC of a value of a kind, valid until the next call.
func (k *masking) hash(kind byte, v []byte) []byte {
	k.mac.Reset()
	k.head[0] = kind
	k.mac.Write(k.head[:])
	k.mac.Write(v)
	k.sum = k.mac.Sum(k.sum[:0])
	return k.sum
}

// address reads an IP address. One of IPv4 that is written as one of IPv6 is the one of IPv4.
func address(text []byte) (netip.Addr, bool) {
	const longest = len("0000:0000:0000:0000:0000:ffff:255.255.255.255")
	if len(text) < len("::") || len(text) > longest {
		return netip.Addr{}, false
	}
	dots := false
	for _, c := range text {
		switch {
		case c == '.' || c == ':':
			dots = true
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
		default:
			return netip.Addr{}, false
		}
	}
	if !dots {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(string(text))
	return addr.Unmap(), err == nil
}

// canonicalNumber gives equal numbers the same text, as far as a float64 tells them apart: 1 for 1, 1.0 and 10e-1.
// Integers are told apart at any size.
func canonicalNumber(raw []byte) []byte {
	integer := true
	for i, c := range raw {
		integer = integer && (c >= '0' && c <= '9' || c == '-' && i == 0)
	}
	if integer && string(raw) != "-0" {
		return raw
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return raw // beyond float64
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return strconv.AppendInt(nil, int64(f), 10)
	}
	return strconv.AppendFloat(nil, f, 'e', -1, 64)
}
