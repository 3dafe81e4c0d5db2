package cli

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/format/lucene"
	format "github.com/narudata/naru/format/snapshot"
)

func newLuceneCommand(c *common) *cobra.Command {
	return parent(newCommand(page{
		use:      "lucene",
		short:    "look into the files of a Lucene index",
		long:     "Looks into single files of a shard, or blobs of a snapshot repository.",
		examples: []example{{"naru lucene dump /backups/es/indices/Jf3…/0/__x5…", "what a blob is"}},
		exits:    []exit{{exitOK, "printed"}, {exitFailed, "the file cannot be read"}},
	}), newDumpCommand(c))
}

// A fileDump is what `naru lucene dump` says of a file.
type fileDump struct {
	File     string   `json:"file"`
	Kind     string   `json:"kind"`
	Bytes    int64    `json:"bytes"`
	Codec    string   `json:"codec"`
	Version  int32    `json:"version"`
	ID       string   `json:"id,omitempty"`
	Suffix   string   `json:"suffix,omitempty"`
	Checksum string   `json:"checksum"` // "good", or what is wrong with it
	Contents any      `json:"contents,omitempty"`
	lines    []string // of Contents, for people
}

func newDumpCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "dump FILE",
		short: "say what a file of a Lucene index or a snapshot repository is and holds",
		long: `Prints what a file says of itself: codec, version, id, and whether its checksum is right; of
commits, segment infos and stored fields, and of a repository's .dat blobs, also what is in
them. FILE is a file of a shard (segments_3, _0.si, _0.fdt, …) or a blob of a repository
(__…, snap-….dat, meta-….dat). Beside its segments_N a segment's file is shown with more.`,
		examples: []example{
			{"naru lucene dump /data/indices/Jf3…/0/index/segments_3", "a commit"},
			{"naru lucene dump /backups/es/indices/Jf3…/0/snap-kW….dat", "which files a shard has in a snapshot"},
		},
		exits: []exit{{exitOK, "printed"}, {exitFailed, "the file cannot be read, or is something else"}, {exitDifference, "the file is damaged"}},
	})
	cmd.Args = exactArgs("FILE")
	output := outputFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		d, err := dump(args[0])
		if err != nil {
			return err
		}
		err = c.print(output, d, func(w io.Writer, _ int) error { return d.write(w) })
		if err == nil && d.Checksum != goodChecksum {
			err = &exitError{code: exitDifference}
		}
		return err
	}
	return cmd
}

const goodChecksum = "good"

func (d *fileDump) write(w io.Writer) error {
	fmt.Fprintf(w, "file      %s\nkind      %s\nbytes     %s\ncodec     %s, version %d\n", d.File, d.Kind, count(d.Bytes), printable(d.Codec), d.Version)
	if d.ID != "" {
		fmt.Fprintf(w, "id        %s\n", d.ID)
	}
	if d.Suffix != "" {
		fmt.Fprintf(w, "suffix    %s\n", printable(d.Suffix))
	}
	fmt.Fprintf(w, "checksum  %s\n", d.Checksum)
	if len(d.lines) > 0 {
		fmt.Fprintln(w)
	}
	for _, l := range d.lines {
		if _, err := fmt.Fprintln(w, l); err != nil {
			return err
		}
	}
	return nil
}

// wholeBytes bounds the files that are read whole.
const wholeBytes = 512 << 20

