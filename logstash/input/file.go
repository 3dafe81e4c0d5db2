package input

import (
	"crypto/md5" //nolint:gosec // Logstash names its sincedb by it
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/narudata/naru/connect/files"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// File reads files, one event a line: files that grow (mode tail), or files that are complete (mode read), which may be
// compressed.
//
// Positions are those that are delivered. They are kept in a registry of naru's own beside the sincedb: in
// sincedb_path with ".naru" behind it, or in path.data/plugins/inputs/file. What the sincedb of Logstash knows, under
// the name that Logstash gives it, is taken over when there is no registry yet; it is not changed.
//
// Differences:
//   - A file is known by its content, too: one that was truncated and has grown again, or that has the inode of a deleted one,
//     is read from its beginning; one that was renamed while naru was not running goes on.
//   - A file that was renamed or deleted is read to its end, and 10 seconds after its last byte a last line without delimiter is
//     an event, too.
//   - start_position => end is for what was there before the input ran for the first time: what came while naru was not
//     running is read from its beginning.
//   - A complete file is deleted or logged once all its events are delivered, and not before.
//   - A compressed file goes on in its middle after a crash. One that ends too early is read on when it has changed. Files
//     whose names end in .zst or .zstd are read, too; a carriage return alone does not end a line.
//   - Without file_chunk_count, a file that is tailed gives 1 MiB before others have their turn.
//   - A line may have 64 MiB; a longer one is cut into pieces, with a warning.
//   - exclude may also match the whole path, if it has a slash.
//   - Two inputs with equal paths, and no sincedb_path, need different pipelines.
//
// Source: LogStash::Inputs::File of logstash-input-file 4.4, FileWatch.
type File struct {
	Options
	Path                 []string `ls:"path,required" doc:"patterns of absolute paths: * ? [a-z] {a,b}, and ** for any folders"`
	Exclude              []string `ls:"exclude" doc:"patterns of names that are left out"`
	StatInterval         string   `ls:"stat_interval" default:"1" doc:"how often files are asked whether they have grown: seconds, or with a unit, as 250 ms"`
	DiscoverInterval     int64    `ls:"discover_interval" default:"15" doc:"how often new files are looked for, in stat_intervals"`
	SincedbPath          string   `ls:"sincedb_path" doc:"the file of Logstash's positions, which are taken over; /dev/null keeps no positions"`
	SincedbWriteInterval string   `ls:"sincedb_write_interval" default:"15" doc:"how often positions are saved, in seconds, or with a unit"`
	SincedbCleanAfter    string   `ls:"sincedb_clean_after" default:"14 days" doc:"how long positions of files that are gone are kept, in days, or with a unit"`
	StartPosition        string   `ls:"start_position" enum:"beginning|end" default:"end" doc:"where files begin that are there when the input runs for the first time; not with mode => read"`
	Delimiter            string   `ls:"delimiter" default:"\n" doc:"what lines end with"`
	IgnoreOlder          string   `ls:"ignore_older" doc:"what is in files that had not changed for so long when they were found is left out: seconds, or with a unit"`
	CloseOlder           string   `ls:"close_older" default:"1 hour" doc:"files that did not grow for so long are closed until they do: seconds, or with a unit"`
	MaxOpenFiles         *int64   `ls:"max_open_files" doc:"how many files are open at a time; 4095 if not given"`
	Mode                 string   `ls:"mode" enum:"tail|read" default:"tail" doc:"whether files grow (tail) or are complete (read)"`
	FileCompletedAction  string   `ls:"file_completed_action" enum:"delete|log|log_and_delete" default:"delete" doc:"with mode => read: what is done with a file all of whose events are delivered"`
	FileCompletedLogPath string   `ls:"file_completed_log_path" doc:"the file that the paths of complete files are appended to, with log and log_and_delete"`
	FileChunkSize        int64    `ls:"file_chunk_size" default:"32768" doc:"with file_chunk_count: what is read of a file, in bytes, before others have their turn"`
	FileChunkCount       int64    `ls:"file_chunk_count" default:"4611686018427387903" doc:"how many times file_chunk_size are read of a file before others have their turn"`
	FileSortBy           string   `ls:"file_sort_by" enum:"last_modified|path" default:"last_modified" doc:"in which order files are read that are found together"`
	FileSortDirection    string   `ls:"file_sort_direction" enum:"asc|desc" default:"asc" doc:"whether that order goes up or down"`
	ExitAfterRead        bool     `ls:"exit_after_read" default:"false" doc:"with mode => read: whether the input ends when the files that were there are read"`
	CheckArchiveValidity bool     `ls:"check_archive_validity" default:"false" doc:"whether a compressed file is read through before its first event: a damaged one gives none"`
	ECSCompatibility     string   `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"which names of fields are used; without it, those of the pipeline"`
}

// Traits implements Plugin.
func (*File) Traits() Traits { return Traits{Codec: "plain"} }

const (
	maxFileLine = 64 << 20
	maxSincedb  = 256 << 20
)

// Setup implements Plugin.
func (f *File) Setup(s *Setup) (Input, error) {
	in := &fileInput{File: f, log: s.Log}
	c := &in.config
	for _, p := range f.Path {
		if !filepath.IsAbs(p) {
			return nil, option.Errorf("path", "expected absolute paths, found %q", p)
		}
		if dir, ok := strings.CutSuffix(p, "/**"); ok {
			p = dir + "/*" // for Ruby ** is any folders only before a slash
		}
		c.Paths = append(c.Paths, p)
	}
	if len(f.Path) == 0 {
		return nil, option.Errorf("path", "expected at least one path")
	}
	spans := []struct {
		name, value string
		unit        time.Duration
		into        *time.Duration
	}{
		{"stat_interval", f.StatInterval, time.Second, &c.ScanInterval}, {"sincedb_write_interval", f.SincedbWriteInterval, time.Second, &c.SaveInterval},
		{"sincedb_clean_after", f.SincedbCleanAfter, 24 * time.Hour, &c.Expire}, {"ignore_older", f.IgnoreOlder, time.Second, &c.IgnoreOlder},
		{"close_older", f.CloseOlder, time.Second, &c.CloseInactive},
	}
	for _, o := range spans {
		if o.value == "" {
			continue
		}
		d, ok := friendlyDuration(o.value, o.unit)
		if !ok {
			return nil, option.Errorf(o.name, "expected a length of time, such as 250 ms, 60 sec, 18h, 21.5d or 6 weeks, found %q", o.value)
		}
		*o.into = max(d, time.Millisecond)
	}
	for _, o := range []struct {
		name  string
		value int64
	}{{"discover_interval", f.DiscoverInterval}, {"file_chunk_size", f.FileChunkSize}, {"file_chunk_count", f.FileChunkCount}} {
		if o.value < 1 {
			return nil, option.Errorf(o.name, "expected 1 or more, found %d", o.value)
		}
	}
	c.DiscoverInterval = time.Duration(min(float64(c.ScanInterval)*float64(f.DiscoverInterval), float64(math.MaxInt64/2)))
	c.MaxOpen = 4095
	if f.MaxOpenFiles != nil && *f.MaxOpenFiles > 0 {
		c.MaxOpen = int(min(*f.MaxOpenFiles, math.MaxInt32))
	}
	if f.Delimiter == "" {
		return nil, option.Errorf("delimiter", "expected at least one character")
	}
	c.Delimiter, c.Exclude, c.MaxLineBytes = f.Delimiter, f.Exclude, maxFileLine
	c.StartAt = files.Beginning
	if f.Mode == files.Tail && f.StartPosition == "end" {
		c.StartAt = files.End
	}
	c.Mode, c.Verify, c.Once = f.Mode, f.CheckArchiveValidity, f.ExitAfterRead
	c.SortBy, c.Descending = files.ByTime, f.FileSortDirection == "desc"
	if f.FileSortBy == "path" {
		c.SortBy = files.ByPath
	}
	c.TurnBytes = turnBytes(f.FileChunkSize, f.FileChunkCount, f.Mode)
	if f.Mode == files.Read {
		c.Compressed, c.TrimCR = files.BySuffix, files.InCompressed
		if strings.Contains(f.FileCompletedAction, "log") && f.FileCompletedLogPath == "" {
			return nil, option.Errorf("file_completed_log_path", "file_completed_action => %s needs it", f.FileCompletedAction)
		}
		in.completedLog = inDir(s.Dir, f.FileCompletedLogPath)
	} else if f.ExitAfterRead {
		return nil, option.Errorf("exit_after_read", "it is for mode => read: a file that is tailed has no end")
	}
	if err := c.Validate(); err != nil {
		return nil, option.Errorf("path", "%w", err)
	}
	in.sincedb = inDir(s.Dir, f.SincedbPath)
	if info, err := os.Stat(in.sincedb); err == nil && info.IsDir() {
		return nil, option.Errorf("sincedb_path", "%s is a folder: expected the path of a file", f.SincedbPath)
	}
	schema := s.schema(f.ECSCompatibility)
	in.hostField, in.pathField = named(schema, "host", "[host][name]"), named(schema, "path", "[log][file][path]")
	in.metaHost, in.metaPath = named(false, "[@metadata][host]", ""), named(false, "[@metadata][path]", "")
	host, err := os.Hostname()
	if err != nil {
		s.Log.Warn("the name of this host is not known", "error", err)
	}
	in.host = event.StringValue(host)
	return in, nil
}

// inDir makes a path relative to a folder, unless it is none or absolute.
func inDir(dir, path string) string {
	if path == "" || filepath.IsAbs(path) || path == "NUL" {
		return path
	}
	return filepath.Join(dir, path)
}

// turnBytes is what is read of a file before others have their turn; negative: all there is.
func turnBytes(size, count int64, mode string) int64 {
	switch {
	case count <= math.MaxInt64/size && count != math.MaxInt64>>1:
		return size * count
	case mode == files.Tail:
		return 1 << 20
	}
	return -1
}

// friendlyDuration reads "1.5 hours", "250ms", or a number of units.
//
// Source: LogStash::Inputs::FriendlyDurations.
func friendlyDuration(text string, unit time.Duration) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	end := 0
	for end < len(text) && (text[end] >= '0' && text[end] <= '9' || text[end] == '.') {
		end++
	}
	n, err := strconv.ParseFloat(text[:end], 64)
	if err != nil || text[0] == '.' || text[end-1] == '.' {
		return 0, false
	}
	rest := text[end:]
	if len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
		rest = rest[1:]
	}
	switch rest {
	case "":
	case "s", "ss", "sec", "secs", "second", "seconds":
		unit = time.Second
	case "m", "min", "mins", "minute", "minutes":
		unit = time.Minute
	case "h", "hs", "hour", "hours":
		unit = time.Hour
	case "d", "ds", "day", "days":
		unit = 24 * time.Hour
	case "w", "ws", "week", "weeks":
		unit = 7 * 24 * time.Hour
	case "ms", "msec", "msecs":
		unit = time.Millisecond
	case "us", "usec", "usecs":
		unit = time.Microsecond
	default:
		return 0, false
	}
	d := n * float64(unit)
	return time.Duration(min(d, float64(math.MaxInt64/2))), true
}

