package operator

import (
	"strings"
	"testing"
	"time"
)

func TestTheLastProgressInALogIsTaken(t *testing.T) {
	line := `{"time":"2026-11-24T10:00:20Z","held":"busy","started":"2026-11-24T10:00:00Z","planned":true,"total":{"parts":4,"done":2,"records":300,"earlier_records":100,"delivered":290,"dead":10,"expected_records":600},"groups":[]}`
	early := strings.Replace(line, `"planned":true`, `"planned":false`, 1)
	for text, want := range map[string]bool{
		line: true, "x\n" + line + "\n{\"level\":\"INFO\",\"msg\":\"y\"}\n": true, early: false, line + "\n" + early: false,
		"": false, "{": false, "[1]\n\x00\xff": false, `{"started":7}`: false, `{"total":{"done":1}}`: false, line[:len(line)-9]: false,
	} {
		p := parseProgress([]byte(text))
		if (p != nil) != want {
			t.Errorf("%q: %+v", text, p)
		}
		if p != nil && (p.Total.Done != 2 || p.Held != "busy" || p.rate() != 10) {
			t.Errorf("%+v, %v records/s", p, p.rate())
		}
	}
	var none podProgress
	if none.Time = time.Now(); none.rate() != 0 {
		t.Error("what has done nothing has a rate")
	}
}
