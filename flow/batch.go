package flow

import (
	"slices"
	"unsafe"
)

// A Batch is the unit of work, of acknowledgement and of memory. A reader appends to Records; the bytes of
// the records live in the batch's arena.
type Batch struct {
	Records []Record
	Next    Position // where reading goes on after this batch

	// Full when reached; 0: no bound. A batch goes past them by what its reader decodes in one piece.
	MaxRecords int
	MaxBytes   int

	blocks [][]byte // arena; the last one is being filled
	free   [][]byte // blocks kept from before Reset
	bytes  int
}

// arenaBlock is the size of an arena block in bytes; a larger request gets a block of its own.
const arenaBlock = 256 << 10

// Alloc returns n bytes of the batch's arena, valid until Reset. Their contents are undefined.
func (b *Batch) Alloc(n int) []byte {
	b.bytes += n
	if last := len(b.blocks) - 1; last >= 0 {
		if block := b.blocks[last]; cap(block)-len(block) >= n {
			b.blocks[last] = block[:len(block)+n]
			return block[len(block) : len(block)+n : len(block)+n]
		}
	}
	block := b.block(n)[:n]
	b.blocks = append(b.blocks, block)
	return block[:n:n]
}

// block gives an empty block of at least n bytes.
func (b *Batch) block(n int) []byte {
	for i := len(b.free) - 1; i >= 0; i-- {
		if block := b.free[i]; cap(block) >= n {
			b.free = slices.Delete(b.free, i, i+1)
			return block
		}
	}
	return make([]byte, 0, max(n, arenaBlock))
}

// Copy returns a copy of p in the batch's arena.
func (b *Batch) Copy(p []byte) []byte {
	c := b.Alloc(len(p))
	copy(c, p)
	return c
}

// Bytes is what the arena holds: the batch's weight in the engine's byte budget.
func (b *Batch) Bytes() int { return b.bytes }

// Kept is about what an empty batch holds of memory for its next records.
func (b *Batch) Kept() int {
	n := cap(b.Records) * recordBytes
	for _, block := range b.free {
		n += cap(block)
	}
	return n
}

// recordBytes is what a Record takes beside its bytes.
const recordBytes = int(unsafe.Sizeof(Record{}))

// Full reports that a reader should stop filling b.
func (b *Batch) Full() bool {
	return b.MaxRecords > 0 && len(b.Records) >= b.MaxRecords || b.MaxBytes > 0 && b.bytes >= b.MaxBytes
}

// keepBytes is how much of its arena a batch keeps over Reset, so that one giant record does not pin its memory.
const keepBytes = 8 << 20

// Reset empties b for reuse. Records and their bytes are no longer valid.
func (b *Batch) Reset() {
	kept := 0
	for _, block := range b.free {
		kept += cap(block)
	}
	for _, block := range b.blocks {
		if kept+cap(block) <= keepBytes {
			kept += cap(block)
			b.free = append(b.free, block[:0])
		}
	}
	clear(b.blocks)
	b.blocks = b.blocks[:0]
	clear(b.Records)
	b.Records = b.Records[:0]
	b.Next = nil
	b.bytes = 0
}
