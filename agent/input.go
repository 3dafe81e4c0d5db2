package agent

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/narudata/naru/connect/files"
	"github.com/narudata/naru/format/filebeat"
	"github.com/narudata/naru/format/tree"
)

// An Input is one of filebeat.inputs.
type Input struct {
	Type, ID   string // the type as events have it
	Place      filebeat.Place
	Files      files.Config
	Skip       func(path string) bool
	Reading    Reading
	JSON       []*JSON // after Reading
	Include    []*regexp.Regexp
	Exclude    []*regexp.Regexp
	Fields     tree.Object // what all events have of the configuration
	Tags       []string
	Processors []Processor
	Index      *Format
	Pipeline   *Format
	HideHost   bool
	TakeOver   bool // also what Filebeat's log input knew
	// Fingerprint is what Filebeat knows files by with the identity fingerprint.
	FingerprintFrom, FingerprintBytes int64
}

// refused are inputs that naru does not have.
var refused = map[string]string{
	"tcp":    "naru logstash has the input tcp, with a disk queue before it",
	"udp":    "naru logstash has the input udp, with a disk queue before it",
	"syslog": "naru logstash has the input syslog, with a disk queue before it",
	"unix":   "naru logstash has no input unix: let the program write to a file or to tcp",
	"kafka":  "naru logstash has the input kafka", "redis": "there is no input redis in naru",
	"http_endpoint": "naru logstash has the input http", "aws-s3": "naru logstash has the input s3",
	"stdin": "naru logstash has the input stdin", "journald": "keep Filebeat for the journal, or let journald forward to a file by rsyslog",
	"winlog": "keep Winlogbeat", "docker": "use the type container with the paths of Docker's logs",
	"mqtt": "", "httpjson": "", "cel": "", "aws-cloudwatch": "", "gcp-pubsub": "", "azure-eventhub": "", "cloudfoundry": "", "netflow": "", "lumberjack": "naru logstash has the input beats",
	"azure-blob-storage": "", "gcs": "", "o365audit": "", "salesforce": "", "entity-analytics": "", "streaming": "", "websocket": "", "etw": "", "benchmark": "", "cometd": "", "unifiedlogs": "",
}

// readInput reads an input; nil: it is off, or wrong, which is said.
func (c *Config) readInput(s *filebeat.Section) *Input {
	kind := s.Text("type", "log")
	if !s.Bool("enabled", true) {
		return nil
	}
	if hint, ok := refused[kind]; ok {
		s.Say(filebeat.Unsupported, "type", "the agent has no input "+kind, hint)
		return nil
	}
	defer s.Done()
	in := &Input{Type: kind, ID: strings.ReplaceAll(s.Text("id", ""), logID, "all"), Place: s.Node.Place}
	switch kind {
	case "log", "container", "filestream":
	default:
		s.Say(filebeat.Wrong, "type", fmt.Sprintf("expected filestream, log or container, found %q", kind), "")
		for _, m := range s.Node.Members {
			s.Know(m.Name)
		}
		return nil
	}
	c.readPaths(s, in)
	c.readIdentity(s, in)
	readTimes(s, in)
	e, err := encodingOf(s.Text("encoding", ""))
	if err != nil {
		s.Say(filebeat.Unsupported, "encoding", err.Error(), "expected utf-8, utf-16le, utf-16be, latin1, iso8859-1 to -16, windows-125x, gbk, big5, euc-kr, euc-jp, shift-jis …")
	}
	in.Reading.Encoding = e
	if e.newline != "" {
		in.Files.Delimiter = e.newline
	}
	c.readSteps(s, in)
	in.Include, in.Exclude = s.Regexps("include_lines"), s.Regexps("exclude_lines")
	in.Tags = s.Texts("tags")
	in.Fields = c.customFields(s)
	in.Processors = readProcessors(s.Sections("processors"), c.env)
	in.Index, in.Pipeline = format(s, "index"), format(s, "pipeline")
	in.HideHost = s.Bool("publisher_pipeline.disable_host", false)
	s.Each(filebeat.Note, "fields without a value are left out", "", "keep_null")
	s.Know("type", "name", "allow_deprecated_use", "allow_deprecated_id_duplication")
	return in
}

