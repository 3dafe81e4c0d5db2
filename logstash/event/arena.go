package event

// An Arena is where events have their maps, their lists and texts that are made, so that a worker needs no new ones for each
// batch. Release takes all of
// them back at once. The zero Arena is ready; a nil one gives each map and list room of its own. It is not safe for concurrent
// use: each worker has its own.
//
// What an event of an arena gives, be it a Value or a part of one, is valid until Release. Whoever keeps a Value longer keeps
// what Own gives, and of a string strings.Clone. A Value that Clone gives has maps and lists of its own, but still strings of
// the batch.
type Arena struct {
	chunks [][]node
	used   int
	text   []byte // texts of the batch, one behind another; those that were in it before it became larger are elsewhere

	// Spoil makes Release overwrite what it takes back, and never give it again: for tests, which see what was kept too long.
	Spoil bool
}

// How much room an arena keeps over Release, and in a map or list of it.
const (
	chunkNodes  = 64
	firstText   = 4 << 10
	keptText    = 1 << 20
	keptNodes   = 128 * chunkNodes
	keptMembers = 256
)

// Event gives an event without fields, whose maps and lists are in the arena.
func (a *Arena) Event() *Event { return &Event{arena: a} }

// node gives an empty node.
func (a *Arena) node() *node {
	if a == nil {
		return &node{}
	}
	chunk := a.used / chunkNodes
	if chunk == len(a.chunks) {
		a.chunks = append(a.chunks, make([]node, chunkNodes))
	}
	n := &a.chunks[chunk][a.used%chunkNodes]
	a.used++
	n.empty()
	return n
}

// mapValue is MapValue in the arena.
func (a *Arena) mapValue() Value { return Value{kind: Map, node: a.node()} }

// empty removes what n has, and keeps the room.
func (n *node) empty() {
	n.big = nil
	if n.foreign || cap(n.list) > keptMembers {
		n.list, n.foreign = nil, false
	}
	clear(n.list)
	n.list = n.list[:0]
	if cap(n.m.entries) > keptMembers {
		n.m = Fields{}
	}
	n.m.Reset()
}

// Release takes back all maps and lists that the arena gave: nothing refers to them any more.
func (a *Arena) Release() {
	used := a.used
	a.used = 0
	if a.Spoil {
		a.text = a.text[:cap(a.text)]
		for i := range a.text {
			a.text[i] = '#'
		}
		a.text = nil
		for i := range used {
			a.chunks[i/chunkNodes][i%chunkNodes].spoil()
		}
		a.chunks = nil
		return
	}
	if a.text = a.text[:0]; cap(a.text) > keptText {
		a.text = nil
	}
	if used > keptNodes {
		a.chunks = append([][]node(nil), a.chunks[:keptNodes/chunkNodes]...)
	}
}

// Spoiled is what is found in what was kept too long, see Arena.Spoil.
const Spoiled = "kept longer than its batch"

func (n *node) spoil() {
	bad := StringValue(Spoiled)
	if !n.foreign {
		n.list = n.list[:cap(n.list)]
		for i := range n.list {
			n.list[i] = bad
		}
	}
	n.list = []Value{bad}
	n.m.spoil()
	n.big = nil
}

func (f *Fields) spoil() {
	f.entries = f.entries[:cap(f.entries)]
	for i := range f.entries {
		f.entries[i] = Entry{Spoiled, StringValue(Spoiled)}
	}
	*f = Fields{}
	f.Set(Spoiled, StringValue(Spoiled))
}

// Spoil overwrites e, which is not used any more: for tests, as Arena.Spoil.
func (e *Event) Spoil() {
	e.data.spoil()
	e.meta.m.spoil()
	e.cancelled = true
}
