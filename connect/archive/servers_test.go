package archive

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
	"github.com/narudata/naru/internal/testbed"
)

// columnsScript compares the typed columns with the documents beside them, as Python understands these. It
// prints how many values it compared.
const columnsScript = `
import sys, json, datetime, duckdb, pyarrow.parquet as pq

def moment(v):
    if isinstance(v, (int, float)) or v.lstrip('-').isdigit() and len(v) > 4:
        return datetime.datetime.fromtimestamp(int(v) / 1000, datetime.timezone.utc)
    d = datetime.datetime.fromisoformat(v)
    return d if d.tzinfo else d.replace(tzinfo=datetime.timezone.utc)

def fits(column, value):
    if isinstance(column, bool):
        return value in (column, str(column).lower())
    if isinstance(column, datetime.datetime):
        return moment(value).replace(microsecond=0) == column.replace(microsecond=0)
    if isinstance(column, (int, float)):
        return float(value) == float(column)
    return column == value or column == json.dumps(value)

compared = 0
for path in json.load(sys.stdin):
    rows = pq.read_table(path).to_pylist()
    base = '_index, _type, _id, _routing, _source'
    duck = duckdb.connect().execute(f'SELECT {base} FROM read_parquet(?)', [path]).fetchall()
    assert duck == [tuple(r[c] for c in base.split(', ')) for r in rows], path
    for row in rows:
        if row['_source'] is None:
            continue
        source = json.loads(row['_source'])
        for name, column in row.items():
            if name.startswith('_'):
                continue
            value = source
            for part in name.split('.'):
                value = value.get(part) if isinstance(value, dict) else None
            if value is None:
                value = source.get(name)
            if value is None or isinstance(value, (list, dict)):
                assert column is None, (path, row['_id'], name, column, value)
                continue
            assert column is not None and fits(column, value), (path, row['_id'], name, column, value)
            compared += 1
print(compared)
`

func TestWhatRealServersHeldComesBackAndOthersReadItsColumns(t *testing.T) {
	for _, server := range []string{"es56", "es68", "es710", "es717", "es8", "os13", "os29", "os219", "os3"} {
		t.Run(server, func(t *testing.T) {
			const snapshot = "snap-2"
			var cluster struct{ Indices map[string]json.RawMessage }
			must(t, json.Unmarshal(testbed.TruthCluster(t, server, snapshot), &cluster))
			var groups []flow.Group
			for name, meta := range cluster.Indices {
				groups = append(groups, flow.Group{Name: name, Meta: meta, Grade: flow.Lossless})
			}
			var want []flow.Record
			for _, docs := range testbed.Truth(t, server, snapshot) {
				for _, d := range docs {
					r := flow.Record{Index: d.Index, Type: d.Type, Key: []byte(d.ID), Body: d.Source}
					if d.Routing != "" {
						r.Routing = []byte(d.Routing)
					}
					want = append(want, r)
				}
			}
			for _, format := range []string{NDJSON, Parquet} {
				dir := t.TempDir()
				s := openTest(t, Config{Dir: dir, Format: format})
				must(t, s.Prepare(t.Context(), groups))
				must(t, s.Write(t.Context(), want))
				must(t, s.Commit(t.Context(), nil))
				must(t, s.Finish(t.Context()))
				src, err := OpenSource(t.Context(), dir)
				must(t, err)
				defer src.Close()
				if diff := flowtest.Diff(want, records(readAll(t, src, 1000))); diff != "" {
					t.Errorf("%s: %s", format, diff)
				}
				if format != Parquet {
					continue
				}
				var files []string
				for _, f := range s.history.files {
					files = append(files, filepath.Join(dir, f.Path))
				}
				list, err := json.Marshal(files)
				must(t, err)
				cmd := exec.CommandContext(t.Context(), python(t, "duckdb", "pyarrow"), "-c", columnsScript)
				cmd.Stdin = strings.NewReader(string(list))
				var stderr strings.Builder
				cmd.Stderr = &stderr
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%v: %s", err, &stderr)
				}
				var compared int
				must(t, json.Unmarshal(out, &compared))
				if compared < 10_000 {
					t.Errorf("only %d values have columns", compared)
				}
			}
		})
	}
}
