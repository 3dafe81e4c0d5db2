package flow

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Reason is why records became dead letters: messages that differ in ids, numbers and quoted values only
// are one reason.
type Reason struct {
	Message     string `json:"message"`
	Count       int64  `json:"count"`
	SampleIndex string `json:"sample_index"`
	SampleID    string `json:"sample_id"`
	Sample      string `json:"sample"` // the message of the sample, as it was
}

// Bounds, so that a report stays readable and small whatever the messages are.
const (
	mostReasons   = 100
	longestReason = 300 // bytes
	longestSample = 2000
	otherReasons  = "other reasons"
)

type reasons struct {
	byMessage map[string]*Reason
}

func (r *reasons) add(rec *Record, why error) {
	text := why.Error()
	message := normalise(text, string(rec.Key))
	known := r.byMessage[message]
	if known == nil && len(r.byMessage) >= mostReasons {
		message = otherReasons
		known = r.byMessage[message]
	}
	if known == nil {
		if r.byMessage == nil {
			r.byMessage = make(map[string]*Reason)
		}
		known = &Reason{
			Message: message, SampleIndex: rec.Index, SampleID: string(rec.Key), Sample: truncate(text, longestSample),
		}
		r.byMessage[message] = known
	}
	known.Count++
}

func (r *reasons) list() []Reason {
	list := make([]Reason, 0, len(r.byMessage))
	for _, reason := range r.byMessage {
		list = append(list, *reason)
	}
	slices.SortFunc(list, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Message, b.Message))
	})
	return list
}

var (
	// An apostrophe within a word (field's) opens no quotation.
	quoted = regexp.MustCompile(`\B'[^']*'|"(?:[^"\\]|\\.)*"`)
	number = regexp.MustCompile(`[0-9]+`)
)

// ReasonOf gives what the messages of a reason have in common: message without what differs from record to record, as
// the id.
func ReasonOf(message, id string) string { return normalise(message, id) }

// normalise takes out of a message what differs from record to record.
func normalise(message, id string) string {
	message = truncate(message, 2*longestReason)
	if len(id) > 1 {
		message = strings.ReplaceAll(message, id, "…")
	}
	message = quoted.ReplaceAllString(message, "'…'")
	message = number.ReplaceAllString(message, "N")
	return truncate(message, longestReason)
}

// truncate cuts s to at most n bytes, between characters.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