// format reads a text with fields in it; nil: there is none.
func format(s *filebeat.Section, key string) *Format {
	text := s.Text(key, "")
	if text == "" {
		return nil
	}
	f, err := ParseFormat(text)
	if err != nil {
		s.Say(filebeat.Wrong, key, err.Error(), "")
		return nil
	}
	return f
}

// customFields gives fields, in their place.
func (c *Config) customFields(s *filebeat.Section) tree.Object {
	fields, root := fieldsOf(s, "fields"), s.Bool("fields_under_root", false)
	switch {
	case len(fields) == 0:
		return nil
	case root:
		return fields
	}
	return tree.Object{{Name: "fields", Value: fields}}
}

func (c *Config) readPaths(s *filebeat.Section, in *Input) {
	paths := s.Texts("paths")
	if len(paths) == 0 {
		s.Say(filebeat.Wrong, "", "expected paths: at least one pattern of files", "")
		paths = []string{"/nowhere"}
	}
	recursive := s.Bool("recursive_glob.enabled", s.Bool("prospector.scanner.recursive_glob", true))
	for _, p := range paths {
		p = strings.ReplaceAll(p, "**"+logID, "*"+logID)
		p = strings.ReplaceAll(p, logID, "*")
		for strings.Contains(p, "***") {
			p = strings.ReplaceAll(p, "***", "**")
		}
		p = strings.ReplaceAll(p, "**.", "*.")
		if !recursive {
			p = strings.ReplaceAll(p, "**", "*")
		}
		in.Files.Paths = append(in.Files.Paths, c.inHome(p))
	}
	in.Files.Hidden = true // as Filebeat's patterns
	links := in.Type == "container"
	links = s.Bool("symlinks", links)
	links = s.Bool("prospector.scanner.symlinks", links)
	in.Files.NoSymlinks = !links
	exclude := append(s.Regexps("exclude_files"), s.Regexps("prospector.scanner.exclude_files")...)
	include := s.Regexps("prospector.scanner.include_files")
	if len(exclude)+len(include) > 0 {
		in.Skip = func(path string) bool {
			return anyMatch(exclude, path) || len(include) > 0 && !anyMatch(include, path)
		}
	}
	switch {
	case s.Bool("gzip_experimental", false):
		in.Files.Compressed = files.ByContent
	default:
		if z := s.Choice("compression", "none", "none", "", "gzip", "auto"); z == "gzip" || z == "auto" {
			in.Files.Compressed = files.ByContent
		}
	}
	s.Each(filebeat.Note, "files that are found are read at once", "", "prospector.scanner.resend_on_touch")
	s.Each(filebeat.Note, "the order does not matter: files are read in turns", "", "scan.sort", "scan.order")
	s.Each(filebeat.Unsupported, "the agent deletes no files", "let logrotate, or what writes them, do it", "delete.enabled")
	s.Know("delete.grace_period")
	if err := in.Files.Validate(); err != nil {
		s.Say(filebeat.Wrong, "paths", err.Error(), "")
	}
}

func anyMatch(of []*regexp.Regexp, text string) bool {
	for _, re := range of {
		if re.MatchString(text) {
			return true
		}
	}
	return false
}

func (c *Config) readIdentity(s *filebeat.Section, in *Input) {
	in.Files.Identity = files.ByInode
	known := []string{"native", "path", "fingerprint", "inode_marker"}
	n := s.Get("file_identity")
	kind := "native"
	if n != nil && len(n.Members) == 1 {
		kind = n.Members[0].Name
	} else if n != nil {
		s.Say(filebeat.Wrong, "file_identity", "expected one of native, path, fingerprint, as in file_identity.native: ~", "")
	}
	scanner := s.Sub("prospector.scanner")
	in.FingerprintFrom = scanner.Int("fingerprint.offset", 0, 0, math.MaxInt32)
	in.FingerprintBytes = scanner.Int("fingerprint.length", 1024, 64, 1<<20)
	scanner.Bool("fingerprint.enabled", true)
	s.Know("prospector.scanner")
	for _, m := range scanner.Node.Members {
		switch m.Name {
		case "fingerprint", "exclude_files", "include_files", "symlinks", "check_interval", "recursive_glob", "resend_on_touch":
			scanner.Know(m.Name)
		}
	}
	scanner.Done()
	switch kind {
	case "native":
	case "path":
		in.Files.Identity = files.ByPath
	case "fingerprint":
		in.Files.Identity, in.Files.FingerprintBytes = files.ByContent, in.FingerprintBytes
		if in.FingerprintFrom != 0 {
			s.Say(filebeat.Different, "prospector.scanner.fingerprint.offset", "files are known by their first bytes", "leave it out, unless all files begin with the same bytes")
		}
	case "inode_marker":
		s.Say(filebeat.Unsupported, "file_identity", "files are not known by a marker file", "use file_identity.fingerprint: ~")
	default:
		s.Say(filebeat.Wrong, "file_identity", fmt.Sprintf("expected one of %s, found %s", strings.Join(known, ", "), kind), "")
	}
}

