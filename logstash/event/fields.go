package event

import "math/bits"

// Fields are the members of a map, in the order they were set. The zero Fields are empty.
//
// A map has few members mostly: each has a byte that is made of its key, and eight of these bytes are looked at together.
// A map with more than fewFields members has an index beside.
type Fields struct {
	entries []Entry
	marks   [fewFields / 8]uint64 // the mark of entry i is byte i; meaningless if there is an index
	index   *index
}

// An Entry is a member of a map.
type Entry struct {
	Key   string
	Value Value
}

const fewFields = 24

// An index finds the members of a large map. A member stands where it says or up to deleted places before.
type index struct {
	at      map[string]int
	deleted int
}

// mostDeleted is how many members may be deleted before the index is made again.
const mostDeleted = 32

// mark gives the byte that members are searched by; never 0, which is for places that are free.
func mark(key string) uint8 {
	n := len(key)
	if n == 0 {
		return 1
	}
	m := uint8(n)*0x9d + key[0]*0x3b + key[n-1]*0x71 + key[n>>1]*0x15
	if m == 0 {
		return 1
	}
	return m
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// find gives the place of a member, -1 if there is none.
func (f *Fields) find(key string, mark uint8) int {
	if f.index != nil {
		return f.findIndexed(key)
	}
	n := len(f.entries)
	same := uint64(mark) * ones
	for w := 0; w*8 < n; w++ {
		x := f.marks[w] ^ same
		// The lowest byte found is right, those above may be wrong: the keys decide.
		for found := (x - ones) &^ x & highs; found != 0; found &= found - 1 {
			if i := w*8 + bits.TrailingZeros64(found)>>3; i < n && f.entries[i].Key == key {
				return i
			}
		}
	}
	return -1
}

func (f *Fields) findIndexed(key string) int {
	at, ok := f.index.at[key]
	if !ok {
		return -1
	}
	for i := min(at, len(f.entries)-1); i >= max(0, at-f.index.deleted); i-- {
		if f.entries[i].Key == key {
			return i
		}
	}
	return -1
}

func (f *Fields) makeIndex() {
	f.index = &index{at: make(map[string]int, 2*len(f.entries))}
	for i := range f.entries {
		f.index.at[f.entries[i].Key] = i
	}
}

// add appends a member that is not there yet, and gives the place for its value.
func (f *Fields) add(key string, mark uint8) *Value {
	n := len(f.entries)
	if n == cap(f.entries) {
		f.grow()
	}
	f.entries = f.entries[:n+1]
	e := &f.entries[n]
	e.Key = key
	if n < fewFields && f.index == nil {
		f.marks[n>>3] |= uint64(mark) << (n & 7 * 8)
	} else {
		f.addIndex(key, n)
	}
	return &e.Value
}

func (f *Fields) addIndex(key string, n int) {
	if f.index == nil {
		f.makeIndex()
	} else {
		f.index.at[key] = n
	}
}

func (f *Fields) grow() {
	grown := make([]Entry, len(f.entries), max(4, 2*len(f.entries)))
	copy(grown, f.entries)
	f.entries = grown
}

// place gives the place for a member's value; the member is there afterwards. (A value that is written there is copied once,
// one that is passed on several times.)
func (f *Fields) place(key string, mark uint8) *Value {
	if i := f.find(key, mark); i >= 0 {
		return &f.entries[i].Value
	}
	return f.add(key, mark)
}

func (f *Fields) delete(key string, mark uint8) Value {
	i := f.find(key, mark)
	if i < 0 {
		return Value{}
	}
	v := f.entries[i].Value
	last := len(f.entries) - 1
	copy(f.entries[i:], f.entries[i+1:])
	f.entries[last] = Entry{}
	f.entries = f.entries[:last]
	if f.index != nil {
		delete(f.index.at, key)
		if f.index.deleted++; f.index.deleted > mostDeleted {
			f.makeIndex()
		}
		return v
	}
	w := i >> 3
	below := uint64(1)<<(i&7*8) - 1
	f.marks[w] = f.marks[w]&below | f.marks[w]>>8&^below
	for ; w+1 < len(f.marks); w++ {
		f.marks[w] |= f.marks[w+1] << 56
		f.marks[w+1] >>= 8
	}
	return v
}

// Len is how many members there are.
func (f *Fields) Len() int { return len(f.entries) }

// Entries are the members. Keys must not be changed.
func (f *Fields) Entries() []Entry { return f.entries }

// Get gives a member; Absent if there is none.
func (f *Fields) Get(key string) Value {
	if i := f.find(key, mark(key)); i >= 0 {
		return f.entries[i].Value
	}
	return Value{}
}

// At gives the place of a member's value, valid until the next Set or Delete; nil if there is none.
func (f *Fields) At(key string) *Value {
	if i := f.find(key, mark(key)); i >= 0 {
		return &f.entries[i].Value
	}
	return nil
}

// Set gives a member a value.
func (f *Fields) Set(key string, v Value) { *f.place(key, mark(key)) = v }

// Delete removes a member and gives its value; Absent if there was none.
func (f *Fields) Delete(key string) Value { return f.delete(key, mark(key)) }

// Reset removes all members and keeps their room.
func (f *Fields) Reset() {
	clear(f.entries)
	f.entries = f.entries[:0]
	f.marks = [fewFields / 8]uint64{}
	f.index = nil
}

// Clone gives a copy that shares nothing that can be changed.
func (f *Fields) Clone() Fields {
	var c Fields
	f.copyTo(&c, nil)
	return c
}

// copyTo makes c, which is empty, a copy that shares nothing that can be changed. It uses the room that c has, and that of an
// arena.
func (f *Fields) copyTo(c *Fields, in *Arena) {
	if cap(c.entries) < len(f.entries) {
		c.entries = make([]Entry, 0, len(f.entries))
	}
	c.entries = c.entries[:len(f.entries)]
	for i := range f.entries {
		c.entries[i] = Entry{f.entries[i].Key, f.entries[i].Value.clone(in)}
	}
	c.marks = f.marks
	if f.index != nil {
		c.makeIndex()
	}
}