// fileInput is a File that is set up.
type fileInput struct {
	*File
	log          *slog.Logger
	config       files.Config
	sincedb      string // "": where Logstash would have it
	completedLog string

	host                                     event.Value
	hostField, pathField, metaHost, metaPath *event.Ref
	path                                     atomic.Pointer[string] // the last one
}

// registry gives the file of positions, and that of Logstash beside it; "" where none are kept.
func (f *fileInput) registry(pipeline, data string) (registry, sincedb string) {
	switch {
	case keepsNothing(f.sincedb):
		return "", ""
	case f.sincedb != "":
		return f.sincedb + ".naru", f.sincedb
	}
	folder := filepath.Join(data, "plugins", "inputs", "file")
	sum := md5.Sum([]byte(strings.Join(f.Path, ","))) //nolint:gosec // as Logstash
	name := hex.EncodeToString(sum[:])
	registry = filepath.Join(folder, ".registry_"+name)
	if pipeline != "" && pipeline != "main" {
		registry += "_" + fileName(pipeline)
	}
	return registry, filepath.Join(folder, ".sincedb_"+name)
}

// Inspect implements Inspector.
func (f *fileInput) Inspect(in *Inspection) {
	if registry, _ := f.registry(in.Pipeline, in.Data); f.sincedb != "" {
		in.File("sincedb_path", registry, true)
	}
	if f.Mode == files.Read && strings.Contains(f.FileCompletedAction, "log") {
		in.File("file_completed_log_path", f.completedLog, false)
	}
}