func readTimes(s *filebeat.Section, in *Input) {
	f := &in.Files
	f.DiscoverInterval = s.Duration("scan_frequency", 10*time.Second)
	f.DiscoverInterval = max(s.Duration("prospector.scanner.check_interval", f.DiscoverInterval), 100*time.Millisecond)
	every := "backoff"
	if n := s.Node.Get("backoff"); n != nil && n.Kind == filebeat.Map {
		every = "backoff.init"
	}
	f.ScanInterval = min(max(s.Duration(every, time.Second), 100*time.Millisecond), time.Second)
	f.IgnoreOlder = s.Duration("ignore_older", 0)
	f.CloseInactive = s.Duration("close_inactive", s.Duration("close.on_state_change.inactive", 5*time.Minute))
	f.MaxOpen = int(s.Int("harvester_limit", 0, 0, 1<<20))
	f.MaxLineBytes = int(s.Bytes("max_bytes", s.Bytes("message_max_bytes", 10<<20)))
	in.Reading.MaxBytes = f.MaxLineBytes
	f.MaxLineBytes = max(f.MaxLineBytes, 64<<10)
	if d := s.Duration("clean_inactive", 0); d > 0 {
		f.Expire = d
		s.Say(filebeat.Note, "clean_inactive", "only what is known of files that are gone is forgotten: those that are there are not read again", "")
	}
	f.StartAt = files.Beginning
	if s.Bool("tail_files", false) {
		f.StartAt = files.End
		s.Say(filebeat.Note, "tail_files", "it is for files that are there at the first start: those that appear later are read from their beginning", "")
	}
	switch s.Choice("ignore_inactive", "", "", "since_first_start", "since_last_start") {
	case "":
	default:
		f.StartAt = files.End
		s.Say(filebeat.Note, "ignore_inactive", "files that are there at the first start are read from their end on", "")
	}
	const held = "files are held until they are read to their end, also those that were renamed or deleted: nothing is missed"
	s.Each(filebeat.Note, held, "", "close_renamed", "close_removed", "close_eof", "close_timeout",
		"close.on_state_change.renamed", "close.on_state_change.removed", "close.reader.on_eof", "close.reader.after_interval", "close.on_state_change.check_interval")
	s.Each(filebeat.Note, "files that are gone are forgotten after some time", "", "clean_removed")
	s.Each(filebeat.Note, "naru looks for new lines each second at least", "", "max_backoff", "backoff_factor", "backoff.max")
	s.Each(filebeat.Note, "buffers are as large as is good", "", "harvester_buffer_size", "buffer_size")
	s.Each(filebeat.Note, "files are followed when they are renamed, and a path is never a reason to read twice", "", "rotation")
	switch s.Choice("line_terminator", "auto", "auto", "line_feed", "vertical_tab", "form_feed", "carriage_return", "carriage_return_line_feed", "next_line", "line_separator", "paragraph_separator", "null_terminator") {
	case "auto", "line_feed", "carriage_return_line_feed":
	case "carriage_return":
		f.Delimiter = "\r"
	case "null_terminator":
		f.Delimiter = "\x00"
	default:
		s.Say(filebeat.Unsupported, "line_terminator", "lines end with a line feed, a carriage return or a zero", "")
	}
	key := "take_over"
	if n := s.Node.Get(key); n != nil && n.Kind == filebeat.Map {
		key = "take_over.enabled"
		s.Know("take_over.from_ids")
	}
	in.TakeOver = s.Bool(key, false)
}
