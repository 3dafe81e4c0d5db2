package agent

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/narudata/naru/connect/archive"
	"github.com/narudata/naru/connect/files"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/format/filebeat"
)

// Options say how an agent is run.
type Options struct {
	Data   string // the folder for what must outlive the process
	Log    *slog.Logger
	Stdout io.Writer       // of output.console
	Drain  <-chan struct{} // closed: read nothing new, deliver what was read, return
	// Started is given the figures, before anything is read; nil: they are not wanted.
	Started func(*stream.Stats)
	Once    bool // end when all that is there is read
	// Filebeat is the registry of a Filebeat whose positions are taken over by inputs that have none yet; "": none.
	Filebeat string
	Workers  int // 0: as many as there are processors
	Now      func() time.Time

	ctx context.Context
}

func (o *Options) now() func() time.Time {
	if o.Now != nil {
		return o.Now
	}
	return time.Now
}

func (o *Options) context() context.Context { return o.ctx }

// identity is what outlasts runs of an agent.
type identity struct {
	ID string `json:"id"`
}

// Run collects until it is told to drain, or ctx is done. The folder Data must be the agent's alone.
func (c *Config) Run(ctx context.Context, o Options) (err error) {
	if w := c.Worst(); w == filebeat.Wrong || w == filebeat.Unsupported {
		return errors.New("the configuration cannot run: naru filebeat check says why")
	}
	if o.Log == nil {
		o.Log = discardLog()
	}
	if o.Data == "" {
		return errors.New("the agent needs a folder for its data")
	}
	o.ctx = ctx
	if err := os.MkdirAll(filepath.Join(o.Data, "registry"), 0o750); err != nil {
		return err
	}
	self, err := readIdentityFile(filepath.Join(o.Data, "agent.json"))
	if err != nil {
		return err
	}
	dead, err := archive.OpenDeadStore(filepath.Join(o.Data, "dead"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dead.Close()) }()
	sources, seeds, err := c.sources(&o, self)
	if err != nil {
		return err
	}
	sink, err := c.Output.open(&o)
	if err != nil {
		return fmt.Errorf("output.%s: %w", c.OutputName, err)
	}
	pipe := stream.Pipe{Sources: sources, Sinks: []stream.Output{{ID: c.OutputName, Sink: sink}}, Dead: dead}
	build := newBuilder(c, self.ID, seeds)
	pipe.Stage = func(bool) stream.Stage { return &stage{builder: build} }
	stats := stream.NewStats(pipe)
	if o.Started != nil {
		o.Started(stats)
	}
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	return stream.Run(ctx, pipe, stream.Options{Workers: workers, Drain: o.Drain, Log: o.Log, Stats: stats})
}

func readIdentityFile(path string) (identity, error) {
	var id identity
	text, err := os.ReadFile(path)
	if err == nil {
		if err = json.Unmarshal(text, &id); err != nil || id.ID == "" {
			return id, fmt.Errorf("%s: expected the agent's id; delete the file, and it gets another one: %w", path, errors.Join(err, errors.New("there is none")))
		}
		return id, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	id.ID = uuid()
	text, err = json.Marshal(id)
	if err != nil {
		return id, err
	}
	return id, replaceFile(path, append(text, '\n'))
}

// replaceFile writes a file that is there whole or not at all.
func replaceFile(path string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func uuid() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// sources makes a source of each input, which has a registry of its own.
func (c *Config) sources(o *Options, self identity) ([]stream.Input, []string, error) {
	var out []stream.Input
	var seeds []string
	mine := map[string]bool{}
	for _, in := range c.Inputs {
		mine[in.registry(o.Data)] = true
	}
	for i, in := range c.Inputs {
		path := in.registry(o.Data)
		config := in.Files
		if o.Once {
			config.Mode, config.Once = files.Read, true
		}
		seed, err := registrySeed(path)
		if err != nil {
			return nil, nil, err
		}
		seeds = append(seeds, self.ID+"/"+seed)
		config.Registry = path
		s, err := files.New(config, files.Options{
			Port: int32(i), Log: o.Log.With("input", in.name()), Keys: true, Skip: in.Skip, //nolint:gosec // a few
			Import: func() ([]files.Entry, error) { return in.takeOver(o, mine) },
		})
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", in.Place, err)
		}
		out = append(out, stream.Input{ID: in.name(), Source: &lineSource{Source: s, reading: in.Reading, now: o.now()}})
	}
	return out, seeds, nil
}

// name names an input in logs and figures.
func (in *Input) name() string {
	if in.ID != "" {
		return in.ID
	}
	return in.Type + ":" + in.Files.Paths[0]
}

// registry is the file of the input's registry. It is named by the id, or else by the paths.
func (in *Input) registry(data string) string {
	what, _ := json.Marshal([]any{in.Type == "filestream", in.ID}) //nolint:errcheck // they are texts
	if in.ID == "" {
		what, _ = json.Marshal([]any{in.Type, in.Files.Paths}) //nolint:errcheck // they are texts
	}
	sum := sha256.Sum256(what)
	return filepath.Join(data, "registry", hex.EncodeToString(sum[:8]))
}

// registrySeed gives what belongs to a registry as long as it is there: keys of files begin anew with another one.
func registrySeed(path string) (string, error) {
	seed := path + ".id"
	if _, err := os.Stat(path); err == nil {
		if text, err := os.ReadFile(seed); err == nil && len(text) > 0 {
			return string(text), nil
		}
	}
	id := uuid()
	return id, replaceFile(seed, []byte(id))
}

// eventID names a line for good: the same each time that it is read.
func eventID(seed string, l *line) string {
	h := sha256.New()
	var numbers [16]byte
	binary.BigEndian.PutUint64(numbers[:], l.file)
	binary.BigEndian.PutUint64(numbers[8:], uint64(l.offset)) //nolint:gosec // the same bits
	io.WriteString(h, seed)                                   //nolint:errcheck // a hash takes all
	h.Write(numbers[:])                                       //nolint:errcheck // a hash takes all
	h.Write(l.body)                                           //nolint:errcheck // a hash takes all
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:15])
}
