package agent

import (
	"bytes"
	"encoding/json"
	"time"
)

// Container is the format of the files that container runtimes write.
//
//	docker (json-file)  {"log":"text\n","stream":"stdout","time":"2026-11-24T13:00:00.123456789Z"}
//	cri                 2026-11-24T13:00:00.123456789Z stdout F text
//
// Docker cuts lines at 16 KiB: a piece is one whose log has no line feed at its end. In CRI a piece has the tag P, and the last
// one F. Pieces of a stream are joined.
type Container struct {
	Format string // auto, docker, cri
	Stream byte   // 0: both
}

// cut takes a line apart. partial: it goes on in the next line of its stream. false: it is not of that format.
func (c *Container) cut(l *line) (partial, ok bool) {
	docker := c.Format == "docker"
	if c.Format != "docker" && c.Format != "cri" {
		docker = len(l.body) > 0 && l.body[0] == '{'
	}
	if docker {
		return cutDocker(l)
	}
	return cutCRI(l)
}

func cutDocker(l *line) (partial, ok bool) {
	var d struct {
		Log    *string   `json:"log"`
		Stream string    `json:"stream"`
		Time   time.Time `json:"time"`
	}
	if err := json.Unmarshal(l.body, &d); err != nil || d.Log == nil {
		return false, false
	}
	l.body = []byte(*d.Log)
	if !d.Time.IsZero() {
		l.setTime(d.Time)
	}
	l.stream = streamOf([]byte(d.Stream))
	if n := len(l.body); n > 0 && l.body[n-1] == '\n' {
		l.body = bytes.TrimSuffix(l.body[:n-1], []byte("\r"))
		return false, true
	}
	return true, true
}

func streamOf(name []byte) byte {
	switch string(name) {
	case "stdout":
		return 1
	case "stderr":
		return 2
	}
	return 0
}

func cutCRI(l *line) (partial, ok bool) {
	when, rest, ok := bytes.Cut(l.body, []byte(" "))
	if !ok {
		return false, false
	}
	name, rest, ok := bytes.Cut(rest, []byte(" "))
	if !ok {
		return false, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(when))
	s := streamOf(name)
	if err != nil || s == 0 {
		return false, false
	}
	tags, text, _ := bytes.Cut(rest, []byte(" "))
	first, _, _ := bytes.Cut(tags, []byte(":"))
	switch {
	case string(first) == "P":
		partial = true
	case string(first) == "F":
	default:
		text = rest // as runtimes wrote before there were tags
	}
	l.setTime(t)
	l.stream, l.body = s, text
	return partial, true
}
