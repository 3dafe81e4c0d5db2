// Package files reads files line by line: files that grow (logs, rotated in every way), files that are complete, plain or
// compressed. It finds them by patterns, knows them again by device, inode and content, and keeps how far each was read and
// delivered in a registry, so that after a crash at most what was not saved is read again and nothing is skipped.
//
// One stream gives the lines of all files: a batch is filled from as many of them as it takes. A scan beside it (Source.Run)
// looks for files and asks for their state at intervals. It opens those that grow, also while nobody reads, so that a file
// that is renamed or deleted meanwhile is still read to its end.
package files

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Config says what is read and how. The zero value of each field but Paths is a good default.
type Config struct {
	// Paths are patterns of absolute paths: * ? [a-z] within a folder's name, {a,b} for alternatives, ** for any folders.
	Paths []string `json:"paths"`
	// Exclude are patterns of what is left out: of names, or of whole paths if they have a slash.
	Exclude []string `json:"exclude,omitempty"`
	// Hidden: * and ? also stand for a dot that a name begins with.
	Hidden bool `json:"hidden,omitempty"`
	// NoSymlinks leaves symbolic links out. Otherwise what they lead to is read under the link's path.
	NoSymlinks bool `json:"noSymlinks,omitempty"`

	// StartAt says where files begin that are there when the source starts and that the registry does not know: Beginning
	// (the default) or End. Files that appear later are read from their beginning.
	StartAt string `json:"startAt,omitempty"`
	// Mode is Tail (the default): files grow; or Read: files are complete once they do not grow for a moment. Then a last line
	// without delimiter is a line, too, and Options.Completed is told.
	Mode string `json:"mode,omitempty"`
	// Once ends the source when all that was there at its start is read. With Mode Read.
	Once bool `json:"once,omitempty"`
	// Compressed says which files are gzip or Zstandard: Never (the default), BySuffix (.gz, .gzip, .zst, .zstd) or ByContent.
	// Compressed files are read whole, as in Mode Read.
	Compressed string `json:"compressed,omitempty"`
	// Verify reads a compressed file through before the first line of it is given: a damaged one gives none.
	Verify bool `json:"verify,omitempty"`

	// Identity says what makes a file the same file: ByInode (the default: device and inode, checked by content), ByContent (the
	// first FingerprintBytes, wherever they are; shorter files wait) or ByPath (what was
	// not yet read of a file that is replaced is lost).
	Identity string `json:"identity,omitempty"`
	// FingerprintBytes is how many of the first bytes a file is known by; 0: 1024.
	FingerprintBytes int64 `json:"fingerprintBytes,omitempty"`

	// Delimiter ends lines; empty: a line feed.
	Delimiter string `json:"delimiter,omitempty"`
	// TrimCR says where a carriage return before the delimiter is no part of the line: Never (the default), Always, or
	// InCompressed files.
	TrimCR string `json:"trimCR,omitempty"`
	// MaxLineBytes bounds lines; 0: 10 MiB. What is longer is cut into pieces, or left out and counted, as LongLines says:
	// Cut (the default) or Skip.
	MaxLineBytes int    `json:"maxLineBytes,omitempty"`
	LongLines    string `json:"longLines,omitempty"`
	// PartialAfter gives a line without delimiter at the end of a file that did not grow for so long; 0: never, it is waited for.
	// The last line of a file that was renamed or deleted is given after CloseRemoved.
	PartialAfter time.Duration `json:"partialAfter,omitempty"`

	// ScanInterval is how often files are asked whether they have grown; 0: 1 s. DiscoverInterval: how often new ones are looked
	// for; 0: 10 s.
	ScanInterval     time.Duration `json:"scanInterval,omitempty"`
	DiscoverInterval time.Duration `json:"discoverInterval,omitempty"`
	// CloseInactive closes files that did not grow for so long; they are opened again when they do. 0: 5 min.
	CloseInactive time.Duration `json:"closeInactive,omitempty"`
	// CloseRemoved is how long after its last byte a file is held that was deleted or renamed; 0: 10 s.
	CloseRemoved time.Duration `json:"closeRemoved,omitempty"`
	// IgnoreOlder leaves out what is in files that had not changed for so long when they were found; 0: none.
	IgnoreOlder time.Duration `json:"ignoreOlder,omitempty"`
	// MaxOpen is how many files are open at a time; 0: 4096.
	MaxOpen int `json:"maxOpen,omitempty"`
	// TurnBytes is how much is read of a file while others wait; 0: 1 MiB; negative: all there is.
	TurnBytes int64 `json:"turnBytes,omitempty"`
	// SortBy is the order in which files that are found together are read: ByTime (of their last change; the default) or ByPath.
	SortBy     string `json:"sortBy,omitempty"`
	Descending bool   `json:"descending,omitempty"`

	// Registry is the file that keeps how far files were read; empty: nothing outlasts the source. See also Options.Registry.
	Registry string `json:"registry,omitempty"`
	// SaveInterval is how often acknowledged positions are made durable; 0: 1 s.
	SaveInterval time.Duration `json:"saveInterval,omitempty"`
	// Expire is how long the registry keeps files that are gone; 0: 14 days. MaxGone bounds how many; 0: 100000.
	Expire  time.Duration `json:"expire,omitempty"`
	MaxGone int           `json:"maxGone,omitempty"`
}

