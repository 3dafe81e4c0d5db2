// Package termination is what a process of naru leaves for Kubernetes when it ends: one line of JSON in the container's
// termination log, which the kubelet copies into the pod's status. So a controller learns what a pod did, and people why it
// failed (kubectl describe pod), without reading its log.
// Source: kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure.
package termination

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"
)

const (
	// Variable names the file; empty: DefaultFile, if it is there.
	Variable = "NARU_TERMINATION_LOG"
	// DefaultFile is where a kubelet expects the message unless the container says otherwise. It is there in a container
	// of Kubernetes only.
	DefaultFile = "/dev/termination-log"
	// Limit is how many bytes a kubelet keeps of a message.
	Limit = 4096
)

// A Message is what a process did. Counts are of the whole carry, over this process and earlier ones.
type Message struct {
	Command string `json:"command"` // naru run
	Exit    int    `json:"exit"`
	State   string `json:"state,omitempty"`  // how a carry ended: done, partial, failed, interrupted, …
	Reason  string `json:"reason,omitempty"` // why it was no success, for people

	// Plan is of `naru explain`.
	Plan *Plan `json:"plan,omitempty"`
	// Carry is of `naru run` and `naru carry`.
	Carry *Carry `json:"carry,omitempty"`
	// Verification is of `naru verify`, and of a carry that read back what it wrote.
	Verification *Verification `json:"verification,omitempty"`
	// Aliases is of `naru cutover`: what each alias names now.
	Aliases map[string][]string `json:"aliases,omitempty"`
}

// A Plan is what a carry would do.
type Plan struct {
	Indices int   `json:"indices"`
	Parts   int   `json:"parts"`
	Records int64 `json:"records"`
	AtMost  bool  `json:"atMost,omitempty"` // there may be fewer records: children of nested documents are among them
	Bytes   int64 `json:"bytes"`            // as the source stores them
	// Identity names the carry in a cluster's ledger.
	Identity string `json:"identity,omitempty"`
	// Snapshot is the one that is meant by "latest", or by a pattern that fits one.
	Snapshot string `json:"snapshot,omitempty"`
}

// A Carry is what has arrived.
type Carry struct {
	Records     int64 `json:"records"` // there are to read
	Delivered   int64 `json:"delivered"`
	DeadLetters int64 `json:"deadLetters,omitempty"`
	Dropped     int64 `json:"dropped,omitempty"` // by a stage
	Bytes       int64 `json:"bytes"`             // delivered
	Parts       int   `json:"parts"`
	PartsDone   int   `json:"partsDone"`
	PartsFailed int   `json:"partsFailed,omitempty"`
}

// A Verification is what a comparison found.
type Verification struct {
	Equal       bool     `json:"equal"`
	Records     int64    `json:"records"`
	Indices     int      `json:"indices"`
	Different   int      `json:"different,omitempty"`   // indices
	Differences []string `json:"differences,omitempty"` // the first of them, for people
	Unread      int      `json:"unread,omitempty"`      // parts that could not be read
}

// File is the file that getenv says, or a kubelet expects; "": nobody wants a message.
func File(getenv func(string) string) string {
	if name := getenv(Variable); name != "" {
		return name
	}
	if info, err := os.Stat(DefaultFile); err == nil && info.Mode().IsRegular() {
		return DefaultFile
	}
	return ""
}

// Write writes the message to the file, cut to what a kubelet keeps: first the differences go, then the end of the reason.
func (m Message) Write(file string) error {
	b, err := m.line()
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, b, 0o644); err != nil { //nolint:gosec // the kubelet reads it, and there are no secrets in it
		return fmt.Errorf("write the termination message: %w", err)
	}
	return nil
}

func (m Message) line() ([]byte, error) {
	for {
		b, err := json.Marshal(m)
		if err != nil || len(b) <= Limit {
			return b, err
		}
		over := len(b) - Limit
		switch v := m.Verification; {
		case v != nil && len(v.Differences) > 0:
			fewer := *v
			fewer.Differences = v.Differences[:len(v.Differences)/2]
			m.Verification = &fewer
		case len(m.Aliases) > 0:
			m.Aliases = nil
		case m.Reason != "":
			const longest = 6 // bytes that JSON makes of one
			m.Reason = cut(m.Reason, max(0, len(m.Reason)-over/longest-2*len("…")))
		case m.Plan != nil && m.Plan.Identity != "":
			p := *m.Plan
			p.Identity = "" // half a name names nothing
			m.Plan = &p
		default:
			return nil, fmt.Errorf("a termination message has %d bytes; a kubelet keeps %d", len(b), Limit)
		}
	}
}

// cut shortens s to n bytes and a mark, between characters.
func cut(s string, n int) string {
	if n == 0 {
		return ""
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// Parse reads a message. Anything else, the end of a log, say, or what another program left, is not ok.
func Parse(text string) (m Message, ok bool) {
	text = strings.TrimSpace(text)
	if len(text) > 2*Limit || !strings.HasPrefix(text, "{") {
		return Message{}, false
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil || m.Command == "" {
		return Message{}, false
	}
	return m, true
}