// dump reads what there is to say of the file at path.
func dump(path string) (*fileDump, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no such file%s", path, neighbour(path))
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file; name one of the files in it", path)
	}
	head := make([]byte, min(info.Size(), 4096))
	if _, err := io.ReadFull(f, head); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	const magic = 0x3FD76C17 // CodecUtil.CODEC_MAGIC
	if len(head) < 4 || binary.BigEndian.Uint32(head) != magic {
		return nil, fmt.Errorf("%s does not begin as Lucene's files do; is it a part of a larger one (.part1), or JSON (index-N)?", path)
	}
	d := &fileDump{File: path, Bytes: info.Size(), Checksum: goodChecksum}
	if _, err := lucene.CheckFile(section{f, info.Size()}); err != nil {
		d.Checksum = err.Error()
	}
	plain, err := lucene.ReadHeader(head)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	d.Codec, d.Version, d.Kind = plain.Codec, plain.Version, kindOf(plain.Codec)
	if isBlob(plain.Codec) {
		return d, d.blob(f, plain.Codec)
	}
	h, err := lucene.ReadIndexHeader(head)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	d.ID, d.Suffix = hex.EncodeToString(h.ID[:]), h.Suffix
	switch d.Kind {
	case kindCommit:
		err = d.commit(f, h)
	case kindSegmentInfo:
		err = d.segmentInfo(f)
	default:
		err = d.beside(path)
	}
	if err != nil && d.Checksum == goodChecksum {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err != nil {
		d.lines = []string{"its contents cannot be read: " + err.Error()}
	}
	return d, nil
}

// section is an open file of a known size.
type section struct {
	io.ReaderAt
	size int64
}

func (s section) Size() int64 { return s.size }

const (
	kindCommit      = "commit: the segments of a shard"
	kindSegmentInfo = "segment info"
)

// kinds by what codec names contain; the first that fits counts.
func kindOf(codec string) string {
	for _, k := range [][2]string{
		{"SegmentInfo", kindSegmentInfo}, {"StoredFieldsIndex", "index of stored fields"}, {"StoredFieldsMeta", "metadata of stored fields"},
		{"StoredFields", "stored fields: the documents"}, {"FieldInfos", "field infos"}, {"LiveDocs", "live documents"},
		{"CompoundEntries", "table of a compound file"}, {"CompoundData", "compound file: a segment's small files"},
		{"DocValues", "doc values"}, {"Norms", "norms"}, {"Postings", "postings"}, {"BlockTree", "terms"}, {"Points", "points"},
		{"BKD", "points"}, {"TermVectors", "term vectors"}, {"Vector", "vectors"}, {"Bloom", "bloom filter of terms"},
	} {
		if strings.Contains(codec, k[0]) {
			return k[1]
		}
	}
	switch codec {
	case "segments":
		return kindCommit
	case "snapshot":
		return "blob: a snapshot, or the files of a shard in one"
	case "index-metadata":
		return "blob: metadata of an index"
	case "metadata":
		return "blob: metadata of a cluster"
	case "snapshots":
		return "blob: the files of a shard in all snapshots"
	}
	return "something else of Lucene's"
}

func isBlob(codec string) bool {
	return slices.Contains([]string{"snapshot", "index-metadata", "metadata", "snapshots"}, codec)
}

// blob adds what a blob of a repository holds.
func (d *fileDump) blob(r io.ReaderAt, codec string) error {
	b, err := whole(r, d.Bytes)
	if err != nil {
		return err
	}
	contents, err := format.DecodeBlob(codec, b)
	if err != nil {
		d.lines = []string{"its contents cannot be read: " + err.Error()}
		d.Checksum = cmp.Or(strings.TrimPrefix(d.Checksum, goodChecksum), err.Error())
		return nil
	}
	d.Contents = contents
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(contents); err != nil {
		return err
	}
	d.lines = strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	return nil
}

