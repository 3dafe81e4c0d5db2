package lumberjack

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/zlib"
)

// AppendWindow appends the beginning of a window of so many events.
func AppendWindow(dst []byte, version byte, events uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, version, byte(Window)), events)
}

// AppendAck appends an acknowledgement.
func AppendAck(dst []byte, version byte, sequence uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, version, byte(Ack)), sequence)
}

// AppendJSON appends an event of version 2. The object must be shorter than 4 GiB.
func AppendJSON(dst []byte, sequence uint32, object []byte) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, V2, byte(JSON)), sequence)
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(object))), object...) //nolint:gosec // see above
}

// AppendData appends an event of version 1. It must be shorter than 4 GiB.
func AppendData(dst []byte, sequence uint32, pairs []Pair) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, V1, byte(Data)), sequence)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(pairs))) //nolint:gosec // see above
	for _, p := range pairs {
		dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(p.Key))), p.Key...)     //nolint:gosec // see above
		dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(p.Value))), p.Value...) //nolint:gosec // see above
	}
	return dst
}

// A Deflater makes compressed frames. The zero Deflater has the level 1. It is not safe for concurrent use.
type Deflater struct {
	Level int // 1 (fast) to 9 (small)
	w     *zlib.Writer
	out   appender
}

// appender appends what is written to a slice.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

var _ io.Writer = (*appender)(nil)

// Append appends frames as one compressed frame.
func (d *Deflater) Append(dst []byte, version byte, frames []byte) ([]byte, error) {
	d.out.b = append(dst, version, byte(Compressed), 0, 0, 0, 0)
	start := len(d.out.b)
	if d.w == nil {
		w, err := zlib.NewWriterLevel(&d.out, max(d.Level, 1))
		if err != nil {
			return dst, fmt.Errorf("compress frames: %w", err)
		}
		d.w = w
	} else {
		d.w.Reset(&d.out)
	}
	if _, err := d.w.Write(frames); err != nil {
		return dst, fmt.Errorf("compress frames: %w", err)
	}
	if err := d.w.Close(); err != nil {
		return dst, fmt.Errorf("compress frames: %w", err)
	}
	out := d.out.b
	d.out.b = nil
	if len(out)-start > math.MaxUint32 {
		return dst, fmt.Errorf("%w: %d compressed bytes", ErrLimit, len(out)-start)
	}
	binary.BigEndian.PutUint32(out[start-4:], uint32(len(out)-start)) //nolint:gosec // checked above
	return out, nil
}
