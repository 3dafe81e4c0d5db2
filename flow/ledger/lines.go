package ledger

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/narudata/naru/flow"
)

// A ledger file is lines of text:
//
//	CRC-32C of the JSON, 8 hexadecimal digits | space | JSON | line feed
//
// The first line's JSON is a header, each other one's an array of checkpoints that were saved in one step.
// Later checkpoints of a part replace earlier ones.
type header struct {
	Ledger  string `json:"ledger"` // "naru"
	Version int    `json:"version"`
	Subject string `json:"subject,omitempty"`
}

const (
	magic       = "naru"
	version     = 1
	longestLine = 64 << 20 // bytes; a longer one cannot be of our making
)

// ErrCorrupt says that a file is no ledger, or a damaged one.
var ErrCorrupt = errors.New("the ledger is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendLine appends v as a line.
func appendLine(b []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return b, err
	}
	if len(text) > longestLine-10 {
		return b, fmt.Errorf("checkpoints of %d bytes are too large to save in one step", len(text))
	}
	b = fmt.Appendf(b, "%08x ", crc32.Checksum(text, castagnoli))
	b = append(b, text...)
	return append(b, '\n'), nil
}

// parseLine gives the JSON of a line without its line feed, if its checksum is right.
func parseLine(line []byte) ([]byte, bool) {
	if len(line) < 9 || line[8] != ' ' {
		return nil, false
	}
	var sum [4]byte
	if _, err := hex.Decode(sum[:], line[:8]); err != nil {
		return nil, false
	}
	want := uint32(sum[0])<<24 | uint32(sum[1])<<16 | uint32(sum[2])<<8 | uint32(sum[3])
	return line[9:], crc32.Checksum(line[9:], castagnoli) == want
}

// replay reads a ledger file and gives each line's checkpoints to apply. It returns the header, and where
// the file's good lines end: a last line that is not whole was being written when the process died, and was
// never said to be saved. An empty file, or one that ends within its header, gives a zero header.
func replay(r io.Reader, name string, apply func(cs []flow.Checkpoint, size int)) (h header, good int64, err error) {
	br := bufio.NewReaderSize(r, 64<<10)
	for number := 1; ; number++ {
		line, err := readLine(br)
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return h, good, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return h, good, fmt.Errorf("%s:%d: %w", name, number, err)
		}
		whole := err == nil
		text, ok := parseLine(bytes.TrimSuffix(line, []byte("\n")))
		switch {
		case number == 1 && !whole && isHeaderPrefix(line):
			return header{}, 0, nil
		case number == 1 && (!whole || !ok || json.Unmarshal(text, &h) != nil || h.Ledger != magic):
			return h, 0, fmt.Errorf("%s is not a ledger: %w", name, ErrCorrupt)
		case number == 1 && h.Version != version:
			return h, 0, fmt.Errorf("%s is a ledger of version %d; this program knows version %d", name, h.Version, version)
		case number > 1 && (!whole || !ok):
			if _, err := br.Peek(1); err == io.EOF {
				return h, good, nil
			}
			return h, good, fmt.Errorf("%s:%d: checksum does not match: %w; restore the file, or move it away to begin anew", name, number, ErrCorrupt)
		case number > 1:
			var cs []flow.Checkpoint
			if err := json.Unmarshal(text, &cs); err != nil {
				return h, good, fmt.Errorf("%s:%d: %w: %w", name, number, ErrCorrupt, err)
			}
			apply(cs, len(line))
		}
		good += int64(len(line))
	}
}

// readLine reads a line with its line feed; io.EOF comes with a last one that has none.
func readLine(br *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := br.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
		if len(line) > longestLine {
			return nil, fmt.Errorf("%w: a line of more than %d bytes", ErrCorrupt, longestLine)
		}
	}
}

// isHeaderPrefix reports that line may be the beginning of a header that was being written.
func isHeaderPrefix(line []byte) bool {
	const begin = `{"ledger":"naru",`
	for _, c := range line[:min(len(line), 8)] {
		if !bytes.ContainsRune([]byte("0123456789abcdef"), rune(c)) {
			return false
		}
	}
	if len(line) <= 8 {
		return true
	}
	rest := line[9:]
	return line[8] == ' ' && bytes.Equal(rest[:min(len(rest), len(begin))], []byte(begin)[:min(len(rest), len(begin))])
}