// Claims implements Claimer: positions are those of one input.
func (f *fileInput) Claims(pipeline, data string) []Claim {
	registry, _ := f.registry(pipeline, data)
	switch {
	case registry == "":
		return nil
	case f.sincedb != "":
		return []Claim{{Option: "sincedb_path", What: "the sincedb " + f.SincedbPath, Key: "registry " + registry}}
	}
	return []Claim{{Option: "path", What: "without a sincedb_path, the registry of these paths", Key: "registry " + registry}}
}

// Open implements Input.
func (f *fileInput) Open(r *Run) (stream.Source, error) {
	c, log := f.config, r.Log
	o := files.Options{Port: r.Port, Log: log, MaxRecords: r.BatchSize}
	registry, sincedb := f.registry(r.Pipeline, r.Data)
	if registry == "" {
		o.Registry = new(files.Memory)
	} else {
		c.Registry = registry
		o.Import = func() ([]files.Entry, error) { return importSincedb(sincedb, c.Mode == files.Read, log) }
	}
	if c.Mode == files.Read {
		if f.completedLog != "" && strings.Contains(f.FileCompletedAction, "log") {
			if err := appendTo(f.completedLog, ""); err != nil {
				return nil, fmt.Errorf("file_completed_log_path: %w", err)
			}
		}
		done := &completed{log: strings.Contains(f.FileCompletedAction, "log"), delete: strings.Contains(f.FileCompletedAction, "delete"), logPath: f.completedLog, logged: map[string]bool{}}
		o.Completed = done.completed
	}
	return files.New(c, o)
}

