package connect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect/archive"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stage"
	"github.com/narudata/naru/internal/testbed"
)

func noEnv(string) string { return "" }

// shop is a flow from a real repository into dir.
func shop(t *testing.T, dir string) *Flow {
	t.Helper()
	return &Flow{
		Source: Source{Snapshot: &Snapshot{URL: filepath.Join(testbed.Root(t), "examples", "snapshot", "repo")}},
		Sink:   Sink{NDJSON: &NDJSON{Dir: dir}},
	}
}

func run(t *testing.T, f *Flow, env func(string) string, stdout io.Writer) flow.Report {
	t.Helper()
	o, err := f.Open(t.Context(), Env{Getenv: env, Stdout: stdout})
	if err != nil {
		t.Fatal(err)
	}
	report, err := flow.Run(t.Context(), o.Flow, f.Engine())
	if err := errors.Join(err, o.CloseSink(), o.Close()); err != nil {
		t.Fatal(err)
	}
	return report
}

func TestAnArchiveIsContinuedOnlyByTheSameFlow(t *testing.T) {
	dir := t.TempDir()
	key := func(k string) func(string) string {
		return func(name string) string {
			return map[string]string{stage.MaskKeyEnv: k}[name]
		}
	}
	masked := func() *Flow {
		f := shop(t, dir)
		f.Source.Snapshot.Indices = flow.Patterns{"shop-customers"}
		f.Stages = []Stage{{Mask: &stage.Mask{Fields: []string{"email"}}}}
		return f
	}
	const first, second = "the first key of all", "a second key, another"
	if r := run(t, masked(), key(first), nil); r.Total.Earlier != 0 || r.Total.Tally.Delivered != 120 {
		t.Errorf("the first run: %+v", r.Total)
	}
	if r := run(t, masked(), key(first), nil); r.Total.Earlier != r.Total.Parts {
		t.Errorf("the second run: %+v", r.Total)
	}
	for name, change := range map[string]func(f *Flow) func(string) string{
		"other key":     func(*Flow) func(string) string { return key(second) },
		"other field":   func(f *Flow) func(string) string { f.Stages[0].Mask.Fields = []string{"name"}; return key(first) },
		"no stage":      func(f *Flow) func(string) string { f.Stages = nil; return key(first) },
		"other indices": func(f *Flow) func(string) string { f.Source.Snapshot.Indices = nil; return key(first) },
		"other snapshot": func(f *Flow) func(string) string {
			f.Source.Snapshot.Snapshot = "nightly-2019.02.28"
			f.Source.Snapshot.Indices = flow.Patterns{"shop-*", "-shop-logs-*"}
			return key(first)
		},
	} {
		f := masked()
		env := change(f)
		o, err := f.Open(t.Context(), Env{Getenv: env})
		if !errors.Is(err, archive.ErrOtherFlow) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				err = o.Close()
			}
		}
		if err != nil && strings.Contains(err.Error(), first) {
			t.Errorf("%s: the message has the key: %v", name, err)
		}
	}
}

func TestAnArchiveIsASourceWhoseIndicesCanBeChosen(t *testing.T) {
	dir := t.TempDir()
	run(t, shop(t, dir), noEnv, nil)
	source := Source{Archive: &Archive{Dir: dir, Indices: flow.Patterns{"shop-logs-*", "!*.02"}}}
	s, closer, err := source.Open(t.Context(), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	defer closer()
	groups, err := s.(flow.Describer).Groups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var described, given []string
	for _, g := range groups {
		described = append(described, g.Name)
	}
	for p, err := range s.Parts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if len(given) == 0 || given[len(given)-1] != p.Group {
			given = append(given, p.Group)
		}
	}
	want := []string{"shop-logs-2019.01", "shop-logs-2019.03"}
	if diff := cmp.Diff([][]string{want, want}, [][]string{described, given}); diff != "" {
		t.Error(diff)
	}
	if _, _, err := (&Source{Archive: &Archive{Dir: dir, Indices: flow.Patterns{"[a"}}}).Open(t.Context(), noEnv); err == nil {
		t.Error("a malformed pattern is taken")
	}
}

func TestASinkIsFoundByWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	run(t, shop(t, dir), noEnv, nil)
	s, err := SinkAt("archive", dir)
	if err != nil || s.NDJSON == nil || s.Dir() != dir {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := SinkAt("archive", t.TempDir()); err == nil {
		t.Error("an empty directory is an archive")
	}
	if _, err := SinkAt("kafka", dir); err == nil {
		t.Error("there is a sink of the kind kafka")
	}
}