func whole(r io.ReaderAt, size int64) ([]byte, error) {
	if size > wholeBytes {
		return nil, fmt.Errorf("it has %d bytes, more than are read whole (%d)", size, int64(wholeBytes))
	}
	b := make([]byte, size)
	if _, err := r.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

func (d *fileDump) commit(r io.ReaderAt, h lucene.Header) error {
	b, err := whole(r, d.Bytes)
	if err != nil {
		return err
	}
	commit, err := lucene.ReadCommit("segments_"+h.Suffix, b)
	if err != nil {
		return err
	}
	d.Contents = commit
	d.say("written by  Lucene %s", commit.Lucene)
	d.say("segments    %d", len(commit.Segments))
	for _, s := range commit.Segments {
		d.say("  %-6s %s, %s deleted, %s deleted softly", s.Name, printable(s.Codec), count(int64(s.DelCount)), count(int64(s.SoftDelCount)))
	}
	for _, k := range slices.Sorted(maps.Keys(commit.UserData)) {
		d.say("user data   %s = %s", printable(k), printable(commit.UserData[k]))
	}
	return nil
}

func (d *fileDump) say(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *fileDump) segmentInfo(f *os.File) error {
	si, err := lucene.OpenSegmentInfo(oneFile{section{f, d.Bytes}}, lucene.CommitSegment{Name: "_"})
	if err != nil {
		return err
	}
	d.Contents = si
	d.say("written by  Lucene %s", si.Lucene)
	d.say("documents   %s, deleted ones and nested children among them", count(int64(si.MaxDoc)))
	d.say("compound    %t", si.Compound)
	for _, k := range slices.Sorted(maps.Keys(si.Attributes)) {
		d.say("attribute   %s = %s", printable(k), printable(si.Attributes[k]))
	}
	for _, k := range slices.Sorted(maps.Keys(si.Diagnostics)) {
		d.say("diagnostic  %s = %s", printable(k), printable(si.Diagnostics[k]))
	}
	return nil
}

// oneFile is a directory that has one file, whatever it is called.
type oneFile struct{ f lucene.File }

func (o oneFile) Open(string) (lucene.File, error) { return o.f, nil }

// A segmentDump is what is said of a segment whose commit is beside the file.
type segmentDump struct {
	Segment   string   `json:"segment"`
	Codec     string   `json:"codec"`
	Lucene    string   `json:"lucene"`
	Documents int      `json:"documents"`
	Live      int      `json:"live"`
	Fields    []string `json:"fields,omitempty"`
	Stored    string   `json:"stored_fields"` // codec of the .fdt file
	Version   int32    `json:"stored_fields_version"`
}

// beside adds what the commit in the same folder says of the file's segment.
func (d *fileDump) beside(path string) error {
	dir := directory(filepath.Dir(path))
	commits, err := filepath.Glob(filepath.Join(string(dir), "segments_*"))
	if err != nil || len(commits) != 1 {
		return err
	}
	b, err := os.ReadFile(commits[0])
	if err != nil {
		return err
	}
	commit, err := lucene.ReadCommit(filepath.Base(commits[0]), b)
	if err != nil {
		return fmt.Errorf("%s: %w", commits[0], err)
	}
	for _, cs := range commit.Segments {
		if rest, ok := strings.CutPrefix(filepath.Base(path), cs.Name); ok && rest != "" && strings.Contains("._", rest[:1]) {
			return d.segment(dir, cs)
		}
	}
	return nil
}

func (d *fileDump) segment(dir directory, cs lucene.CommitSegment) error {
	seg, err := lucene.OpenSegment(dir, cs, new(lucene.Checker))
	if err != nil {
		return err
	}
	s := segmentDump{Segment: cs.Name, Codec: cs.Codec, Lucene: seg.Info.Lucene, Documents: seg.Info.MaxDoc, Live: seg.Live()}
	for i := range seg.Fields.Fields {
		s.Fields = append(s.Fields, seg.Fields.Fields[i].Name)
	}
	slices.Sort(s.Fields)
	stored, err := seg.OpenStoredFields()
	if err != nil {
		return err
	}
	s.Stored, s.Version = stored.Codec, stored.Version
	d.Contents = s
	d.say("segment     %s, %s, written by Lucene %s", s.Segment, printable(s.Codec), s.Lucene)
	d.say("documents   %s, of these live %s", count(int64(s.Documents)), count(int64(s.Live)))
	d.say("stored as   %s, version %d", printable(s.Stored), s.Version)
	d.say("fields      %s", printable(strings.Join(s.Fields, ", ")))
	return nil
}

// directory is a shard's folder.
type directory string

// Open implements lucene.Directory. The file stays open as long as the process.
func (d directory) Open(name string) (lucene.File, error) {
	f, err := os.Open(filepath.Join(string(d), filepath.Base(name)))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return section{f, info.Size()}, nil
}
