package archive

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"time"

	"github.com/narudata/naru/flow"
)

// A journal is the books of an archive: a header, then one entry per commit. Each is a line of JSON
//
//	{"crc":"0123abcd","seq":7,…}
//
// where crc is the CRC-32C of what follows its comma, up to the line break, and seq counts up from 0. Only the
// last line can be torn: it was never acknowledged, and is cut off.

type entry struct {
	Seq         int64             `json:"seq"`
	Header      *header           `json:"header,omitempty"` // of the line with seq 0
	Time        time.Time         `json:"time,omitzero"`
	Files       []File            `json:"files,omitempty"`
	Checkpoints []flow.Checkpoint `json:"checkpoints,omitempty"`
}

type header struct {
	Version int       `json:"version"`
	Mark    string    `json:"mark"` // in the name of each file of the archive
	Format  string    `json:"format"`
	Flow    string    `json:"flow"`
	Created time.Time `json:"created"`
}

// A File is one file of records, as the journal and the manifest name it.
type File struct {
	Path      string      `json:"path"` // relative to the archive, slash-separated
	Index     string      `json:"index,omitempty"`
	Dead      bool        `json:"dead,omitempty"` // of dead letters, of any index
	Records   int64       `json:"records"`
	Bodiless  int64       `json:"bodiless,omitempty"` // records among them without a body
	Bytes     int64       `json:"bytes"`              // size of the file
	BodyBytes int64       `json:"bodyBytes"`          // of the records' bodies
	Digest    flow.Digest `json:"digest"`             // of the records
	SHA256    string      `json:"sha256"`             // of the file
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	crcPrefix = `{"crc":"`
	crcLength = len(crcPrefix) + 8 + len(`",`)
)

func (e *entry) appendLine(dst []byte) ([]byte, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	body = body[1:] // its own brace is before the crc
	dst = fmt.Appendf(dst, crcPrefix+`%08x",`, crc32.Checksum(body, castagnoli))
	dst = append(dst, body...)
	return append(dst, '\n'), nil
}

// parseEntry reads a line without its line break.
func parseEntry(b []byte) (e entry, err error) {
	if len(b) < crcLength || !bytes.HasPrefix(b, []byte(crcPrefix)) || string(b[crcLength-2:crcLength]) != `",` {
		return e, errors.New("no checksum")
	}
	want := string(b[len(crcPrefix) : len(crcPrefix)+8])
	if got := fmt.Sprintf("%08x", crc32.Checksum(b[crcLength:], castagnoli)); got != want {
		return e, fmt.Errorf("checksum is %s, want %s", got, want)
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return e, err
	}
	return e, nil
}

// A history is what a journal says.
type history struct {
	header      header
	files       []File
	checkpoints map[string]flow.Checkpoint // the latest of each part
	seq         int64                      // of the next entry; 0: not even the header is there
	size        int64                      // of what is sound, in bytes
	torn        bool                       // something follows it
}

func (h *history) add(e *entry) {
	h.files = append(h.files, e.Files...)
	for _, c := range e.Checkpoints {
		h.checkpoints[c.Part] = c
	}
	h.seq++
}

// readJournal reads a journal; an absent one is empty. A bad line that is not the last is ErrDamaged.
func readJournal(path string) (*history, error) {
	h := &history{checkpoints: map[string]flow.Checkpoint{}}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	r := bufio.NewReaderSize(f, 1<<20)
	for {
		b, err := r.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if len(b) == 0 {
			return h, nil
		}
		whole := err == nil
		var e entry
		if whole {
			e, err = parseEntry(b[:len(b)-1])
		}
		if err == nil && (e.Seq != h.seq || (e.Header != nil) != (h.seq == 0)) {
			err = fmt.Errorf("entry %d is where entry %d belongs", e.Seq, h.seq)
		}
		if err != nil {
			if _, more := r.ReadByte(); whole && more == nil {
				return nil, fmt.Errorf("%w: %s: line %d: %w", ErrDamaged, path, h.seq+1, err)
			}
			h.torn = true
			return h, nil
		}
		if e.Header != nil {
			h.header = *e.Header
			if h.header.Version != version {
				return nil, fmt.Errorf("%s: version %d of the archive; this naru knows %d", path, h.header.Version, version)
			}
		}
		h.add(&e)
		h.size += int64(len(b))
	}
}

// A journal is open for appending. Its methods are not called concurrently.
type journal struct {
	f   *file
	seq int64
	err error // once set, what is on disk is not known any more
}

// openJournal opens the file for appending after what h has found sound, and cuts off the rest.
func openJournal(d *disk, h *history) (*journal, error) {
	j := &journal{f: &file{d: d, name: journalName, size: h.size}, seq: h.seq}
	err := d.step(opCreate, journalName, "", func() (err error) {
		j.f.f, err = os.OpenFile(d.path(journalName), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644) //nolint:gosec // G302: archives are for people to read
		return err
	})
	if err != nil {
		return nil, err
	}
	if h.torn {
		if err := j.cut(h.size); err != nil {
			return nil, errors.Join(err, j.f.close())
		}
	}
	return j, nil
}

// append makes e durable. After an error the journal is as before, or unusable.
func (j *journal) append(e *entry) error {
	if j.err != nil {
		return j.err
	}
	e.Seq = j.seq
	b, err := e.appendLine(nil)
	if err != nil {
		return err
	}
	before := j.f.size
	if _, err = j.f.Write(b); err == nil {
		err = j.f.sync()
	}
	if err != nil {
		err = fmt.Errorf("append to the journal: %w", err)
		if cerr := j.cut(before); cerr != nil {
			j.err = fmt.Errorf("the journal is in doubt until the archive is opened again: %w", errors.Join(err, cerr))
			return j.err
		}
		return err
	}
	j.seq++
	return nil
}

func (j *journal) cut(size int64) error {
	if err := j.f.truncate(size); err != nil {
		return fmt.Errorf("cut the journal back to %d bytes: %w", size, err)
	}
	if err := j.f.sync(); err != nil {
		return fmt.Errorf("cut the journal back to %d bytes: %w", size, err)
	}
	return nil
}