func TestStandardOutputHasALineForEachRecord(t *testing.T) {
	var out bytes.Buffer
	f := shop(t, "-")
	if !f.Sink.Stream() || f.Sink.Dir() != "" {
		t.Error("- is not standard output")
	}
	r := run(t, f, noEnv, &out)
	if n := bytes.Count(out.Bytes(), []byte("\n")); int64(n) != r.Total.Tally.Delivered || n == 0 {
		t.Errorf("%d lines, %d delivered", n, r.Total.Tally.Delivered)
	}
}

// TestEveryKindIsOpened sees to it that a kind added to a table is known wherever kinds are told apart.
func TestEveryKindIsOpened(t *testing.T) {
	empty := t.TempDir()
	for _, f := range Fields(reflect.TypeFor[Source]()) {
		var s Source
		set(&s, f)
		if _, _, err := s.Open(t.Context(), noEnv); err == nil || strings.Contains(err.Error(), "give one of") {
			t.Errorf("source %s: %v", f.Name, err)
		}
		if s.String() == "" {
			t.Errorf("source %s has no name", f.Name)
		}
	}
	for _, f := range Fields(reflect.TypeFor[Stage]()) {
		var s Stage
		set(&s, f)
		if _, err := s.Open(noEnv); err == nil || strings.Contains(err.Error(), "give one of") {
			t.Errorf("stage %s: %v", f.Name, err)
		}
		if s.String() == "" {
			t.Errorf("stage %s has no name", f.Name)
		}
	}
	for _, f := range Fields(reflect.TypeFor[Sink]()) {
		var s Sink
		set(&s, f)
		if grade, means, writes := s.Promise(); grade == "" || means == "" || writes == "" || s.String() == "" {
			t.Errorf("sink %s: %q, %q, %q, %q", f.Name, grade, means, writes, s)
		}
		flow := Flow{Source: Source{Archive: &Archive{Dir: empty}}, Sink: s}
		if _, err := flow.Open(t.Context(), Env{Getenv: noEnv}); err == nil {
			t.Errorf("sink %s: opened without a directory", f.Name)
		}
	}
}

// set gives the kind f an empty configuration.
func set(table any, f Field) {
	reflect.ValueOf(table).Elem().FieldByIndex(f.Index).Set(reflect.New(f.Type.Elem()))
}

func TestAFlowFileIsAFlow(t *testing.T) {
	var f Flow
	err := Decode("flow.yaml", fmt.Appendf(nil, `
source: {snapshot: {url: /backups, snapshot: "nightly-*", indices: [logs-*, "!logs-x"]}}
stages:
  - sample: {rate: 0.5%%}
  - mask: {fields: [user.email, ip], keyFile: /key}
sink: {parquet: {dir: /archive, columns: -1}}
options: {workers: 3, saveInterval: 1m}
`), &f)
	if err != nil {
		t.Fatal(err)
	}
	if f.Source.String() != "snapshot:/backups" || f.Sink.String() != "parquet:/archive" || len(f.Source.Patterns()) != 2 ||
		f.Stages[0].String() != "sample 0.5%" || f.Stages[1].String() != "mask user.email,ip" || f.Sink.Parquet.Columns != -1 ||
		f.Engine().Workers != 3 || f.Engine().SaveInterval.Minutes() != 1 {
		t.Errorf("%+v", f)
	}
	for in, want := range map[string]string{
		"source: {snapshot: {}}\nsink: {ndjson: {dir: x}}":                                        "flow.yaml:1:20: source.snapshot: url is missing",
		"source: {archive: {dir: x}}\nsink: {ndjson: {}}":                                         "flow.yaml:2:16: sink.ndjson: dir: missing",
		"source: {archive: {dir: x}}\nsink: {}":                                                   "flow.yaml:2:7: sink: give one of ndjson, parquet",
		"source: {archive: {dir: x}}\nstages: [{sample: {rate: 200%}}]\nsink: {ndjson: {dir: x}}": "flow.yaml:2:19: stages[0].sample: rate 2",
		"source: {archive: {dir: x}}\nstages: [{}]\nsink: {ndjson: {dir: x}}":                     "flow.yaml:2:10: stages[0]: give one of sample, mask",
		"source: {archive: {dir: x}}\nsink: {ndjson: {dir: x}}\noptions: {workers: -1}":           "flow.yaml:3:10: options: a bound is negative",
	} {
		err := Decode("flow.yaml", []byte(in), new(Flow))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
}
