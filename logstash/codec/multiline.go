package codec

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/pattern/grok"
	"github.com/narudata/naru/logstash/pattern/regex"
)

// Multiline makes one event of several lines: of a stack trace, say.
//
// A line that matches the pattern, or with negate one that does not, belongs to the line before it (what => previous) or to
// the one behind it (next). The last lines of a stream are an event when the stream ends. Empty lines at the end of a message
// are left out.
//
// Source: multiline.rb and auto_flush.rb of logstash-codec-multiline 3.1.
//
// Differences:
//   - auto_flush_interval is heeded to the second.
//   - A pattern that takes too many steps on a line does not match it.
type Multiline struct {
	common
	Pattern           string       `ls:"pattern,required" doc:"the grok pattern of lines that belong to others"`
	What              string       `ls:"what,required" enum:"previous|next" doc:"which lines they belong to: those before, or those behind"`
	Negate            bool         `ls:"negate" default:"false" doc:"whether lines belong to others that do not match the pattern"`
	PatternsDir       []string     `ls:"patterns_dir" doc:"folders with files of more patterns: a name, a blank and the pattern on each line"`
	Charset           string       `ls:"charset" default:"UTF-8" doc:"what the bytes of messages mean"`
	MultilineTag      string       `ls:"multiline_tag" default:"multiline" doc:"the tag of events of more than one line; none if empty"`
	MaxLines          int64        `ls:"max_lines" default:"500" doc:"from how many lines on an event ends; it is tagged multiline_codec_max_lines_reached"`
	MaxBytes          option.Bytes `ls:"max_bytes" default:"10 MiB" doc:"from which size on an event ends; it is tagged multiline_codec_max_bytes_reached"`
	AutoFlushInterval *float64     `ls:"auto_flush_interval" doc:"after how many seconds without a line an event ends"`
	ECSCompatibility  string       `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"whether event.original is set (v1, v8); that of the pipeline if not given"`
}

// multiline is the codec of one stream.
type multiline struct {
	*Multiline
	charset  *charset
	pattern  *regex.Regexp
	original bool

	match regex.Match
	held  []byte // the lines that are held, with line ends between them
	lines int64
	bytes int64 // without the line ends
	since time.Time
}

// Setup implements Plugin.
func (m *Multiline) Setup(s *Setup) (Codec, error) {
	c := &multiline{Multiline: m}
	var err error
	if c.charset, err = charsetOf(m.Charset); err != nil {
		return nil, err
	}
	set := grok.Legacy()
	if len(m.PatternsDir) > 0 {
		set = set.Extend()
	}
	for _, dir := range m.PatternsDir {
		at := dir
		if info, err := os.Stat(at); err == nil && info.IsDir() {
			at = path.Join(filepath.ToSlash(at), "*")
		}
		files, err := filepath.Glob(at)
		if err != nil {
			return nil, option.Errorf("patterns_dir", "%s: %w", dir, err)
		}
		if len(files) == 0 {
			s.Log.Warn("no file with grok patterns is there", "codec", s.Where, "patterns_dir", dir)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				return nil, option.Errorf("patterns_dir", "%w", err)
			}
			set.Add(string(text))
		}
	}
	pattern, err := set.Compile(m.Pattern, grok.Options{NamedOnly: true})
	if err != nil {
		return nil, option.Errorf("pattern", "%w", err)
	}
	c.pattern = pattern.Regexp
	ecs := m.ECSCompatibility
	if ecs == "" {
		ecs = s.ECS
	}
	c.original = ecs != "" && ecs != "disabled"
	return c, nil
}

// Alone implements Ordered: the lines of an event may be in different batches.
func (c *multiline) Alone() bool { return true }

// Holds implements Holder.
func (c *multiline) Holds() bool { return c.lines > 0 }

// Due implements Due.
func (c *multiline) Due(now time.Time) bool {
	return c.AutoFlushInterval != nil && c.lines > 0 && now.Sub(c.since).Seconds() > *c.AutoFlushInterval
}

// Fork implements Forker: each stream has lines of its own.
func (c *multiline) Fork() Codec {
	own := *c
	own.match, own.held, own.lines, own.bytes = regex.Match{}, nil, 0, 0
	return &own
}

// Delimiter implements Decoder.
func (c *multiline) Delimiter() string { return "\n" }

// Decode implements Decoder.
func (c *multiline) Decode(x *Context, message []byte) {
	if c.Due(x.Now) {
		c.Flush(x)
	}
	c.since = x.Now
	text := strings.TrimRight(c.charset.text(message), "\n")
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		matched, err := c.pattern.Match([]byte(line), 0, &c.match)
		if errors.Is(err, regex.ErrBudget) {
			x.Log.Warn("the multiline pattern takes too many steps on a line: it counts as not matched", "pattern", c.Pattern)
		}
		belongs := matched != c.Negate
		if c.What == "next" {
			c.hold(line)
		}
		if !belongs || c.lines > c.MaxLines || c.bytes >= int64(c.MaxBytes) {
			c.Flush(x)
		}
		if c.What == "previous" {
			c.hold(line)
		}
	}
}

func (c *multiline) hold(line string) {
	if c.lines > 0 {
		c.held = append(c.held, '\n')
	}
	c.held = append(c.held, line...)
	c.lines++
	c.bytes += int64(len(line))
}

// Flush implements Flusher.
func (c *multiline) Flush(x *Context) {
	if c.lines == 0 {
		return
	}
	message := event.StringValue(string(c.held))
	e := x.New()
	e.Fields().Set("message", message)
	e.Complete(x.Now)
	if c.original {
		inner := event.MapValue()
		inner.Map().Set("original", message)
		e.Fields().Set("event", inner)
	}
	if c.MultilineTag != "" && c.lines > 1 {
		e.Tag(c.MultilineTag)
	}
	if c.bytes >= int64(c.MaxBytes) {
		e.Tag("multiline_codec_max_bytes_reached")
	}
	if c.lines > c.MaxLines {
		e.Tag("multiline_codec_max_lines_reached")
	}
	c.held, c.lines, c.bytes = c.held[:0], 0, 0
	x.Emit(e)
}