// The values of Config's fields.
const (
	Beginning = "beginning"
	End       = "end"

	Tail = "tail"
	Read = "read"

	BySuffix  = "by-suffix"
	ByContent = "by-content"
	ByInode   = "by-inode"
	ByPath    = "by-path"
	ByTime    = "by-time"

	Never        = "never"
	Always       = "always"
	InCompressed = "in-compressed"

	Cut  = "cut"
	Skip = "skip"
)

const (
	maxDelimiter = tailBytes // what stands before a position is known so far
	maxHead      = 64 << 10
)

// Validate says what is wrong.
func (c *Config) Validate() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if len(c.Paths) == 0 {
		bad("paths: expected at least one pattern")
	}
	for _, p := range c.Paths {
		if err := validPattern(p, true); err != nil {
			bad("paths: %w", err)
		}
	}
	for _, p := range c.Exclude {
		if err := validPattern(p, false); err != nil {
			bad("exclude: %w", err)
		}
	}
	oneOf := func(name, value string, of ...string) {
		for _, v := range of {
			if value == v || value == "" {
				return
			}
		}
		bad("%s: expected one of %s, found %q", name, strings.Join(of, ", "), value)
	}
	oneOf("startAt", c.StartAt, Beginning, End)
	oneOf("mode", c.Mode, Tail, Read)
	oneOf("compressed", c.Compressed, Never, BySuffix, ByContent)
	oneOf("identity", c.Identity, ByInode, ByContent, ByPath)
	oneOf("trimCR", c.TrimCR, Never, Always, InCompressed)
	oneOf("longLines", c.LongLines, Cut, Skip)
	oneOf("sortBy", c.SortBy, ByTime, ByPath)
	if len(c.Delimiter) > maxDelimiter {
		bad("delimiter: expected at most %d bytes, found %d", maxDelimiter, len(c.Delimiter))
	}
	if c.FingerprintBytes < 0 || c.FingerprintBytes > maxHead {
		bad("fingerprintBytes: expected 1 to %d, found %d", maxHead, c.FingerprintBytes)
	}
	if c.MaxLineBytes != 0 && (c.MaxLineBytes < 16 || c.MaxLineBytes > 1<<30) {
		bad("maxLineBytes: expected 16 to %d, found %d", 1<<30, c.MaxLineBytes)
	}
	if c.Once && c.Mode != Read {
		bad("once: only with mode %s: a file that is tailed has no end", Read)
	}
	if c.MaxOpen < 0 {
		bad("maxOpen: expected 1 or more, found %d", c.MaxOpen)
	}
	for name, d := range map[string]time.Duration{
		"partialAfter": c.PartialAfter, "scanInterval": c.ScanInterval, "discoverInterval": c.DiscoverInterval, "closeInactive": c.CloseInactive,
		"closeRemoved": c.CloseRemoved, "ignoreOlder": c.IgnoreOlder, "saveInterval": c.SaveInterval, "expire": c.Expire,
	} {
		if d < 0 {
			bad("%s: expected a length of time, found %s", name, d)
		}
	}
	return errors.Join(all...)
}

// withDefaults gives c with all defaults filled in.
func (c Config) withDefaults() Config {
	text := func(s *string, d string) {
		if *s == "" {
			*s = d
		}
	}
	span := func(s *time.Duration, d time.Duration) {
		if *s == 0 {
			*s = d
		}
	}
	text(&c.StartAt, Beginning)
	text(&c.Mode, Tail)
	text(&c.Compressed, Never)
	text(&c.Identity, ByInode)
	text(&c.Delimiter, "\n")
	text(&c.TrimCR, Never)
	text(&c.LongLines, Cut)
	text(&c.SortBy, ByTime)
	span(&c.ScanInterval, time.Second)
	span(&c.DiscoverInterval, 10*time.Second)
	span(&c.CloseInactive, 5*time.Minute)
	span(&c.CloseRemoved, 10*time.Second)
	span(&c.SaveInterval, time.Second)
	span(&c.Expire, 14*24*time.Hour)
	if c.FingerprintBytes == 0 {
		c.FingerprintBytes = 1024
	}
	if c.MaxLineBytes == 0 {
		c.MaxLineBytes = 10 << 20
	}
	if c.MaxOpen == 0 {
		c.MaxOpen = 4096
	}
	if c.TurnBytes == 0 {
		c.TurnBytes = 1 << 20
	}
	if c.MaxGone == 0 {
		c.MaxGone = 100_000
	}
	return c
}
