// Package archive keeps records in a directory, as compressed lines of JSON or as Parquet, and reads them
// back. An archive is both a sink and a source of flows.
//
// # On disk
//
//	DIR/<index>/<n>-<archive>.ndjson.zst   records, one JSON object a line: _index, _type, _id, _routing, _source
//	DIR/<index>/<n>-<archive>.parquet      or the same as columns, with typed columns made from the mapping
//	DIR/_dead/<n>-<archive>.ndjson.zst     records that could not be delivered, with the reason of each
//	DIR/manifest.json                      what the archive holds; there only when it is complete
//	DIR/.naru/journal                      what is committed: files and checkpoints, one line per commit
//	DIR/.naru/tmp/                         files being written
//	DIR/.naru/lock                         held by the process that writes
//
// <index> is the index name, escaped by [DirName]; <archive> is a random mark that each archive gets, by which
// naru knows its own files.
//
// # Commits
//
// The line in the journal is the commit. A branch writes its files under .naru/tmp, syncs them, renames them
// to where they belong, syncs the directories and then appends one line that names the files and holds the
// checkpoints. Whoever opens the archive for writing removes the files of its own that no line names. So a
// process may be killed at any moment: what was committed stays, what was not is as if never written, and the
// same command goes on from the checkpoints.
package archive

import (
	"errors"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Formats of archives.
const (
	NDJSON  = "ndjson"
	Parquet = "parquet"
)

// Config describes an archive to write. The zero values of all but Dir and Format have defaults.
type Config struct {
	// Dir is the directory: absent, empty, or an archive that the same flow began.
	Dir string `json:"dir"`
	// Format is "ndjson" or "parquet".
	Format string `json:"format"`
	// FileBytes is the size, compressed, at which a file is closed and the next begun; default 256 MiB.
	// Files are also closed by each commit.
	FileBytes int64 `json:"fileBytes,omitempty"`
	// Level is the effort of compression, from 1 (fast, the default) to 4 (small).
	Level int `json:"level,omitempty"`
	// Columns bounds the columns that Parquet files get from a mapping, beside the five of each record;
	// default 1000. A mapping with more gives the first ones by name. Negative: none.
	Columns int `json:"columns,omitempty"`
	// BufferBytes bounds what a worker holds in memory of all its open files together, not counting a
	// single record that is larger; default 64 MiB.
	BufferBytes int64 `json:"bufferBytes,omitempty"`
	// Flow says what is written here: the source and all that decides which records it gives and how they
	// look. An archive is continued by the flow that began it only.
	Flow string `json:"flow,omitempty"`
}

// Validate says what is wrong with c.
func (c *Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("dir: missing: name the directory of the archive"))
	}
	if c.Format != NDJSON && c.Format != Parquet {
		errs = append(errs, fmt.Errorf("format: %q: want %q or %q", c.Format, NDJSON, Parquet))
	}
	if c.FileBytes < 0 {
		errs = append(errs, fmt.Errorf("fileBytes: %d: want a positive number of bytes", c.FileBytes))
	}
	if c.Level < 0 || c.Level > 4 {
		errs = append(errs, fmt.Errorf("level: %d: want 1 to 4", c.Level))
	}
	if c.BufferBytes < 0 {
		errs = append(errs, fmt.Errorf("bufferBytes: %d: want a positive number of bytes", c.BufferBytes))
	}
	return errors.Join(errs...)
}

func (c *Config) withDefaults() Config {
	d := *c
	if d.FileBytes == 0 {
		d.FileBytes = 256 << 20
	}
	if d.BufferBytes == 0 {
		d.BufferBytes = 64 << 20
	}
	switch {
	case d.Columns == 0:
		d.Columns = 1000
	case d.Columns < 0:
		d.Columns = 0
	}
	return d
}

func (c *Config) zstdLevel() zstd.EncoderLevel {
	return zstd.EncoderLevel(max(c.Level, 1))
}

// What opening an archive can meet, beside what the file system says.
var (
	// ErrForeign: the directory holds something that is not an archive. It is left as it is.
	ErrForeign = errors.New("not an archive and not empty")
	// ErrOtherFlow: the archive was begun by another flow, or in another format.
	ErrOtherFlow = errors.New("the archive belongs to another flow")
	// ErrLocked: another process writes the archive.
	ErrLocked = errors.New("another process is writing the archive")
	// ErrIncomplete: the archive has no manifest yet.
	ErrIncomplete = errors.New("the archive is not complete")
	// ErrDamaged: files of the archive are not what its books say.
	ErrDamaged = errors.New("the archive is damaged")
)

const (
	stateDir     = ".naru"
	tmpDir       = stateDir + "/tmp"
	journalName  = stateDir + "/journal"
	lockName     = stateDir + "/lock"
	manifestName = "manifest.json"
	deadDir      = "_dead"

	ndjsonSuffix  = ".ndjson.zst"
	parquetSuffix = ".parquet"

	// version is that of the journal and the manifest; a reader refuses others.
	version = 1
)

// now is when things happen, to the second, for manifests.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }
