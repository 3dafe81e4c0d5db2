package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

const checkpointName = "checkpoint"

// syncEvery is how old a checkpoint on the disk may be.
const syncEvery = time.Second

// A checkpoint says what is acknowledged. Its methods are called one at a time.
type checkpoint struct {
	file       file
	generation uint64
	saved      uint64    // what the last slot says
	synced     uint64    // what the disk has for sure
	at         time.Time // when it was synced
}

// openCheckpoint reads the checkpoint, and makes one if there is none. found is false if none of its slots can be read;
// damaged, if one cannot that was written.
func openCheckpoint(d disk) (c checkpoint, found, damaged bool, err error) {
	sizes, err := d.list()
	if err != nil {
		return c, false, false, err
	}
	if _, ok := sizes[checkpointName]; !ok {
		if c.file, err = d.create(checkpointName); err != nil {
			return c, false, false, err
		}
		return c, false, false, nil
	}
	if c.file, err = d.open(checkpointName); err != nil {
		return c, false, false, err
	}
	var b [checkpointSize]byte
	n, err := c.file.ReadAt(b[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return c, false, false, fmt.Errorf("read the checkpoint: %w", err)
	}
	clear(b[n:])
	for _, at := range []int{0, slotAt} {
		generation, acked, err := parseSlot(b[at : at+slotBytes])
		switch {
		case errors.Is(err, errNoSlot):
		case errors.Is(err, ErrCorrupt):
			damaged = true
		case err != nil:
			return c, false, false, err
		case !found || generation > c.generation:
			found, c.generation, c.saved = true, generation, acked
		}
	}
	return c, found, damaged, nil
}

var errNoSlot = errors.New("the slot was never written")

func parseSlot(b []byte) (generation, acked uint64, err error) {
	if [slotBytes]byte(b) == [slotBytes]byte{} {
		return 0, 0, errNoSlot
	}
	if string(b[:8]) != checkpointMagic || binary.LittleEndian.Uint32(b[12:]) != headSum(b) {
		return 0, 0, ErrCorrupt
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return 0, 0, fmt.Errorf("the checkpoint has version %d of the format; this program knows version %d", v, version)
	}
	return binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:]), nil
}

func appendSlot(b []byte, generation, acked uint64) []byte {
	start := len(b)
	b = append(b, checkpointMagic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, generation)
	b = binary.LittleEndian.AppendUint64(b, acked)
	binary.LittleEndian.PutUint32(b[start+12:], headSum(b[start:]))
	return b
}

// save writes what is acknowledged, and makes it durable if it must be or was not for a while.
func (c *checkpoint) save(acked uint64, now bool) error {
	if acked != c.saved || c.generation == 0 {
		generation := c.generation + 1
		if _, err := c.file.WriteAt(appendSlot(nil, generation, acked), int64(generation%2)*slotAt); err != nil {
			return fmt.Errorf("write the checkpoint: %w", err)
		}
		c.generation, c.saved = generation, acked
	}
	if c.synced == c.saved && !c.at.IsZero() || !now && time.Since(c.at) < syncEvery {
		return nil
	}
	if err := c.file.Sync(); err != nil {
		return fmt.Errorf("sync the checkpoint: %w", err)
	}
	c.synced, c.at = c.saved, time.Now()
	return nil
}

func (c *checkpoint) close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}
