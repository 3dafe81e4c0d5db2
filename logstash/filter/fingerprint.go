package filter

import (
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // what the configuration asks for: it identifies and does not protect
	"crypto/sha1" //nolint:gosec // as md5
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// Fingerprint makes a digest of fields: for identifiers that are the same for the same data, or to hide them.
//
// Several sources are put together with concatenate_sources (in the order of their names); otherwise the last that is there
// counts. A list gets a list of digests, one for each element. Values that are no text count as Ruby prints them.
//
// Source: logstash-filter-fingerprint 3.4, as Logstash 8.19 has it: a map counts as {"a"=>1}, with its keys in order.
//
// Differences:
//   - a source or target that is no field reference is an error of the configuration; Logstash finds it with the first event;
//   - IPV4_NETWORK of what is no address, and PUNCTUATION of what is no text, set nothing; Logstash fails for them.
type Fingerprint struct {
	option.Common
	Source               []string         `ls:"source" default:"message" doc:"the fields that count"`
	Target               *event.Ref       `ls:"target" doc:"the field that gets the digest; fingerprint, or [event][hash] with the schema, if not given"`
	Key                  *option.Password `ls:"key" doc:"a secret that makes the digest an HMAC; with IPV4_NETWORK the bits of the network's prefix"`
	Base64Encode         bool             `ls:"base64encode" default:"false" doc:"whether the digest is in base64; in hexadecimal otherwise"`
	Method               string           `ls:"method" default:"SHA1" enum:"SHA1|SHA256|SHA384|SHA512|MD5|MURMUR3|MURMUR3_128|IPV4_NETWORK|UUID|PUNCTUATION" doc:"what the digest is: of a hash function, the network of an address, a random UUID, or the punctuation of the text"`
	ConcatenateSources   bool             `ls:"concatenate_sources" default:"false" doc:"whether all sources are one text"`
	ConcatenateAllFields bool             `ls:"concatenate_all_fields" default:"false" doc:"whether all fields of the event are one text"`
	ECS                  string           `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"whether the target has its name in the Elastic Common Schema; that of the pipeline if not given"`
}

type fingerprint struct {
	*Fingerprint
	where   string
	target  *event.Ref
	sources []fingerprintSource // as written
	sorted  []fingerprintSource
	prefix  int              // of IPV4_NETWORK
	newHash func() hash.Hash // nil: the method has none
	// Each worker has its own.
	hash hash.Hash
	room textRoom
}

type fingerprintSource struct {
	name string
	ref  *event.Ref
}

// Setup implements Plugin.
func (p *Fingerprint) Setup(s *Setup) (Filter, error) {
	f := &fingerprint{Fingerprint: p, where: s.Where, target: p.Target}
	var err error
	if f.target == nil {
		if f.target, err = event.ParseRef(s.ecs(p.ECS).named("fingerprint", "[event][hash]")); err != nil {
			return nil, err
		}
	}
	for _, name := range p.Source {
		r, err := s.Style.Parse(name)
		if err != nil {
			return nil, option.Errorf("source", "%w", err)
		}
		f.sources = append(f.sources, fingerprintSource{name, r})
	}
	f.sorted = slices.Clone(f.sources)
	slices.SortStableFunc(f.sorted, func(a, b fingerprintSource) int { return strings.Compare(a.name, b.name) })
	switch p.Method {
	case "IPV4_NETWORK":
		if p.Key == nil {
			return nil, option.Errorf("key", "IPV4_NETWORK needs the length of the network's prefix as the key")
		}
		n := rubyInt(string(*p.Key))
		if n.Kind() != event.Int || n.Int() < 0 || n.Int() > 128 {
			return nil, option.Errorf("key", "expected the length of a prefix, 0 to 32, found %q", string(*p.Key))
		}
		f.prefix = int(n.Int())
	case "SHA1":
		f.newHash = sha1.New
	case "SHA256":
		f.newHash = sha256.New
	case "SHA384":
		f.newHash = sha512.New384
	case "SHA512":
		f.newHash = sha512.New
	case "MD5":
		f.newHash = md5.New
	}
	if plain := f.newHash; plain != nil && p.Key != nil {
		key := []byte(*p.Key)
		f.newHash = func() hash.Hash { return hmac.New(plain, key) }
	}
	f.ready()
	return f, nil
}

func (f *fingerprint) ready() {
	if f.newHash != nil {
		f.hash = f.newHash()
	}
	f.room = textRoom{}
}

// Fork implements Forker.
func (f *fingerprint) Fork() Filter {
	own := *f
	own.ready()
	return &own
}

// Filter implements Filter.
func (f *fingerprint) Filter(x *Context, e *event.Event) {
	switch {
	case f.Method == "UUID":
		x.Buf = appendUUID(x.Buf[:0])
		set(x, f.where, e, f.target, event.StringValue(f.room.keep(x.Buf)))
	case f.Method == "PUNCTUATION":
		for _, s := range f.sorted {
			if v := e.Get(s.ref); v.Kind() == event.String {
				set(x, f.where, e, f.target, f.punctuation(x, v.Str()))
			}
		}
	case f.ConcatenateAllFields || f.ConcatenateSources:
		x.Buf = f.concatenate(x.Buf[:0], e)
		f.setDigest(x, e, event.StringValue(textOf(x.Buf)))
	default:
		for _, s := range f.sources {
			if e.Includes(s.ref) {
				f.one(x, e, e.Get(s.ref))
			}
		}
	}
	succeed(x, f.where, &f.Common, e)
}

// one makes the digest of one field.
func (f *fingerprint) one(x *Context, e *event.Event, v event.Value) {
	if v.Kind() != event.List {
		f.setDigest(x, e, v)
		return
	}
	list := make([]event.Value, len(v.List()))
	for i, element := range v.List() {
		digest, err := f.digest(x, element)
		if err != nil {
			x.Log.Warn("fingerprint cannot use a value", "filter", f.where, "error", err)
			return
		}
		list[i] = digest
	}
	set(x, f.where, e, f.target, event.ListValue(list))
}

func (f *fingerprint) setDigest(x *Context, e *event.Event, v event.Value) {
	digest, err := f.digest(x, v)
	if err != nil {
		x.Log.Warn("fingerprint cannot use a value", "filter", f.where, "error", err)
		return
	}
	set(x, f.where, e, f.target, digest)
}

// concatenate appends |name|value|name|value|.
func (f *fingerprint) concatenate(dst []byte, e *event.Event) []byte {
	if f.ConcatenateAllFields {
		entries := slices.Clone(e.Fields().Entries())
		slices.SortFunc(entries, byKey)
		for _, m := range entries {
			dst = append(append(dst, '|'), m.Key...)
			dst = appendCanonical(append(dst, '|'), m.Value)
		}
		return append(dst, '|')
	}
	for _, s := range f.sorted {
		dst = append(append(dst, '|'), s.name...)
		dst = appendCanonical(append(dst, '|'), e.Get(s.ref))
	}
	return append(dst, '|')
}

func byKey(a, b event.Entry) int { return strings.Compare(a.Key, b.Key) }

// appendCanonical appends a value as Ruby prints it, with the members of maps sorted.
func appendCanonical(dst []byte, v event.Value) []byte {
	switch v.Kind() {
	case event.String:
		return append(dst, v.Str()...)
	case event.Absent, event.Null:
		return dst
	}
	return appendInspected(dst, inOrder(v))
}

// inOrder gives a value whose maps have their members in the order of their names.
func inOrder(v event.Value) event.Value {
	switch v.Kind() {
	case event.Map:
		entries := slices.Clone(v.Map().Entries())
		slices.SortFunc(entries, byKey)
		sorted := event.MapValue()
		for _, m := range entries {
			sorted.Map().Set(m.Key, inOrder(m.Value))
		}
		return sorted
	case event.List:
		list := slices.Clone(v.List())
		for i := range list {
			list[i] = inOrder(list[i])
		}
		return event.ListValue(list)
	}
	return v
}

func (f *fingerprint) punctuation(x *Context, s string) event.Value {
	x.Buf = x.Buf[:0]
	for _, r := range s {
		if unicode.IsPunct(r) || unicode.IsSymbol(r) {
			x.Buf = append(x.Buf, string(r)...)
		}
	}
	return event.StringValue(f.room.keep(x.Buf))
}

// digest makes the digest of a value.
func (f *fingerprint) digest(x *Context, v event.Value) (event.Value, error) {
	switch f.Method {
	case "IPV4_NETWORK":
		return f.network(v)
	case "MURMUR3":
		if n, ok := wordOf(v); ok {
			return event.IntValue(int64(murmur32(binary.LittleEndian.AppendUint64(nil, n)))), nil
		}
		return event.IntValue(int64(murmur32(canonicalBytes(v)))), nil
	case "MURMUR3_128":
		in := canonicalBytes(v)
		if n, ok := wordOf(v); ok {
			if in = binary.LittleEndian.AppendUint64(nil, n); v.Kind() == event.Int && v.Int() >= math.MinInt32 && v.Int() <= math.MaxInt32 {
				in = in[:4]
			}
		}
		sum := murmur128(in, 2)
		return f.encoded(x, sum[:]), nil
	}
	f.hash.Reset()
	_, _ = f.hash.Write(canonicalBytes(v)) // a hash takes everything
	var room [sha512.Size]byte
	return f.encoded(x, f.hash.Sum(room[:0])), nil
}

// wordOf gives the lower 64 bits of an integer.
func wordOf(v event.Value) (uint64, bool) {
	if v.Kind() == event.Int {
		return uint64(v.Int()), true
	}
	n := v.Big()
	if n == nil {
		return 0, false
	}
	word := n.Uint64() // of the absolute value
	if n.Sign() < 0 {
		word = -word
	}
	return word, true
}

func canonicalBytes(v event.Value) []byte {
	if v.Kind() == event.String {
		return bytesOf(v.Str())
	}
	return appendCanonical(nil, v)
}

// encoded prints a digest. x.Buf may be what it was made of.
func (f *fingerprint) encoded(x *Context, sum []byte) event.Value {
	x.Buf = x.Buf[:0]
	if f.Base64Encode {
		x.Buf = base64.StdEncoding.AppendEncode(x.Buf, sum)
	} else {
		x.Buf = hex.AppendEncode(x.Buf, sum)
	}
	return event.StringValue(f.room.keep(x.Buf))
}

// network gives the network that an address is in. An address may have a prefix of its own.
func (f *fingerprint) network(v event.Value) (event.Value, error) {
	if v.Kind() != event.String {
		return v, fmt.Errorf("expected an address, found %s", v.Kind())
	}
	network, err := parseNetwork(v.Str())
	if err != nil {
		return v, err
	}
	masked, err := network.Addr().Prefix(f.prefix)
	if err != nil {
		return v, fmt.Errorf("the prefix %s of %.60q: %w", strconv.Itoa(f.prefix), v.Str(), err)
	}
	return event.StringValue(masked.Addr().String()), nil
}
