package event

import (
	"errors"
	"fmt"
	"time"
)

// An Event is a map of fields, with metadata beside it that are not part of any output. The zero Event is empty: it has
// neither @timestamp nor @version.
//
// Source: org.logstash.Event, org.logstash.Accessors.
type Event struct {
	data      Fields
	meta      node   // a map
	arena     *Arena // of its maps and lists; nil: they have room of their own
	cancelled bool
}

// Errors of Set.
var (
	// ErrWay says that what is on the way of a reference is neither a map nor a list.
	ErrWay = errors.New("cannot set a field inside of what is neither a map nor a list")
	// ErrIndex says that a list has no such element and cannot get it.
	ErrIndex = errors.New("list index out of range")
	// ErrTags says that tags can only be a text or a list of texts.
	ErrTags = errors.New("tags can only be a string or a list of strings")
	// ErrTimestamp says that @timestamp can only be a time.
	ErrTimestamp = errors.New("@timestamp can only be a timestamp")
	// ErrMetadata says that @metadata can only be a map.
	ErrMetadata = errors.New("@metadata can only be a map")
)

// mostElements is how long a list can become by setting an element behind its end.
const mostElements = 1 << 20

// New gives an event with @timestamp now and @version "1".
func New() *Event { return NewAt(time.Now()) }

// NewAt gives an event with a @timestamp and @version "1".
func NewAt(now time.Time) *Event {
	e := &Event{}
	e.Complete(now)
	return e
}

// FromMap makes an event of a decoded map, as Complete does. It takes over what the map has: v is empty afterwards. What is
// no map gives an event without fields.
func FromMap(v Value) *Event {
	e := &Event{}
	if v.kind == Map {
		e.data = v.node.m
		v.node.m = Fields{}
	}
	e.Complete(time.Now())
	return e
}

// Reset makes e as good as new, and empty. It keeps the room that e has. Call Complete for @timestamp and @version.
func (e *Event) Reset() {
	e.data.Reset()
	e.meta.m.Reset()
	e.cancelled = false
}

// Complete does with the fields that were put into e what Logstash does when it makes an event of a decoded map: @version is
// "1" if there is none, @metadata moves to where it belongs, tags that are no texts move into the list _tags, with the tag
// _tagsparsefailure, a @timestamp that is missing or null is now, a text in it is parsed, and anything else moves to
// _@timestamp, with the tag _timestampparsefailure.
//
// A @metadata that is no map, for which the original fails, is removed: a decoder that wants to complain looks before.
func (e *Event) Complete(now time.Time) {
	if e.data.find(fieldVersion, markVersion) < 0 {
		*e.data.add(fieldVersion, markVersion) = StringValue("1")
	}
	if i := e.data.find(fieldMetadata, markMetadata); i >= 0 {
		if v := e.data.delete(fieldMetadata, markMetadata); v.kind == Map {
			e.meta.m.Reset()
			e.meta.m, v.node.m = v.node.m, e.meta.m
		}
	}
	if i := e.data.find(fieldTags, markTags); i >= 0 {
		if v := e.data.entries[i].Value; !legalTags(v) {
			e.data.Set(fieldBadTags, ListValue([]Value{v}))
			*e.data.place(fieldTags, markTags) = StringsValue(tagBadTags)
		}
	}
	i := e.data.find(fieldTimestamp, markTimestamp)
	if i < 0 {
		*e.data.add(fieldTimestamp, markTimestamp) = TimeValue(now)
		return
	}
	given := e.data.entries[i].Value
	switch given.kind {
	case Time:
	case Absent, Null:
		e.data.entries[i].Value = TimeValue(now)
	default:
		if t, ok := ParseTimestamp(given.Str()); ok && given.kind == String {
			e.data.entries[i].Value = TimeValue(t)
			return
		}
		e.data.entries[i].Value = TimeValue(now)
		e.Tag(tagBadTimestamp)
		e.data.Set(fieldBadTime, given)
	}
}

var (
	markTimestamp = mark(fieldTimestamp)
	markVersion   = mark(fieldVersion)
	markMetadata  = mark(fieldMetadata)
	markTags      = mark(fieldTags)
)

// Get gives what r refers to; Absent if there is nothing. A list or a map that it gives is that of the event, not a copy.
func (e *Event) Get(r *Ref) Value {
	if r.where <= atTags {
		if i := e.data.find(r.last.key, r.last.mark); i >= 0 {
			return e.data.entries[i].Value
		}
		return Value{}
	}
	if r.where == atMetadata {
		return Value{kind: Map, node: &e.meta}
	}
	in, ok := e.parent(r)
	if !ok {
		return Value{}
	}
	return in.get(&r.last)
}

// Includes reports that there is what r refers to, be it null. There always is [@metadata].
func (e *Event) Includes(r *Ref) bool {
	if r.where <= atTags {
		i := e.data.find(r.last.key, r.last.mark)
		return i >= 0 && e.data.entries[i].Value.there()
	}
	if r.where == atMetadata {
		return true
	}
	v := e.Get(r)
	return v.there()
}

// Remove removes what r refers to and gives it; Absent if there was nothing. An element that is removed from a list leaves no
// gap. Removing [@metadata] empties it.
func (e *Event) Remove(r *Ref) Value {
	if r.where <= atTags {
		return e.data.delete(r.last.key, r.last.mark)
	}
	if r.where == atMetadata {
		v := Value{kind: Map, node: &node{m: e.meta.m}}
		e.meta.m = Fields{}
		return v
	}
	in, ok := e.parent(r)
	if !ok {
		return Value{}
	}
	if in.m != nil {
		return in.m.delete(r.last.key, r.last.mark)
	}
	i, ok := r.last.within(in.list)
	if !ok {
		return Value{}
	}
	v := in.list.list[i]
	in.list.list = append(in.list.list[:i], in.list.list[i+1:]...)
	return v
}

