package snapshot

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/format/smile"
	"github.com/narudata/naru/format/tree"
	"github.com/narudata/naru/internal/testbed"
)

var fixtures = []string{"es56", "es68", "es710", "es717", "es8", "os13", "os29", "os219", "os3"}

// eachBlob calls yield with every blob of metadata in the fixtures.
func eachBlob(t *testing.T, yield func(t *testing.T, fixture, name string, b []byte)) {
	for _, fixture := range fixtures {
		t.Run(fixture, func(t *testing.T) {
			n := 0
			root := testbed.Fixture(t, fixture)
			err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				name := d.Name()
				shards := strings.HasPrefix(name, "index-") && strings.Contains(path, "indices")
				if !shards && !strings.HasSuffix(name, ".dat") || strings.HasPrefix(name, "__") {
					return nil
				}
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				n++
				yield(t, fixture, strings.TrimPrefix(path, root), b)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if n < 50 {
				t.Errorf("only %d blobs", n)
			}
		})
	}
}

func mustJSON(t testing.TB, o any) string {
	t.Helper()
	b, err := tree.AppendJSON(nil, o)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryBlobOfEveryServerIsTheSameAfterItWasWrittenAgain(t *testing.T) {
	seen := map[string]int{}
	eachBlob(t, func(t *testing.T, fixture, name string, b []byte) {
		blob, err := OpenBlob("", b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		seen[blob.Codec+" "+blob.Compression.String()]++
		_, plain, _, err := unframe(blob.Codec, b)
		if err != nil {
			t.Fatal(err)
		}
		want, err := smile.AppendJSON(nil, plain)
		if err != nil {
			t.Fatal(err)
		}
		out, err := blob.Encode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, rewritten, compression, err := unframe(blob.Codec, out)
		if err != nil || compression != blob.Compression {
			t.Fatalf("%s: %s, %v", name, compression, err)
		}
		got, err := smile.AppendJSON(nil, rewritten)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v\nbefore %s\nafter  %s", name, err, want, got)
		}
		again, err := OpenBlob(blob.Codec, out)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(blob, again); diff != "" {
			t.Errorf("%s: (-before +after)\n%s", name, diff)
		}
	})
	for _, want := range []string{"snapshot none", "snapshot deflate", "metadata none", "metadata deflate", "index-metadata none", "index-metadata deflate", "snapshots none", "snapshots deflate", "index-metadata zstd"} {
		if seen[want] == 0 {
			t.Errorf("no blob of %s among %v", want, seen)
		}
	}
}

func TestABlobIsWrittenWithTheCompressionItWasReadWith(t *testing.T) {
	for compression, prefix := range map[Compression]string{None: ":)\n", Deflate: "DFL\x00", Zstd: "ZSTD\x00"} {
		blob := &Blob{SnapshotCodec, compression, tree.Object{{Name: "snapshot", Value: tree.Object{{Name: "name", Value: "s"}}}}}
		b, err := blob.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(b, []byte("\x3f\xd7\x6c\x17\x08snapshot\x00\x00\x00\x01"+prefix)) {
			t.Errorf("%s: %q", compression, b)
		}
		got, err := OpenBlob("", b)
		if diff := cmp.Diff(blob, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", compression, err, diff)
		}
		if s, err := ReadSnapshot(b); err != nil || s.Name != "s" {
			t.Errorf("%s: %+v, %v", compression, s, err)
		}
		if _, err := OpenBlob(IndexCodec, b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s, as another codec: %v", compression, err)
		}
	}
	for what, blob := range map[string]*Blob{
		"no codec": {}, "a long codec": {Codec: strings.Repeat("x", 128)}, "an unknown compression": {Codec: "x", Compression: 3},
		"a body that is no tree": {Codec: "x", Body: tree.Object{{Name: "a", Value: 1}}},
	} {
		if b, err := blob.Encode(); err == nil {
			t.Errorf("%s: %q", what, b)
		}
	}
}

func TestMappingsAreFoundWhereverAServerPutsThem(t *testing.T) {
	doc := tree.Object{{Name: "properties", Value: tree.Object{{Name: "z", Value: tree.Object{{Name: "type", Value: "keyword"}}}, {Name: "a", Value: tree.Object{}}}}}
	text := mustJSON(t, tree.Object{{Name: "_doc", Value: doc}})
	inSmile, err := smile.Append(nil, tree.Object{{Name: "_doc", Value: doc}})
	if err != nil {
		t.Fatal(err)
	}
	deflated, err := appendCompressed(nil, Deflate, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for what, v := range map[string]any{
		"a list of objects": []any{tree.Object{{Name: "_doc", Value: doc}}}, "an object": tree.Object{{Name: "_doc", Value: doc}},
		"JSON": []any{[]byte(text)}, "SMILE": []any{inSmile}, "compressed JSON": []any{deflated}, "bytes alone": deflated,
	} {
		index := tree.Object{{Name: "mappings", Value: v}, {Name: "aliases", Value: tree.Object{}}}
		types, err := Mappings(index)
		if got := mustJSON(t, types); err != nil || got != text {
			t.Errorf("%s: %s, %v", what, got, err)
		}
		SetMappings(&index, types)
		if got, want := mustJSON(t, index), `{"mappings":[`+text+`],"aliases":{}}`; got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	two := tree.Object{{Name: "mappings", Value: []any{tree.Object{{Name: "b", Value: doc}}, []byte(`{"a":{}}`)}}}
	types, err := Mappings(two)
	if err != nil || len(types) != 2 || types[0].Name != "b" || types[1].Name != "a" {
		t.Errorf("two types: %v, %v", types, err)
	}
	if types, err := Mappings(nil); err != nil || len(types) != 0 {
		t.Errorf("no mappings: %v, %v", types, err)
	}
	for what, v := range map[string]any{"text": "x", "a list of text": []any{"x"}, "damaged bytes": []byte("DFL\x00x"), "no object in bytes": []byte("[]"), "a type that is text": tree.Object{{Name: "_doc", Value: "x"}}} {
		if types, err := Mappings(tree.Object{{Name: "mappings", Value: v}}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, %v", what, types, err)
		}
	}
}

func TestMappingsOfRealIndicesAreTheSameAfterTheyWereSet(t *testing.T) {
	eachBlob(t, func(t *testing.T, fixture, name string, b []byte) {
		blob, err := OpenBlob("", b)
		if err != nil || blob.Codec != IndexCodec {
			return
		}
		index := blob.Body[0].Name
		before, err := ReadIndex(b, index)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		body := blob.Body.Object(index)
		types, err := Mappings(body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		SetMappings(&body, types)
		blob.Body.Set(index, body)
		out, err := blob.Encode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		after, err := ReadIndex(out, index)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s: (-before +after)\n%s", name, diff)
		}
	})
}

func TestAFileInTheMetadataIsReplacedInEveryBlobThatHasIt(t *testing.T) {
	replaced := map[string]int{}
	eachBlob(t, func(t *testing.T, fixture, name string, b []byte) {
		blob, err := OpenBlob("", b)
		if err != nil || !blob.Body.Has("files") {
			return
		}
		var want []File
		err = EditFiles(blob.Body, func(f File, element *tree.Object) error {
			element.Delete("writer_uuid")
			err := SetContents(element, []byte("new"), "z")
			if strings.HasPrefix(f.Name, "v__") != (err == nil) {
				t.Errorf("%s: %s in %s: %v", name, f.Physical, f.Name, err)
			}
			if err == nil {
				if !f.Inline() {
					t.Errorf("%s: %s in %s is not inline", name, f.Physical, f.Name)
				}
				f.Meta, f.Length, f.Checksum = []byte("new"), 3, "z"
				replaced[blob.Codec]++
			}
			want = append(want, f)
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out, err := blob.Encode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		again, err := OpenBlob(blob.Codec, out)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []File
		err = EditFiles(again.Body, func(f File, element *tree.Object) error {
			if element.Has("writer_uuid") {
				t.Errorf("%s: %s has still a writer", name, f.Physical)
			}
			got = append(got, f)
			return nil
		})
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, diff)
		}
		if blob.Codec == SnapshotCodec {
			shard, err := ReadShard(out)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if diff := cmp.Diff(want, shard.Files); diff != "" {
				t.Errorf("%s: (-want +read)\n%s", name, diff)
			}
		}
	})
	if replaced[SnapshotCodec] < 100 || replaced[ShardsCodec] < 100 {
		t.Errorf("replaced: %v", replaced)
	}
}

func TestAnErrorOfTheEditorEndsIt(t *testing.T) {
	file := func(name string) tree.Object {
		return tree.Object{{Name: "name", Value: name}, {Name: "physical_name", Value: "_0.si"}, {Name: "length", Value: int64(1)}, {Name: "meta_hash", Value: []byte{1}}}
	}
	stop := errors.New("stop")
	n := 0
	err := EditFiles(tree.Object{{Name: "files", Value: []any{file("v__a"), file("v__b")}}}, func(File, *tree.Object) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("%d files, %v", n, err)
	}
	nop := func(File, *tree.Object) error { return nil }
	for what, v := range map[string]any{"text": "x", "a list of text": []any{"x"}, "a name that leaves the folder": []any{file("../x")}, "no name": []any{tree.Object{}}} {
		if err := EditFiles(tree.Object{{Name: "files", Value: v}}, nop); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := EditFiles(nil, nop); err != nil {
		t.Error(err)
	}
	o := file("v__a")
	if SetContents(&o, nil, "z") == nil || SetContents(&o, []byte{1}, "") == nil {
		t.Error("a file without contents or checksum is set")
	}
}
