package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/narudata/naru/connect/files"
)

// A Taken is what becomes of a file that Filebeat knew.
type Taken struct {
	Path   string `json:"path"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"` // of the file at the path now; -1: there is none
	Input  string `json:"input"`
	ID     string `json:"id,omitempty"`
	Known  string `json:"known"`         // by what: native, fingerprint, path
	Why    string `json:"why,omitempty"` // it is not taken over
}

// ReadTaken tells what is in a Filebeat's registry, and what of it can be taken over. torn: its log ends in the middle of
// something, as after a crash.
func ReadTaken(registry string) (out []Taken, torn bool, err error) {
	states, torn, err := files.ReadFilebeat(registry)
	if err != nil {
		return nil, false, err
	}
	for i := range states {
		s := &states[i]
		t := Taken{Path: s.Source, Offset: s.Offset, Size: -1, Input: s.Input, ID: s.InputID, Known: s.Identity}
		if info, err := os.Stat(s.Source); err == nil {
			t.Size = info.Size()
		}
		if _, ok := s.Entry(0, 0); !ok {
			t.Why = "files of this identity cannot be known again"
		}
		out = append(out, t)
	}
	return out, torn, nil
}

// takeOver gives what a new registry begins with: what inputs of this agent knew that are not there any more, as their paths
// were changed, and what Filebeat knew.
func (in *Input) takeOver(o *Options, mine map[string]bool) ([]files.Entry, error) {
	var out []files.Entry
	old, err := filepath.Glob(filepath.Join(o.Data, "registry", "*"))
	if err != nil {
		return nil, err
	}
	for _, path := range old {
		if info, err := os.Stat(path); err != nil || info.IsDir() || mine[path] || strings.Contains(filepath.Base(path), ".") {
			continue
		}
		entries, err := files.ReadRegistry(path)
		if err != nil {
			o.Log.Warn("the registry of an input that is no more cannot be read", "path", path, "error", err)
			continue
		}
		out = append(out, entries...)
	}
	if len(out) > 0 {
		o.Log.Info("places of files are taken over from inputs that are no more", "input", in.name(), "files", len(out))
	}
	if o.Filebeat == "" {
		return out, nil
	}
	states, torn, err := files.ReadFilebeat(o.Filebeat)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the registry of Filebeat is not there: %w", err)
	}
	if err != nil {
		return nil, err
	}
	if torn {
		o.Log.Warn("the registry of Filebeat ends in the middle of something: what was there before counts", "registry", o.Filebeat)
	}
	taken, left := 0, 0
	for i := range states {
		s := &states[i]
		if !in.knew(s) {
			continue
		}
		e, ok := s.Entry(in.FingerprintFrom, in.FingerprintBytes)
		if !ok {
			left++
			continue
		}
		taken++
		out = append(out, e)
	}
	o.Log.Info("places of files are taken over from Filebeat", "input", in.name(), "files", taken)
	if left > 0 {
		o.Log.Warn("some files that Filebeat knew cannot be known again: they are read from where their input begins", "input", in.name(), "files", left)
	}
	return out, nil
}

// knew reports that Filebeat's input that this one stands for knew a file.
func (in *Input) knew(s *files.FilebeatState) bool {
	if in.Type != "filestream" {
		return s.Input == "log"
	}
	if s.Input == "filestream" {
		return s.InputID == in.ID || in.ID == "" && (s.InputID == ".global" || s.InputID == "")
	}
	return in.TakeOver
}
