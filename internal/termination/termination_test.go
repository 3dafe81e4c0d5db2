package termination

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAMessageIsReadAsItWasWritten(t *testing.T) {
	want := Message{
		Command: "naru run", Exit: 4, State: "partial", Reason: "2 documents were refused",
		Carry: &Carry{Records: 10, Delivered: 8, DeadLetters: 2, Bytes: 800, Parts: 3, PartsDone: 3},
	}
	file := filepath.Join(t.TempDir(), "log")
	if err := want.Write(file); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := Parse(string(b))
	if !ok {
		t.Fatalf("not a message: %s", b)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestALongMessageKeepsItsCounts(t *testing.T) {
	m := Message{Command: "naru verify", Exit: 3, Reason: strings.Repeat("ä\"", 4000), Plan: &Plan{Records: 7, Identity: "it"},
		Verification: &Verification{Different: 900}}
	for range 900 {
		m.Verification.Differences = append(m.Verification.Differences, "logs-2019: 1 document differs")
	}
	b, err := m.line()
	if err != nil {
		t.Fatal(err)
	}
	got, ok := Parse(string(b))
	if !ok || len(b) > Limit {
		t.Fatalf("%d bytes, a message: %t", len(b), ok)
	}
	if got.Plan.Records != 7 || got.Verification.Different != 900 || !strings.HasPrefix(got.Reason, `ä"`) {
		t.Errorf("lost what matters: %s", b)
	}
	if m.Verification.Differences == nil || len(m.Verification.Differences) != 900 {
		t.Error("writing changed the message")
	}
}

func TestTheEndOfALogIsNoMessage(t *testing.T) {
	for _, text := range []string{"", "level=INFO msg=done", "{", `{"level":"info"}`, `[1]`, "{" + strings.Repeat(" ", 2*Limit) + "}"} {
		if m, ok := Parse(text); ok {
			t.Errorf("%.40q was read as %+v", text, m)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"command":"naru run","exit":1,"reason":"x"}`)
	f.Add(`{"command":"naru explain","plan":{"records":-1}}`)
	f.Fuzz(func(t *testing.T, text string) {
		m, ok := Parse(text)
		if !ok {
			return
		}
		b, err := m.line()
		if err != nil {
			return // larger than a kubelet keeps
		}
		if _, again := Parse(string(b)); !again || len(b) > Limit {
			t.Errorf("%q is read, and what is written of it is not: %s", text, b)
		}
	})
}
