package archive

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/narudata/naru/document"
	"github.com/narudata/naru/flow"
)

// A Letter is a dead letter.
type Letter struct {
	flow.Record           // its bytes are its own
	Address     string    // names it among all of its place: "20240501T101112-0a1b2c3d.ndjson.zst:17"
	Reason      string    // why the record was not delivered
	ReasonType  string    // what its sink calls that; "": nothing
	At          time.Time // when; zero: not known
	Done        bool      // it was carried again
}

// DeadOptions choose dead letters. The zero value chooses all that are not done.
type DeadOptions struct {
	Indices flow.Patterns // of records
	Reason  string        // a part of the reason
	Address string        // of one letter, or the id of its record
	Done    bool          // also those that were carried again
}

func (o *DeadOptions) chosen(l *Letter) bool {
	return (o.Done || !l.Done) && o.Indices.Match(l.Index) &&
		(o.Reason == "" || strings.Contains(l.Reason, o.Reason)) &&
		(o.Address == "" || o.Address == l.Address || o.Address == string(l.Key))
}

// DeadLetters are those at a place: a DeadStore's directory, an archive, or the _dead folder of one. They are a
// source, so that they can be carried again: its parts are the files, a position is a number of letters in one. What is
// acknowledged to a reader is noted as done, on the disk when Ack returns, and is not given by a source that is opened
// later. A process that dies before that leaves the letters as they were; they are carried once more, which a sink
// that knows records by their ids notices.
type DeadLetters struct {
	root   string
	o      DeadOptions
	files  []string // by name
	closed bool     // files of an archive: they end where they should

	done map[string][]span // when it was opened

	mu    sync.Mutex // guards marks
	marks *os.File   // nil: nothing was marked yet
}

// A span is letters of a file that are done, from one up to before another.
type span struct {
	File string `json:"file"`
	From int64  `json:"from"`
	To   int64  `json:"to"`
}

const (
	doneName  = "done"
	doneLimit = 64 << 20
)

var (
	_ flow.Source    = (*DeadLetters)(nil)
	_ flow.Describer = (*DeadLetters)(nil)
)

// OpenDead opens the dead letters at a place. Letters that come later are not among them.
func OpenDead(dir string, o DeadOptions) (*DeadLetters, error) {
	if err := o.Indices.Validate(); err != nil {
		return nil, err
	}
	root, files, closed, err := deadFiles(dir)
	if err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	slices.Sort(files)
	d := &DeadLetters{root: root, o: o, files: files, closed: closed, done: map[string][]span{}}
	if err := d.readDone(); err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	return d, nil
}

func (d *DeadLetters) String() string { return d.root }

// Identity says what is chosen, whatever is done.
func (d *DeadLetters) Identity() string {
	root, err := filepath.Abs(d.root)
	if err != nil {
		root = d.root
	}
	return fmt.Sprintf("dead letters %s, indices %s, reason %q, letter %q", root, strings.Join(d.o.Indices, " "), d.o.Reason, d.o.Address)
}

// Store is the directory into which a DeadStore may write more letters, to be found here too; "": it is an archive.
func (d *DeadLetters) Store() string {
	if d.closed {
		return ""
	}
	return d.root
}

