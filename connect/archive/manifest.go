package archive

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/flow"
)

// A Manifest says what an archive holds. It is there only when the archive is complete.
type Manifest struct {
	Version int       `json:"version"`
	Created time.Time `json:"created"` // when the archive was completed
	Format  string    `json:"format"`
	Source  string    `json:"source"` // Config.Flow of the flow that wrote it
	Indices []Index   `json:"indices"`
	Totals  Totals    `json:"totals"`
	Dead    Dead      `json:"dead"`
}

// An Index is what an archive holds of one index.
type Index struct {
	Name  string     `json:"name"`
	Dir   string     `json:"dir"` // of its files, relative to the archive
	Grade flow.Grade `json:"grade"`
	Why   string     `json:"why,omitempty"`
	Totals
	// OmittedColumns counts the fields of the mapping that got no column of their own in Parquet files, for
	// there were too many or two of one name. They are in _source all the same.
	OmittedColumns int             `json:"omittedColumns,omitempty"`
	Meta           json.RawMessage `json:"meta,omitempty"` // {"mappings":…,"settings":…,"aliases":…}
	Files          []File          `json:"files"`
}

// Totals are the books of an index or an archive.
type Totals struct {
	Records   int64       `json:"records"`
	Bodiless  int64       `json:"bodiless,omitempty"` // records among them without a body
	Bytes     int64       `json:"bytes"`              // size of the files
	BodyBytes int64       `json:"bodyBytes"`          // of the records' bodies
	Digest    flow.Digest `json:"digest"`             // of the records
}

// Dead are the dead letters of an archive.
type Dead struct {
	Records int64  `json:"records"`
	Files   []File `json:"files,omitempty"`
}

func (t *Totals) add(f *File) {
	t.Records += f.Records
	t.Bodiless += f.Bodiless
	t.Bytes += f.Bytes
	t.BodyBytes += f.BodyBytes
	t.Digest.Merge(f.Digest)
}

const (
	manifestTmp   = tmpDir + "/manifest.json"
	manifestLimit = 1 << 30
)

func newManifest(h *history, groups []flow.Group) *Manifest {
	m := &Manifest{Version: version, Created: now(), Format: h.header.Format, Source: h.header.Flow}
	byName := map[string]*Index{}
	index := func(name string) *Index {
		i := byName[name]
		if i == nil {
			i = &Index{Name: name, Dir: DirName(name), Files: []File{}}
			byName[name] = i
		}
		return i
	}
	for _, g := range groups {
		i := index(g.Name)
		i.Grade, i.Why, i.Meta = g.Grade, g.Why, g.Meta
	}
	for _, f := range h.files {
		if f.Dead {
			m.Dead.Records += f.Records
			m.Dead.Files = append(m.Dead.Files, f)
			continue
		}
		i := index(f.Index)
		i.Files = append(i.Files, f)
		i.add(&f)
		m.Totals.add(&f)
	}
	for _, i := range byName {
		if i.Grade == "" { // the source did not say: judge by what came
			i.Grade = flow.Lossless
			if i.Bodiless > 0 {
				i.Grade, i.Why = flow.Partial, fmt.Sprintf("%d records have no body", i.Bodiless)
			}
		}
		m.Indices = append(m.Indices, *i)
	}
	slices.SortFunc(m.Indices, func(a, b Index) int { return cmp.Compare(a.Name, b.Name) })
	return m
}

func writeManifest(d *disk, m *Manifest) error {
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	if err := d.remove(manifestTmp); err != nil {
		return err
	}
	f, err := d.create(manifestTmp)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.sync()
	}
	if err := errors.Join(err, f.close()); err != nil {
		return err
	}
	if err := d.rename(manifestTmp, manifestName); err != nil {
		return err
	}
	return d.syncDir(".")
}

// ReadManifest reads the manifest of the archive in dir. ErrIncomplete: there is none yet.
func ReadManifest(dir string) (*Manifest, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close() //nolint:errcheck // only read
	return readManifest(root)
}

func readManifest(root *os.Root) (*Manifest, error) {
	f, err := root.Open(manifestName)
	if errors.Is(err, fs.ErrNotExist) {
		if _, serr := root.Stat(journalName); serr != nil {
			return nil, fmt.Errorf("%s: no archive: there is neither %s nor %s", root.Name(), manifestName, journalName)
		}
		return nil, fmt.Errorf("%s: %w: run the command that writes it to its end", root.Name(), ErrIncomplete)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(io.LimitReader(f, manifestLimit))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return parseManifest(b)
}

func parseManifest(b []byte) (*Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, manifestName, err)
	}
	if m.Version != version {
		return nil, fmt.Errorf("%s: version %d; this naru knows %d", manifestName, m.Version, version)
	}
	seen := map[string]bool{}
	for i := range m.Indices {
		for _, f := range m.Indices[i].Files {
			if err := checkFile(&f); err != nil {
				return nil, err
			}
			if seen[f.Path] {
				return nil, fmt.Errorf("%w: %s names %s twice", ErrDamaged, manifestName, f.Path)
			}
			seen[f.Path] = true
		}
	}
	return &m, nil
}

// checkFile checks what a manifest or journal says of a file before anything is made of it.
func checkFile(f *File) error {
	if f.Records < 0 || f.Bytes < 0 || !fs.ValidPath(f.Path) ||
		!strings.HasSuffix(f.Path, ndjsonSuffix) && path.Ext(f.Path) != parquetSuffix {
		return fmt.Errorf("%w: %.200q is no file of an archive", ErrDamaged, f.Path)
	}
	return nil
}
