package logstash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/logstash/input"
)

// buried keeps the bodies and reasons of dead letters.
type buried struct {
	mu   sync.Mutex
	dead []string
}

func (b *buried) Bury(_ context.Context, recs []flow.Record, why []error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range recs {
		b.dead = append(b.dead, fmt.Sprintf("%s|%s|%v", recs[i].Index, recs[i].Body, why[i]))
	}
	return nil
}

func TestPipelinesSendEachOtherEventsWithEverythingThatTheyHave(t *testing.T) {
	var addresses input.Addresses
	first, problems := compileText(t, `input { stdin { codec => json_lines } } filter { mutate { add_field => { "[@metadata][way]" => "left" } } }
		output { pipeline { send_to => ["a", "b"] } }`)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var outs [2]strings.Builder
	var all sync.WaitGroup
	for i, name := range []string{"a", "b"} {
		p, problems := compileText(t, `input { pipeline { address => "`+name+`" } } output { stdout { codec => line { format => "`+name+` %{n} %{[@metadata][way]}" } } }`)
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			if _, err := p.Run(ctx, RunOptions{ID: name, Stdout: &outs[i], Addresses: &addresses, Dead: &buried{}}); err != nil {
				t.Error(err)
			}
		})
	}
	var in, wantA, wantB strings.Builder
	for n := range 5000 {
		fmt.Fprintf(&in, "{\"n\":%d}\n", n)
		fmt.Fprintf(&wantA, "a %d left\n", n)
		fmt.Fprintf(&wantB, "b %d left\n", n)
	}
	tally, err := first.Run(t.Context(), RunOptions{Stdin: strings.NewReader(in.String()), Addresses: &addresses, Ordered: true, Dead: &buried{}})
	if err != nil || tally.Records != 5000 {
		t.Errorf("%+v, %v", tally, err)
	}
	cancel()
	all.Wait()
	if outs[0].String() != wantA.String() || outs[1].String() != wantB.String() {
		t.Error("the events are others, or in another order")
	}
}

func TestWhatAConditionLosesIsADeadLetterAndTheBooksBalance(t *testing.T) {
	p, problems := compileText(t, `input { stdin { codec => json_lines } }
		filter {
			if [n] > 5 { drop { } }
			clone { clones => ["c"] }
			if [m] { if [m] > 1 { mutate { add_tag => "big" } } }
		}
		output { if "big" in [tags] { null { } } if [o] > 1 { stdout { codec => line { format => "%{n}" } } } }`)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	var now Running
	dead := &buried{}
	var out strings.Builder
	in := `{"n":1,"o":2}` + "\n" + `{"n":9}` + "\n" + `{"n":"x"}` + "\n" + `{"n":2,"m":7,"o":1}` + "\n" + `{"n":3}` + "\n"
	if _, err := p.Run(t.Context(), RunOptions{Stdin: strings.NewReader(in), Stdout: &out, Dead: dead, Running: func(r Running) { now = r }}); err != nil {
		t.Fatal(err)
	}
	f := p.Figures(now.Stats)
	if f.In != 5 || f.Made != 3 || f.Dropped != 1 || f.Lost != 3 || f.In+f.Made != f.Dropped+f.Lost+f.Filtered {
		t.Errorf("the books are %+v", f)
	}
	if len(dead.dead) != 3 || !strings.Contains(dead.dead[0], `"n":"x"`) || !strings.HasPrefix(dead.dead[0], "conditions|") {
		t.Errorf("the dead letters are %q", dead.dead)
	}
	if out.String() != "1\n1\n" {
		t.Errorf("got %q", out.String())
	}
	if i := slices.IndexFunc(f.Filters, func(x FilterFigures) bool { return x.Name == "clone" }); f.Filters[i].In != 3 || f.Filters[i].Made != 3 || f.Filters[i].Out != 6 {
		t.Errorf("clone: %+v", f.Filters)
	}
}

func TestDeadLettersHaveAStoreOfThePipelineUnlessOneIsGiven(t *testing.T) {
	p, problems := compileText(t, `input { stdin { codec => json_lines } } filter { if [n] > 5 { drop { } } } output { null { } }`)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	tally, err := p.Run(t.Context(), RunOptions{ID: "web", Stdin: strings.NewReader(`{"n":"x"}` + "\n"), Data: data})
	if err != nil || tally.Dead != 1 {
		t.Errorf("%+v, %v", tally, err)
	}
	if files, err := os.ReadDir(filepath.Join(data, "dead", "web")); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestARunThatCannotOpenAnInputLetsTheOthersGo(t *testing.T) {
	p, problems := compileText(t, `input { pipeline { address => "a" } pipeline { address => "a" } } output { null { } }`)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	var addresses input.Addresses
	for range 2 {
		if _, err := p.Run(t.Context(), RunOptions{Addresses: &addresses, Data: t.TempDir()}); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	if err := addresses.Send(t.Context(), "a", nil); !errors.Is(err, input.ErrNobody) {
		t.Errorf("got %v", err)
	}
}