func (d *DeadLetters) readDone() error {
	f, err := os.Open(filepath.Join(d.root, doneName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	lines := bufio.NewScanner(io.LimitReader(f, doneLimit))
	for lines.Scan() {
		var s span
		if json.Unmarshal(lines.Bytes(), &s) != nil {
			continue // a process died while it wrote this line: what it marked is not done
		}
		d.done[s.File] = append(d.done[s.File], s)
	}
	return lines.Err()
}

func (d *DeadLetters) isDone(file string, n int64) bool {
	return slices.ContainsFunc(d.done[file], func(s span) bool { return s.From <= n && n < s.To })
}

// mark notes letters as done.
func (d *DeadLetters) mark(spans []span) error {
	if len(spans) == 0 {
		return nil
	}
	var text bytes.Buffer
	for _, s := range spans {
		raw, err := json.Marshal(s)
		if err != nil {
			return err
		}
		text.Write(append(raw, '\n'))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.marks == nil {
		f, err := os.OpenFile(filepath.Join(d.root, doneName), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644) //nolint:gosec // like the files of archives
		if err != nil {
			return err
		}
		// A line that broke off must not take the next one with it.
		if _, err := f.WriteString("\n"); err != nil {
			return errors.Join(err, f.Close())
		}
		if err := syncDir(d.root); err != nil {
			return errors.Join(err, f.Close())
		}
		d.marks = f
	}
	if _, err := d.marks.Write(text.Bytes()); err != nil {
		return err
	}
	return d.marks.Sync()
}

// Close closes what is open; readers must be closed.
func (d *DeadLetters) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.marks == nil {
		return nil
	}
	err := d.marks.Close()
	d.marks = nil
	return err
}

// Letters gives the chosen letters in the order of files and lines. A file that cannot be read ends it.
func (d *DeadLetters) Letters(ctx context.Context) iter.Seq2[Letter, error] {
	return func(yield func(Letter, error) bool) {
		for _, file := range d.files {
			r, err := d.open(file)
			if err != nil {
				yield(Letter{}, err)
				return
			}
			for {
				var l Letter
				if err = ctx.Err(); err == nil {
					err = r.next(&l)
				}
				if err != nil {
					break
				}
				if !d.o.chosen(&l) {
					continue
				}
				l.Key, l.Routing, l.Body = bytes.Clone(l.Key), bytes.Clone(l.Routing), bytes.Clone(l.Body)
				if !yield(l, nil) {
					r.close()
					return
				}
			}
			r.close()
			if err != io.EOF { //nolint:errorlint // next gives it as it is
				yield(Letter{}, err)
				return
			}
		}
	}
}

// Groups implements flow.Describer: the indices that chosen letters are of.
func (d *DeadLetters) Groups(ctx context.Context) ([]flow.Group, error) {
	byIndex := map[string]int{}
	var groups []flow.Group
	for l, err := range d.Letters(ctx) {
		if err != nil {
			return nil, err
		}
		i, ok := byIndex[l.Index]
		if !ok {
			i = len(groups)
			byIndex[l.Index] = i
			groups = append(groups, flow.Group{Name: l.Index, Grade: flow.Lossless})
		}
		groups[i].Records++
		groups[i].Bytes += int64(len(l.Body))
	}
	slices.SortFunc(groups, func(a, b flow.Group) int { return strings.Compare(a.Name, b.Name) })
	return groups, nil
}

// deadSpec is a part's own description.
type deadSpec struct {
	File  string `json:"file"`
	Index string `json:"index"`
}

// Parts implements flow.Source: the letters of a file that are of one index.
func (d *DeadLetters) Parts(ctx context.Context) iter.Seq2[flow.Part, error] {
	return func(yield func(flow.Part, error) bool) {
		of := map[deadSpec]*flow.Part{}
		var order []deadSpec
		for l, err := range d.Letters(ctx) {
			if err != nil {
				yield(flow.Part{}, err)
				return
			}
			file, _, _ := strings.Cut(l.Address, ":")
			spec := deadSpec{file, l.Index}
			p := of[spec]
			if p == nil {
				raw, err := json.Marshal(spec)
				if err != nil {
					panic("BUG: a part's description is not JSON: " + err.Error())
				}
				p = &flow.Part{ID: file + "/" + DirName(l.Index), Group: l.Index, Spec: raw}
				of[spec] = p
				order = append(order, spec)
			}
			p.Records++
			p.Bytes += int64(len(l.Body))
		}
		for _, spec := range order {
			if !yield(*of[spec], nil) {
				return
			}
		}
	}
}

// Open implements flow.Source.
func (d *DeadLetters) Open(ctx context.Context, p flow.Part, from flow.Position) (flow.Reader, error) {
	var spec deadSpec
	if err := json.Unmarshal(p.Spec, &spec); err != nil || !slices.Contains(d.files, spec.File) {
		return nil, flow.Permanent(fmt.Errorf("part %q is none of dead letters", p.ID))
	}
	skip := int64(0)
	if len(from) > 0 {
		var err error
		if skip, err = strconv.ParseInt(string(from), 10, 64); err != nil || skip < 0 {
			return nil, flow.Permanent(fmt.Errorf("%s: position %.40q is none of dead letters", p.ID, from))
		}
	}
	r, err := d.open(spec.File)
	if err != nil {
		return nil, err
	}
	r.index, r.skip = spec.Index, skip
	return r, nil
}

// A deadReader reads the letters of a file.
type deadReader struct {
	d     *DeadLetters
	file  string
	f     *os.File
	lines *lines
	at    int64 // letters of the file before the next

	index   string
	skip    int64
	given   []int64    // chosen letters that were read, or passed over, and are not acknowledged
	scratch flow.Batch // has the bytes of one letter
}

func (d *DeadLetters) open(file string) (*deadReader, error) {
	f, err := os.Open(filepath.Join(d.root, file))
	if err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	l, err := openLines(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	l.line.sourceLast = false
	return &deadReader{d: d, file: file, f: f, lines: l}, nil
}

func (r *deadReader) close() {
	if r.f != nil {
		r.lines.close()
		r.f.Close() //nolint:errcheck,gosec // only read
		r.f = nil
	}
}

// next reads a letter, whose record is valid until the next is read.
func (r *deadReader) next(l *Letter) error {
	r.scratch.Reset()
	damaged := func(err error) error {
		return flow.Permanent(fmt.Errorf("%w: %s: letter %d: %w", ErrDamaged, r.file, r.at, err))
	}
	text, err := r.lines.next()
	switch {
	case err == io.EOF: //nolint:errorlint // lines gives it as it is
		return io.EOF
	case err != nil && !r.d.closed && errors.Is(err, io.ErrUnexpectedEOF):
		return io.EOF // a process died while it wrote this letter: Bury had not returned
	case err != nil:
		return damaged(err)
	}
	if err := r.lines.line.parse(text); err != nil {
		return damaged(err)
	}
	if l.Record, err = r.lines.record(&r.scratch); err != nil {
		return damaged(err)
	}
	if l.Body != nil && len(l.Body) == 0 {
		return damaged(errJSON)
	}
	if err := l.about(text); err != nil {
		return damaged(err)
	}
	l.Address = r.file + ":" + strconv.FormatInt(r.at, 10)
	l.Done = r.d.isDone(r.file, r.at)
	r.at++
	return nil
}

// about reads what a letter has beside the record.
func (l *Letter) about(text []byte) error {
	str := func(start int, into *string) (int, error) {
		i := skipSpace(text, start)
		if i >= len(text) || text[i] != '"' {
			return -1, errJSON
		}
		end := skipString(text, i)
		if end < 0 {
			return -1, errJSON
		}
		raw, ok := document.Unescape(nil, text[i+1:end-1])
		if !ok {
			return -1, errJSON
		}
		*into = string(raw)
		return end, nil
	}
	_, err := eachMember(text, skipSpace(text, 0), func(key []byte, start int) (end int, err error) {
		var s string
		switch string(key) {
		case "reason":
			return str(start, &l.Reason)
		case "reasonType":
			return str(start, &l.ReasonType)
		case "at":
			if end, err = str(start, &s); err == nil {
				l.At, err = time.Parse(time.RFC3339, s)
			}
		case "_source_base64":
			if end, err = str(start, &s); err == nil {
				if l.Body, err = base64.StdEncoding.DecodeString(s); l.Body == nil {
					l.Body = []byte{}
				}
			}
		case "_version":
			start = skipSpace(text, start)
			if end = skipValue(text, start); end < 0 {
				return -1, errJSON
			}
			l.Version, err = strconv.ParseInt(string(text[start:end]), 10, 64)
		default:
			return -1, nil
		}
		return end, err
	})
	return err
}

// Read implements flow.Reader.
func (r *deadReader) Read(ctx context.Context, b *flow.Batch) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if b.Full() {
			b.Next = strconv.AppendInt(nil, r.at, 10)
			return nil
		}
		var l Letter
		err := r.next(&l)
		if err == io.EOF { //nolint:errorlint // next gives it as it is
			if r.at < r.skip {
				return flow.Permanent(fmt.Errorf("%s: there is no letter %d before which to go on", r.file, r.skip))
			}
			b.Next = strconv.AppendInt(nil, r.at, 10)
			return io.EOF
		}
		if err != nil {
			return err
		}
		if l.Index != r.index || !r.d.o.chosen(&l) {
			continue
		}
		r.given = append(r.given, r.at-1)
		if r.at <= r.skip {
			continue // safe, and perhaps not yet noted
		}
		rec := l.Record
		rec.Key = b.Copy(rec.Key)
		if rec.Routing != nil {
			rec.Routing = b.Copy(rec.Routing)
		}
		if rec.Body != nil {
			rec.Body = b.Copy(rec.Body)
		}
		b.Records = append(b.Records, rec)
	}
}

// Ack implements flow.Reader: what was given before next is done.
func (r *deadReader) Ack(ctx context.Context, next flow.Position) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	before, err := strconv.ParseInt(string(next), 10, 64)
	if err != nil {
		return fmt.Errorf("%s: position %.40q is none of dead letters", r.file, next)
	}
	n := 0
	for n < len(r.given) && r.given[n] < before {
		n++
	}
	var spans []span
	for _, at := range r.given[:n] {
		if last := len(spans) - 1; last >= 0 && spans[last].To == at {
			spans[last].To++
			continue
		}
		spans = append(spans, span{r.file, at, at + 1})
	}
	if err := r.d.mark(spans); err != nil {
		return fmt.Errorf("dead letters: %w", err)
	}
	r.given = append(r.given[:0], r.given[n:]...)
	return nil
}

// Close implements flow.Reader.
func (r *deadReader) Close() error {
	r.close()
	return nil
}
