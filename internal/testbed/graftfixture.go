package testbed

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// GraftFixtures lists what Fixture, Truth and GraftTruth have besides Fixtures: what FillGraft wrote on these servers. Their
// repositories are main and parts.
var GraftFixtures = []string{"graft68", "graft717", "graft84", "graft811"}

// GraftServers are those which wrote GraftFixtures, in the same order.
var GraftServers = []string{"es68", "es717", "es84", "es811"}

// GraftTruth is what the server held that wrote a fixture of GraftFixtures, by snapshot: snap-1, half and snap-2 in main, parts in
// parts.
func GraftTruth(tb testing.TB, name string) map[string]GraftSnapshot {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(Root(tb), "testdata", "snapshots", name, "truth.tar.zst"))
	if err != nil {
		tb.Fatal(err)
	}
	snapshots := map[string]GraftSnapshot{}
	documents := map[string]map[string]Version{}
	err = eachFile(data, func(file string, r io.Reader) error {
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		snapshot, file := filepath.Base(filepath.Dir(file)), filepath.Base(file)
		s := snapshots[snapshot]
		switch index, isIndex := strings.CutSuffix(file, ".ndjson"); {
		case isIndex:
			documents[snapshot+"/"+index], err = versionsOf(text)
		case file == "_cluster.json":
			s.Cluster = text
		default:
			cluster := s.Cluster
			err = json.Unmarshal(text, &s)
			s.Cluster = cluster
		}
		snapshots[snapshot] = s
		return err
	})
	if err != nil {
		tb.Fatalf("truth of %s: %v", name, err)
	}
	for snapshot, s := range snapshots {
		for index, ix := range s.Indices {
			ix.Documents = documents[snapshot+"/"+index]
			s.Indices[index] = ix
		}
	}
	return snapshots
}

// A truthLine is a line of the truth of an index, as Truth reads it, with what Version has.
type truthLine struct {
	Index       string          `json:"_index"`
	ID          string          `json:"_id"`
	Version     int64           `json:"_version"`
	SeqNo       int64           `json:"_seq_no"`
	PrimaryTerm int64           `json:"_primary_term"`
	Routing     string          `json:"_routing,omitempty"`
	Source      json.RawMessage `json:"_source,omitempty"`
}

func versionsOf(text []byte) (map[string]Version, error) {
	documents := map[string]Version{}
	for row := range bytes.Lines(text) {
		var l truthLine
		if err := json.Unmarshal(row, &l); err != nil {
			return nil, fmt.Errorf("%w in %.200q", err, row)
		}
		documents[l.ID] = Version{l.Version, l.SeqNo, l.PrimaryTerm, l.Routing, string(l.Source)}
	}
	return documents, nil
}

// WriteGraftFixture makes testdata/snapshots/<name> of what FillGraft wrote on a node.
func WriteGraftFixture(tb testing.TB, n *Node, c *GraftCorpus, name string) {
	tb.Helper()
	dir := filepath.Join(Root(tb), "testdata", "snapshots", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	repo, truth := map[string][]byte{}, map[string][]byte{}
	for _, r := range []string{c.Main, c.Parts} {
		err := filepath.WalkDir(r, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			file, err := filepath.Rel(filepath.Dir(r), path)
			if err != nil {
				return err
			}
			repo[file], err = os.ReadFile(path)
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	var about strings.Builder
	fmt.Fprintf(&about, "Real snapshot repositories (fs) of Elasticsearch %s with the graft corpus (internal/testbed/graftcorpus.go).\n", n.Version)
	for _, snapshot := range slices.Sorted(maps.Keys(c.Snapshots)) {
		s := c.Snapshots[snapshot]
		fmt.Fprintf(&about, "%s, %s:\n", snapshot, s.State)
		for _, index := range slices.Sorted(maps.Keys(s.Indices)) {
			ix := s.Indices[index]
			fmt.Fprintf(&about, "  %-36s %4d documents, %3d answers  %s\n", index, len(ix.Documents), len(ix.Answers), ix.Why)
			var lines bytes.Buffer
			for _, id := range slices.Sorted(maps.Keys(ix.Documents)) {
				d := ix.Documents[id]
				appendJSON(&lines, truthLine{index, id, d.Version, d.SeqNo, d.PrimaryTerm, d.Routing, nil})
				if d.Source != "" { // its bytes as they are, which encoding/json would make compact
					lines.Truncate(lines.Len() - len("}\n"))
					fmt.Fprintf(&lines, `,"_source":%s}`+"\n", strings.ReplaceAll(d.Source, "\n", " "))
				}
			}
			if index != "half" {
				truth["truth/"+snapshot+"/"+index+".ndjson"] = lines.Bytes()
			}
		}
		truth["truth/"+snapshot+"/_cluster.json"] = s.Cluster
		bare := GraftSnapshot{State: s.State, Indices: map[string]GraftIndex{}}
		for index, ix := range s.Indices {
			ix.Documents = nil
			bare.Indices[index] = ix
		}
		truth["truth/"+snapshot+"/_graft.json"] = mustJSON(bare)
	}
	for file, content := range map[string][]byte{"repo.tar.zst": pack(tb, repo), "truth.tar.zst": pack(tb, truth), "README": []byte(about.String())} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o644); err != nil {
			tb.Fatal(err)
		}
		tb.Logf("%s/%s: %d bytes", name, file, len(content))
	}
}

// pack is a .tar.zst of those files, in the order of their names.
func pack(tb testing.TB, files map[string][]byte) []byte {
	tb.Helper()
	var packed bytes.Buffer
	compressed, err := zstd.NewWriter(&packed, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(8<<20))
	if err != nil {
		tb.Fatal(err)
	}
	archive := tar.NewWriter(compressed)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			tb.Fatal(err)
		}
		if _, err := archive.Write(files[name]); err != nil {
			tb.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		tb.Fatal(err)
	}
	if err := compressed.Close(); err != nil {
		tb.Fatal(err)
	}
	return packed.Bytes()
}