// keepsNothing reports that a path is one of those that configurations have to keep no positions.
func keepsNothing(path string) bool {
	if path == "" {
		return false
	}
	if strings.EqualFold(path, "NUL") {
		return true
	}
	info, err := os.Stat(path)
	return err == nil && info.Mode()&os.ModeDevice != 0
}

// fileName makes a name of a file of a pipeline's id.
func fileName(id string) string {
	var b strings.Builder
	for i := range len(id) {
		if c := id[i]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

// importSincedb reads what Logstash knew of the files; nothing if it knew nothing.
func importSincedb(path string, archives bool, log *slog.Logger) ([]files.Entry, error) {
	in, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(in, maxSincedb+1))
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, err
	}
	if len(text) > maxSincedb {
		return nil, fmt.Errorf("the sincedb %s is larger than %d bytes", path, maxSincedb)
	}
	entries, bad := files.ParseSincedb(text, archives)
	log.Info("positions of files are taken over from Logstash", "sincedb", path, "files", len(entries), "lines_not_understood", bad)
	return entries, nil
}

// completed is what is done with complete files.
type completed struct {
	log, delete bool
	logPath     string
	logged      map[string]bool // and not deleted yet
}

func (c *completed) completed(path string) error {
	if c.log && !c.logged[path] {
		if err := appendTo(c.logPath, path+"\n"); err != nil {
			return err
		}
		c.logged[path] = true
	}
	if c.delete {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	delete(c.logged, path)
	return nil
}

// appendTo appends a text to a file, which is made if there is none.
func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// Identity implements Identifier: what is in a file belongs together.
func (*fileInput) Identity(r *flow.Record) []byte { return r.Meta }

// Describe implements Describer.
func (f *fileInput) Describe(e *event.Event, r *flow.Record) {
	// Most events are of the file that the last one was of.
	last := f.path.Load()
	if last == nil || *last != string(r.Meta) {
		path := string(r.Meta)
		last = &path
		f.path.Store(last)
	}
	path := event.StringValue(*last)
	setField(e, f.metaPath, path)
	setField(e, f.metaHost, f.host)
	if !e.Includes(f.hostField) {
		setField(e, f.hostField, f.host)
	}
	if !e.Includes(f.pathField) {
		setField(e, f.pathField, path)
	}
}

var (
	_ Describer  = (*fileInput)(nil)
	_ Identifier = (*fileInput)(nil)
)
