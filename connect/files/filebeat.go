package files

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A FilebeatState is what Filebeat knows of a file.
type FilebeatState struct {
	Key      string // in its registry
	Input    string // "log" (also container, docker) or "filestream"
	InputID  string // of a filestream input; of a log input, the hash of its stream, if it has one
	Identity string // native, fingerprint, path, inode_marker
	Source   string // the path
	ID       ID     // with the identity native
	Sum      string // with the identity fingerprint: SHA-256 in hexadecimal
	Offset   int64
	EOF      bool // of a compressed file: it was read to its end
	Updated  time.Time
}

// Entry gives what a registry of this package keeps of the file. With the identity fingerprint, from and length say which
// bytes it was made of (fingerprint.offset and fingerprint.length; 0, 0: the usual first 1024). false: it cannot be known
// again (inode_marker; a fingerprint of another kind).
func (s *FilebeatState) Entry(from, length int64) (Entry, bool) {
	e := Entry{Path: s.Source, Position: Position{Offset: s.Offset}, Seen: s.Updated, Imported: true}
	// A fingerprint of a compressed file is one of what it holds: such a file is read again.
	e.Archive = s.EOF
	if length == 0 {
		length = 1024
	}
	switch s.Identity {
	case "native":
		e.ID = s.ID
		return e, s.ID.Inode != 0
	case "path":
		return e, s.Source != ""
	case "fingerprint":
		sum, err := hex.DecodeString(s.Sum)
		if err != nil || len(sum) != len(e.Head.Sum) || length > maxHead || length < 0 || from < 0 {
			return e, false
		}
		e.Head = Head{From: from, Bytes: length}
		copy(e.Head.Sum[:], sum)
		return e, true
	}
	return e, false
}

// maxFilebeatFile bounds a file of a Filebeat registry, in bytes.
const maxFilebeatFile = 1 << 30

// ReadFilebeat reads a registry of Filebeat: the folder path.data/registry/filebeat with its checkpoint and log.json, path.data
// or path.data/registry themselves, or the data.json of versions before 7.9. torn says that the end of the log cannot be
// read, as after a crash: what was there before counts, as it does for Filebeat.
//
// Source: the layout of libbeat's memlog store: N.json is an array of objects with _key, the state after operation N; each
// operation in log.json is two objects, {"op":"set"|"remove","id":n} and {"k":key,"v":value}; active.dat names the checkpoint
// that counts.
func ReadFilebeat(path string) (states []FilebeatState, torn bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, err
	}
	all := map[string]filebeatValue{}
	if !info.IsDir() {
		if err := readWith(path, func(r io.Reader) error { return parseFilebeatCheckpoint(r, all) }); err != nil {
			return nil, false, err
		}
		return filebeatStates(all), false, nil
	}
	dir, err := filebeatDir(path)
	if err != nil {
		return nil, false, err
	}
	checkpoint, last, err := filebeatCheckpoint(dir)
	if err != nil {
		return nil, false, err
	}
	if checkpoint != "" {
		if err := readWith(checkpoint, func(r io.Reader) error { return parseFilebeatCheckpoint(r, all) }); err != nil {
			return nil, false, err
		}
	}
	err = readWith(filepath.Join(dir, "log.json"), func(r io.Reader) error {
		torn = !parseFilebeatLog(r, last, all)
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, err
	}
	return filebeatStates(all), torn, nil
}

// filebeatDir finds the folder of the store.
func filebeatDir(path string) (string, error) {
	for _, below := range []string{"", "filebeat", filepath.Join("registry", "filebeat")} {
		dir := filepath.Join(path, below)
		for _, name := range []string{"log.json", "active.dat", "meta.json"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil && (name != "meta.json" || below != "" || filepath.Base(dir) == "filebeat") {
				return dir, nil
			}
		}
	}
	return "", fmt.Errorf("%s: no registry of Filebeat: expected log.json or active.dat in it, or in registry/filebeat below it", path)
}

