package archive

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/testbed"
)

// python gives an interpreter that has the modules, in a virtual environment under the project's cache.
func python(t *testing.T, packages ...string) string {
	t.Helper()
	base, err := exec.LookPath("python3")
	testbed.Need(t, err == nil, "python3 is not installed")
	root := testbed.Cache(t)
	venv := filepath.Join(root, "venv")
	bin := filepath.Join(venv, "bin", "python")
	check := "import " + strings.Join(packages, ", ")
	if exec.CommandContext(t.Context(), bin, "-c", check).Run() == nil {
		return bin
	}
	must(t, os.MkdirAll(root, 0o755))
	out, err := exec.CommandContext(t.Context(), base, "-m", "venv", venv).CombinedOutput()
	testbed.Need(t, err == nil, fmt.Sprintf("python3 -m venv: %v: %s", err, out))
	install := append([]string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check"}, packages...)
	out, err = exec.CommandContext(t.Context(), bin, install...).CombinedOutput()
	testbed.Need(t, err == nil, fmt.Sprintf("pip install %v: %v: %s", packages, err, out))
	return bin
}

const interopScript = `
import sys, json, duckdb, pyarrow.parquet as pq

def plain(v):
    if hasattr(v, 'isoformat'):
        return v.isoformat()
    return v

engine, pattern = sys.argv[1], sys.argv[2]
if engine == 'duckdb':
    db = duckdb.connect()
    db.execute("SET TimeZone='UTC'")
    rel = db.sql(f"SELECT * FROM read_parquet('{pattern}') ORDER BY _id")
    types = dict(zip(rel.columns, map(str, rel.types)))
    # Times as text, without the help of further modules.
    cast = [f'CAST(epoch_ns("{c}") AS VARCHAR) AS "{c}"' if t.startswith('TIMESTAMP') else f'"{c}"' for c, t in types.items()]
    rel2 = db.sql(f"SELECT {', '.join(cast)} FROM rel ORDER BY _id")
    types = {c: 'TIMESTAMP' if t.startswith('TIMESTAMP') else t for c, t in types.items()} # named otherwise by each version
    rows = [dict(zip(rel2.columns, r)) for r in rel2.fetchall()]
else:
    import glob, pyarrow as pa
    t = pa.concat_tables([pq.read_table(f) for f in sorted(glob.glob(pattern))]).sort_by('_id')
    types = {f.name: str(f.type) for f in t.schema}
    for i, f in enumerate(t.schema):
        if pa.types.is_timestamp(f.type):
            scale = {'ms': 1000000, 'ns': 1}[f.type.unit]
            t = t.set_column(i, f.name, pa.array([None if v is None else str(v * scale) for v in t.column(i).cast(pa.int64()).to_pylist()], pa.string()))
    rows = t.to_pylist()
    meta = pq.ParquetFile(sorted(glob.glob(pattern))[0]).metadata
    group = meta.row_group(0)
    stats = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    for name, c in stats.items():
        assert c.compression == 'ZSTD', (name, c.compression)
    assert stats['long'].statistics.max is not None
    assert stats['_source'].statistics is None or not stats['_source'].statistics.has_min_max
json.dump({'types': types, 'rows': rows}, sys.stdout)
`

func TestOthersReadTheParquetFiles(t *testing.T) {
	bin := python(t, "duckdb", "pyarrow")
	meta := `{"mappings":{"properties":{"text":{"type":"text"},"word":{"type":"keyword"},"long":{"type":"long"},"huge":{"type":"unsigned_long"},
		"real":{"type":"double"},"yes":{"type":"boolean"},"@timestamp":{"type":"date"},"nanos":{"type":"date_nanos"},"day":{"type":"date","format":"dd/MM/yyyy"},
		"odd":{"type":"date","format":"EEE"},"geo":{"properties":{"city.name":{"type":"keyword"},"ip":{"type":"ip"}}},"한국":{"type":"keyword"},"Word":{"type":"keyword"}}}}`
	docs := []string{
		`{"text":"a \"text\"\n","word":"w","long":9223372036854775807,"huge":18446744073709551615,"real":-0.5e-3,"yes":true,"@timestamp":"2024-02-29T12:34:56.789+09:00","nanos":"2024-02-29T12:34:56.123456789Z","day":"31/12/1969","odd":"Mon","geo":{"city":{"name":"서울"},"ip":"::1"},"한국":"나루"}`,
		`{"text":["a","b"],"word":{"x":1},"long":1.5,"huge":-1,"real":"NaN","yes":"perhaps","@timestamp":"yesterday","nanos":"1900-01-01","day":"1/1/1","odd":7,"geo":"here"}`,
		`{"text":7,"word":true,"long":"-42","huge":"7","real":"1.5","yes":"false","@timestamp":1546300800123,"nanos":1546300800123,"day":null,"geo.city.name":"flat","geo.ip":"10.0.0.1","word":"last \ud83d\ude00"}`,
		`{}`,
		`{"long":5.0,"@timestamp":"-5","word":"` + strings.Repeat("x", 40_000) + `","text":"` + strings.Repeat("y", 40_000) + `"}`,
	}
	dir := t.TempDir()
	s := openTest(t, Config{Dir: dir, Format: Parquet})
	must(t, s.Prepare(t.Context(), []flow.Group{{Name: "an index", Meta: json.RawMessage(meta)}}))
	var ps []rec
	for i, doc := range docs {
		ps = append(ps, rec{"an index", "", fmt.Sprint(i), "-", doc})
	}
	ps[1].Routing, ps[2].Type = "r", "event"
	ps = append(ps, rec{"an index", "", "5", "", "-"})
	must(t, write(s, "p", ps...))
	more := logs(2000) // another file, with pages and dictionaries
	for i := range more {
		more[i].Index, more[i].Key = "an index", fmt.Sprintf("more %d", i)
		more[i].Body = strings.Replace(more[i].Body, `"verb":"GET"`, fmt.Sprintf(`"long":%d,"word":"w%d"`, i, i%7), 1)
	}
	must(t, write(s, "q", more...))
	must(t, s.Finish(t.Context()))

	row := func(p rec, typed map[string]any) map[string]any {
		r := map[string]any{"_index": p.Index, "_id": p.Key, "_type": nil, "_routing": nil, "_source": nil}
		if p.Type != "" {
			r["_type"] = p.Type
		}
		if p.Routing != "-" {
			r["_routing"] = p.Routing
		}
		if p.Body != "-" {
			r["_source"] = p.Body
		}
		for _, name := range []string{"text", "long", "huge", "real", "yes", "@timestamp", "nanos", "day", "odd", "geo.city.name", "geo.ip", "한국", "Word"} {
			r[name] = typed[name]
		}
		return r
	}
	// Of the two fields that differ in case only, the first by name has the column: Word, which no document has.
	want := []map[string]any{
		row(ps[0], map[string]any{"text": "a \"text\"\n", "long": json.Number("9223372036854775807"), "huge": json.Number("18446744073709551615"), "real": json.Number("-0.0005"), "yes": true,
			"@timestamp": "1709177696789000000", "nanos": "1709210096123456789", "day": "-86400000000000", "odd": "Mon", "geo.city.name": "서울", "geo.ip": "::1", "한국": "나루"}),
		row(ps[1], map[string]any{"odd": "7"}),
		row(ps[2], map[string]any{"text": "7", "long": json.Number("-42"), "huge": json.Number("7"), "real": json.Number("1.5"), "yes": false,
			"@timestamp": "1546300800123000000", "nanos": "1546300800123000000", "geo.city.name": "flat", "geo.ip": "10.0.0.1"}),
		row(ps[3], nil),
		row(ps[4], map[string]any{"long": json.Number("5"), "@timestamp": "-5000000", "text": strings.Repeat("y", 40_000)}),
		row(ps[5], nil),
	}
	wantTypes := map[string]map[string]string{
		"duckdb": {"_index": "VARCHAR", "_type": "VARCHAR", "_id": "VARCHAR", "_routing": "VARCHAR", "_source": "VARCHAR", "text": "VARCHAR", "Word": "VARCHAR",
			"long": "BIGINT", "huge": "UBIGINT", "real": "DOUBLE", "yes": "BOOLEAN", "@timestamp": "TIMESTAMP", "nanos": "TIMESTAMP",
			"day": "TIMESTAMP", "odd": "VARCHAR", "geo.city.name": "VARCHAR", "geo.ip": "VARCHAR", "한국": "VARCHAR"},
		"pyarrow": {"_index": "string", "_type": "string", "_id": "string", "_routing": "string", "_source": "string", "text": "string", "Word": "string",
			"long": "int64", "huge": "uint64", "real": "double", "yes": "bool", "@timestamp": "timestamp[ms, tz=UTC]", "nanos": "timestamp[ns, tz=UTC]",
			"day": "timestamp[ms, tz=UTC]", "odd": "string", "geo.city.name": "string", "geo.ip": "string", "한국": "string"},
	}
	for engine, types := range wantTypes {
		t.Run(engine, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), bin, "-c", interopScript, engine, filepath.Join(dir, DirName("an index"), "*.parquet"))
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, &stderr)
			}
			var got struct {
				Types map[string]string
				Rows  []map[string]any
			}
			dec := json.NewDecoder(strings.NewReader(string(out)))
			dec.UseNumber()
			must(t, dec.Decode(&got))
			if diff := cmp.Diff(types, got.Types); diff != "" {
				t.Errorf("types:\n%s", diff)
			}
			if len(got.Rows) != len(ps)+len(more) {
				t.Fatalf("%d rows, want %d", len(got.Rows), len(ps)+len(more))
			}
			if diff := cmp.Diff(want, got.Rows[:len(want)]); diff != "" {
				t.Errorf("rows:\n%s", diff)
			}
			bodies := map[string]string{}
			for _, p := range more {
				bodies[p.Key] = p.Body
			}
			for _, r := range got.Rows[len(want):] {
				id, _ := r["_id"].(string)
				if r["_source"] != bodies[id] || fmt.Sprint(r["long"]) != strings.TrimPrefix(id, "more ") {
					t.Fatalf("row %v", r)
				}
			}
		})
	}
}
