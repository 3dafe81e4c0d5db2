package event

import (
	"testing"
	"time"
)

var noon = time.Date(2020, 2, 29, 12, 0, 0, 120034000, time.UTC)

func decoded(t *testing.T, line string) *Event {
	t.Helper()
	v, err := ParseJSON([]byte(line), JSONOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return FromMap(v)
}

func ref(t *testing.T, s string) *Ref {
	t.Helper()
	r, err := ParseRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAnEventPrintsItsFieldsInTheOrderTheyWereSet(t *testing.T) {
	e := NewAt(noon)
	for _, s := range []string{"[p][q][r]", "a.b", "[p][s]"} {
		if err := e.Set(ref(t, s), StringValue(`"x"`)); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"@version":"1","@timestamp":"2020-02-29T12:00:00.120034Z","p":{"q":{"r":"\"x\""},"s":"\"x\""},"a.b":"\"x\""}`
	if got := string(e.AppendJSON(nil)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