// filebeatCheckpoint gives the checkpoint that counts, and the number of the last operation in it; "": there is none.
func filebeatCheckpoint(dir string) (path string, last uint64, err error) {
	if text, err := os.ReadFile(filepath.Join(dir, "active.dat")); err == nil {
		name := filepath.Base(strings.ReplaceAll(strings.TrimSpace(string(text)), `\`, "/")) // it may have been moved with its folder
		if n, ok := checkpointNumber(name); ok {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				return filepath.Join(dir, name), n, nil
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "data.json")); err == nil {
		path = filepath.Join(dir, "data.json") // not taken over by a newer version yet
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", 0, err
	}
	for _, e := range entries {
		if n, ok := checkpointNumber(e.Name()); ok && n >= last {
			path, last = filepath.Join(dir, e.Name()), n
		}
	}
	return path, last, nil
}

func checkpointNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, ".json")
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, ok && err == nil
}

func readWith(path string, read func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	limited := &io.LimitedReader{R: f, N: maxFilebeatFile}
	if err = read(bufio.NewReaderSize(limited, 64<<10)); err == nil && limited.N == 0 {
		err = fmt.Errorf("it is larger than %d bytes", maxFilebeatFile)
	}
	if err != nil {
		err = fmt.Errorf("read Filebeat's registry %s: %w", path, err)
	}
	return errors.Join(err, f.Close())
}

// filebeatValue is what both inputs keep. Numbers may have an exponent, as of 7.9.
type filebeatValue struct {
	Key            string          `json:"_key"`
	Source         string          `json:"source"`
	Offset         json.Number     `json:"offset"`
	TTL            json.Number     `json:"ttl"`
	IdentifierName string          `json:"identifier_name"`
	Timestamp      json.RawMessage `json:"timestamp"`
	Updated        json.RawMessage `json:"updated"`
	FileStateOS    *struct {
		Inode  json.Number `json:"inode"`
		Device json.Number `json:"device"`
	} `json:"FileStateOS"`
	Cursor *struct {
		Offset json.Number `json:"offset"`
		EOF    bool        `json:"eof"`
	} `json:"cursor"`
	Meta json.RawMessage `json:"meta"`
}

// parseFilebeatCheckpoint reads an array of states.
func parseFilebeatCheckpoint(r io.Reader, into map[string]filebeatValue) error {
	d := json.NewDecoder(r)
	if t, err := d.Token(); err != nil {
		if errors.Is(err, io.EOF) {
			return nil // empty
		}
		return err
	} else if t != json.Delim('[') {
		return fmt.Errorf("expected a list, found %v", t)
	}
	for n := 0; d.More(); n++ {
		var v filebeatValue
		if err := d.Decode(&v); err != nil {
			if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
				continue // not the state of a file
			}
			return err
		}
		if v.Key == "" && v.Source != "" { // before 7.9
			v.Key = fmt.Sprintf("filebeat::logs::old::%d", n)
		}
		into[v.Key] = v
	}
	_, err := d.Token()
	return err
}

// parseFilebeatLog applies the operations behind the last one of the checkpoint. false: it ended within one.
func parseFilebeatLog(r io.Reader, last uint64, into map[string]filebeatValue) bool {
	d := json.NewDecoder(r)
	for {
		var op struct {
			Op string      `json:"op"`
			ID json.Number `json:"id"`
		}
		if err := d.Decode(&op); err != nil {
			return errors.Is(err, io.EOF)
		}
		var change struct {
			K string          `json:"k"`
			V json.RawMessage `json:"v"`
		}
		if err := d.Decode(&change); err != nil {
			return false
		}
		id, err := strconv.ParseUint(op.ID.String(), 10, 64)
		if err != nil {
			return false
		}
		if id <= last {
			continue
		}
		switch op.Op {
		case "set":
			var v filebeatValue
			if len(change.V) > 0 && json.Unmarshal(change.V, &v) != nil {
				delete(into, change.K) // not the state of a file
				continue
			}
			v.Key = change.K
			into[change.K] = v
		case "remove":
			delete(into, change.K)
		default:
			return false
		}
	}
}

// filebeatStates makes states of what the registry has, by key. What is to be removed is left out.
func filebeatStates(all map[string]filebeatValue) []FilebeatState {
	var states []FilebeatState
	for key, v := range all {
		if s, ok := v.state(key); ok {
			states = append(states, s)
		}
	}
	slices.SortFunc(states, func(a, b FilebeatState) int { return strings.Compare(a.Key, b.Key) })
	return states
}

func (v *filebeatValue) state(key string) (FilebeatState, bool) {
	s := FilebeatState{Key: key, Source: v.Source}
	if v.TTL != "" && whole(v.TTL) == 0 {
		return s, false
	}
	var meta struct {
		Source         string `json:"source"`
		IdentifierName string `json:"identifier_name"`
	}
	name := v.IdentifierName
	var rest string
	var ok bool
	switch {
	case strings.HasPrefix(key, "filebeat::logs::"):
		s.Input, s.Offset, s.Updated = "log", whole(v.Offset), timeOf(v.Timestamp)
		rest = strings.TrimPrefix(key, "filebeat::logs::")
		if hash, after, found := strings.Cut(rest, "-"); found && isHex(hash) && !strings.Contains(hash, "::") {
			s.InputID, rest = hash, after
		}
		if s.Identity, rest, ok = strings.Cut(rest, "::"); !ok {
			return s, false
		}
		if s.Identity == "old" {
			s.Identity, rest = "native", ""
		}
	case strings.HasPrefix(key, "filestream::"):
		// What meta cannot be is left empty: the key has it, too.
		_ = json.Unmarshal(v.Meta, &meta)
		s.Input, s.Updated = "filestream", timeOf(v.Updated)
		if meta.Source != "" {
			s.Source = meta.Source
		}
		if meta.IdentifierName != "" {
			name = meta.IdentifierName
		}
		if v.Cursor != nil {
			s.Offset, s.EOF = whole(v.Cursor.Offset), v.Cursor.EOF
		}
		rest = strings.TrimPrefix(key, "filestream::")
		names := []string{name, "native", "fingerprint", "path", "inode_marker"}
		for _, n := range names {
			if n == "" {
				continue
			}
			if i := strings.Index(rest, "::"+n+"::"); i >= 0 {
				s.InputID, s.Identity, rest = rest[:i], n, rest[i+len(n)+4:]
				break
			}
		}
	default:
		return s, false
	}
	switch s.Identity {
	case "native":
		inode, device, found := strings.Cut(rest, "-")
		device, _, _ = strings.Cut(device, "-") // and, perhaps, the stream
		if !found || !numbers([]string{inode, device}, &s.ID.Inode, &s.ID.Device) {
			if v.FileStateOS == nil {
				return s, false
			}
			s.ID = ID{Inode: uint64(whole(v.FileStateOS.Inode)), Device: uint64(whole(v.FileStateOS.Device))}
		}
	case "fingerprint":
		s.Sum, _, _ = strings.Cut(rest, "-")
	case "path":
		if s.Source == "" {
			s.Source = rest
		}
	case "":
		return s, false
	}
	return s, s.Offset >= 0
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && s != ""
}

// whole reads a number that may be written with an exponent; -1 if it is none.
func whole(n json.Number) int64 {
	if n == "" {
		return 0
	}
	if i, err := n.Int64(); err == nil {
		return i
	}
	f, err := n.Float64()
	if err != nil || f < 0 || f >= 1<<63 {
		return -1
	}
	return int64(f)
}

// timeOf reads a time: [x, unix seconds], or text.
func timeOf(raw json.RawMessage) time.Time {
	var pair []json.Number
	if json.Unmarshal(raw, &pair) == nil && len(pair) == 2 {
		if s := whole(pair[1]); s > 0 && s < 1<<40 {
			return time.Unix(s, 0)
		}
		return time.Time{}
	}
	var t time.Time
	if json.Unmarshal(raw, &t) != nil {
		return time.Time{}
	}
	return t
}