// Set gives what r refers to a value, and makes the maps on the way. It takes over v: a list or map that is still in another
// place must be cloned before. Absent is null. Behind the end of a list it fills up with null; a part that is no number does
// nothing to a list.
//
// Nothing changes if it fails: ErrWay, ErrIndex, ErrTags for what cannot be in tags, or for a reference inside of tags,
// ErrTimestamp for a @timestamp that is no Time, ErrMetadata for a [@metadata] that is no map.
func (e *Event) Set(r *Ref, v Value) error {
	if v.kind == Absent {
		v.kind = Null
	}
	switch r.where {
	case atTop:
		*e.data.place(r.last.key, r.last.mark) = v
		return nil
	case atTimestamp:
		if v.kind != Time {
			return fmt.Errorf("set @timestamp to %s: %w", v.kind, ErrTimestamp)
		}
		*e.data.place(fieldTimestamp, markTimestamp) = v
		return nil
	case atTags:
		if !legalTags(v) {
			return fmt.Errorf("set tags to %s: %w", v.kind, ErrTags)
		}
		*e.data.place(fieldTags, markTags) = v
		return nil
	case belowTags, belowMetaTags:
		return fmt.Errorf("set %s: %w", r, ErrTags)
	case atMetadata:
		if v.kind != Map {
			return fmt.Errorf("set @metadata to %s: %w", v.kind, ErrMetadata)
		}
		if v.node != &e.meta {
			e.meta.m = v.node.m.Clone()
		}
		return nil
	default:
		return e.setBelow(r, v)
	}
}

// GetField gives a field at the top by its plain name; Absent if there is none.
func (e *Event) GetField(name string) Value {
	if i := e.data.find(name, mark(name)); i >= 0 {
		return e.data.entries[i].Value
	}
	if name == fieldMetadata {
		return Value{kind: Map, node: &e.meta}
	}
	return Value{}
}

// SetField is Set for a field at the top, by its plain name.
func (e *Event) SetField(name string, v Value) error {
	switch name {
	case fieldTimestamp:
		return e.Set(refTimestamp, v)
	case fieldTags:
		return e.Set(refTags, v)
	case fieldMetadata:
		return e.Set(refMetadata, v)
	}
	if v.kind == Absent {
		v.kind = Null
	}
	*e.data.place(name, mark(name)) = v
	return nil
}

// RemoveField is Remove for a field at the top, by its plain name.
func (e *Event) RemoveField(name string) Value {
	if name == fieldMetadata {
		return e.Remove(refMetadata)
	}
	return e.data.delete(name, mark(name))
}

var (
	refTimestamp = newRef(fieldTimestamp, []string{fieldTimestamp})
	refTags      = newRef(fieldTags, []string{fieldTags})
	refMetadata  = newRef(fieldMetadata, []string{fieldMetadata})
)

// Timestamp gives @timestamp, in UTC; false if it was removed.
func (e *Event) Timestamp() (time.Time, bool) {
	i := e.data.find(fieldTimestamp, markTimestamp)
	if i < 0 || e.data.entries[i].Value.kind != Time {
		return time.Time{}, false
	}
	return e.data.entries[i].Value.Time(), true
}

// SetTimestamp sets @timestamp.
func (e *Event) SetTimestamp(t time.Time) {
	*e.data.place(fieldTimestamp, markTimestamp) = TimeValue(t)
}

// Cancel makes later filters and the outputs pass e by.
func (e *Event) Cancel() { e.cancelled = true }

// Uncancel takes Cancel back.
func (e *Event) Uncancel() { e.cancelled = false }

// Cancelled reports that e was cancelled.
func (e *Event) Cancelled() bool { return e.cancelled }

// Clone gives a copy that shares nothing that can be changed. As in Logstash it is not cancelled, and gets @version and a
// @timestamp of its own if e has none.
func (e *Event) Clone() *Event {
	c := &Event{}
	e.CopyTo(c)
	return c
}

// CopyTo makes c what Clone gives, with the room that c has.
func (e *Event) CopyTo(c *Event) {
	c.Reset()
	e.data.copyTo(&c.data, c.arena)
	e.meta.m.copyTo(&c.meta.m, c.arena)
	var now time.Time
	if c.data.find(fieldTimestamp, markTimestamp) < 0 {
		now = time.Now()
	}
	c.Complete(now)
}

// Join adds copies of all fields of another event, metadata included, behind those of e. If e has one of the same name at the
// top, it changes nothing and reports false.
func (e *Event) Join(other *Event) bool {
	for _, f := range other.data.entries {
		if e.data.Get(f.Key).Is() {
			return false
		}
	}
	for _, f := range other.meta.m.entries {
		if e.meta.m.Get(f.Key).Is() {
			return false
		}
	}
	for _, f := range other.data.entries {
		*e.data.add(f.Key, mark(f.Key)) = f.Value.clone(e.arena)
	}
	for _, f := range other.meta.m.entries {
		*e.meta.m.add(f.Key, mark(f.Key)) = f.Value.clone(e.arena)
	}
	return true
}

// Arena is where the maps and lists of e are; nil: each has room of its own.
func (e *Event) Arena() *Arena { return e.arena }

// Fields gives all fields but the metadata. What is set in them is not checked.
func (e *Event) Fields() *Fields { return &e.data }

// Metadata gives the metadata.
func (e *Event) Metadata() *Fields { return &e.meta.m }

// AppendJSON appends the fields as a JSON object, without the metadata.
func (e *Event) AppendJSON(dst []byte) []byte { return appendFields(dst, &e.data) }
