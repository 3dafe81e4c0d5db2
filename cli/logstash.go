package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/internal/loglimit"
	"github.com/narudata/naru/logstash"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/filter"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/syntax"
)

func newLogstashCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "logstash",
		short: "run Logstash's pipelines",
		long: `Runs configurations of Logstash as they are: inputs, filters, outputs, conditions. -f
names a file, a folder, whose files are one pipeline in the order of their names, or a
pattern. Without -f and -e the pipelines of pipelines.yml in --path.settings run;
logstash.yml there holds settings. A configuration of filters only reads JSON lines from
standard input and writes them to standard output. Every problem is named, with its
place, before anything runs.`,
		examples: []example{
			{"naru logstash -f pipeline.conf", "run a pipeline"},
			{"naru logstash -e 'filter { mutate { add_tag => [\"x\"] } }'", "type lines, see events"},
			{"naru logstash -f conf.d -t", "only look whether it is right"},
			{"naru logstash check conf.d", "the same for each file of a tree"},
		},
		exits: []exit{
			{exitOK, "the inputs have ended, and all is written; or with -t, the configuration is right"},
			{exitFailed, "the configuration is wrong, or an input or output failed"},
			{exitInterrupted, "interrupted; what was read is written. Ended by SIGTERM, the status is 0"},
		},
	})
	f := &logstashFlags{}
	f.add(cmd)
	f.api.add(cmd)
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		settings, err := readLogstashSettings(f.settings, c.lookup)
		if err != nil {
			return err
		}
		if err := f.api.read(c, settings, cmd.Flags().Changed); err != nil {
			return err
		}
		f.api.data = cmp.Or(f.data, f.api.data)
		load := func() ([]logstashPipeline, error) { return f.pipelines(c, cmd.Flags().Changed) }
		if f.route && !f.test {
			if err := f.checkRouteFlags(); err != nil {
				return err
			}
			return c.routeLogstash(cmd.Context(), f, load)
		}
		if f.reload && !f.test {
			if f.text != "" {
				return errors.New("-r looks at files: it does not go with -e")
			}
			if f.interval <= 0 {
				return fmt.Errorf("--config.reload.interval must be more than 0, not %v", f.interval)
			}
			return c.reloadLogstash(cmd.Context(), &f.api, load, f.interval)
		}
		pipelines, err := load()
		if err != nil {
			return err
		}
		if f.transact != "" && !f.test {
			return c.transactLogstash(cmd.Context(), pipelines, f.transact, f.deadTopic)
		}
		if f.test {
			return c.testLogstash(pipelines)
		}
		return c.runLogstash(cmd.Context(), &f.api, pipelines)
	}
	cmd.AddCommand(newLogstashCheckCommand(c))
	cmd.AddCommand(logstashTools(c)...)
	return cmd
}

// logstashFlags are the flags that Logstash has, by the same names.
type logstashFlags struct {
	logstashSettings
	path, text string
	settings   string
	id         string
	test       bool
	reload     bool
	route      bool
	keepShadow bool
	transact   string // the transactional id; "": none
	interval   time.Duration
	api        logstashAPI
}

// logstashSettings are those of a pipeline. They stand in pipelines.yml, in flags, or in logstash.yml; the first counts.
type logstashSettings struct {
	workers, batch int
	ecs            choice
	escapes        choice
	style          choice
	ordered        choice
	queue          choice
	queueBytes     int64  // 0: as many as is usual
	queueDir       string // "": in data
	data           string // "": the folder of the user's state
	deadTopic      string // "": dead letters are files in data
}

func (f *logstashFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.path, "path.config", "f", "", "the configuration: a `FILE`, a folder, or a pattern")
	flags.StringVarP(&f.text, "config.string", "e", "", "the configuration as `TEXT`; without input and output it reads standard input and writes for people")
	flags.BoolVarP(&f.test, "config.test_and_exit", "t", false, "look whether the configuration is right, and run nothing")
	flags.BoolVarP(&f.reload, "config.reload.automatic", "r", false, "run pipelines anew whose files have changed, until interrupted; a wrong file changes nothing")
	flags.DurationVar(&f.interval, "config.reload.interval", 3*time.Second, "how often files are looked at")
	flags.StringVar(&f.settings, "path.settings", "", "the folder `DIR` with logstash.yml and pipelines.yml")
	flags.StringVar(&f.id, "pipeline.id", "main", "the pipeline's `NAME`")
	flags.IntVarP(&f.workers, "pipeline.workers", "w", 0, "how many workers run filters; 0: as many as there are processors")
	flags.StringVar(&f.transact, "kafka.transactional.id", "", "run a pipeline from Kafka to Kafka in transactions: each result is there once, whatever dies; `NAME` is this copy's own, and stays the same")
	flags.StringVar(&f.deadTopic, "kafka.dead-letter-topic", "", "the `TOPIC` for dead letters of pipelines with Kafka, as naru kafka dlq reads it; without it they are files in --path.data")
	flags.BoolVar(&f.keepShadow, "route.keep-shadow", false, "leave what canaries have made in shadow when they are promoted or given up: indices, templates, offsets")
	flags.BoolVar(&f.route, "route", false, "take part in the route of the pipelines' consumer group, as the version in NARU_ROUTE_HASH: stable, canary or shadow (naru kafka route)")
	f.ordered = choice{value: "auto", of: []string{"auto", "true", "false"}}
	f.queue = choice{value: "persisted", of: []string{"persisted", "memory"}}
	flags.Var(&f.ordered, "pipeline.ordered", "whether outputs keep the order of events: `WHEN` true, false, or auto, with one worker")
	flags.StringVar(&f.data, "path.data", "", "the folder `DIR` for what must outlive the process: how far files were read, queues, dead letters")
	complete(cmd, "pipeline.ordered", f.ordered.of...)
	flags.IntVarP(&f.batch, "pipeline.batch.size", "b", 0, "how many events a generator gives at a time; 0: as many as is good")
	f.addLanguage(cmd)
}

// addLanguage adds the flags that change what a configuration means.
func (s *logstashSettings) addLanguage(cmd *cobra.Command) {
	s.ecs = choice{value: "v8", of: []string{"disabled", "v1", "v8"}}
	s.escapes = choice{value: "false", of: []string{"true", "false"}}
	s.style = choice{value: "none", of: []string{"none", "percent", "ampersand"}}
	flags := cmd.Flags()
	flags.Var(&s.ecs, "pipeline.ecs_compatibility", "names of fields as in `ECS` disabled, v1 or v8")
	flags.Var(&s.escapes, "config.support_escapes", "whether \\n and the like mean something in strings: `BOOL` true or false")
	flags.Var(&s.style, "config.field_reference.escape_style", "how brackets are written in names of fields: `STYLE` none, percent or ampersand")
	flags.Var(&s.style, "field-reference-escape-style", "the same as --config.field_reference.escape_style")
	if err := flags.MarkHidden("field-reference-escape-style"); err != nil {
		panic("BUG: " + err.Error())
	}
	complete(cmd, "pipeline.ecs_compatibility", s.ecs.of...)
	complete(cmd, "config.support_escapes", s.escapes.of...)
	complete(cmd, "config.field_reference.escape_style", s.style.of...)
}

// options are those that a configuration is read and compiled with.
func (s *logstashSettings) options(c *common) (syntax.Options, logstash.Options) {
	style, err := event.ParseEscapeStyle(s.style.value)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return syntax.Options{SupportEscapes: s.escapes.value == "true"}, logstash.Options{
		ECS: filter.ECS(s.ecs.value), EscapeStyle: style, Lookup: c.lookup,
		Log: slog.New(loglimit.New(c.log().Handler(), "filter", complaints, complaintPeriod)),
	}
}

// A filter that cannot do its work says so for each event; so many of its messages that are alike are logged in each period.
const (
	complaints      = 10
	complaintPeriod = 10 * time.Second
)

// lookup gives an environment variable. Only the process's own environment tells empty from missing.
func (c *common) lookup(name string) (string, bool) {
	if v := c.Getenv(name); v != "" {
		return v, true
	}
	_, ok := os.LookupEnv(name)
	return "", ok
}

// A logstashPipeline is one that is to run.
type logstashPipeline struct {
	logstashSettings
	id    string
	files []syntax.File
	role  *input.Role // in a route; nil: it takes part in none
}

// typedInput and typedOutput are what a configuration on the command line gets if it has none.
const (
	typedInput  = "input { stdin { type => stdin } }\n"
	typedOutput = "output { stdout { codec => rubydebug } }\n"
)

// pipelines gives the pipelines that the flags name; given says of a flag that it is there.
func (f *logstashFlags) pipelines(c *common, given func(flag string) bool) ([]logstashPipeline, error) {
	settings, err := readLogstashSettings(f.settings, c.lookup)
	if err != nil {
		return nil, err
	}
	one := logstashPipeline{logstashSettings: f.logstashSettings, id: f.id}
	if err := one.apply(settings, given); err != nil {
		return nil, err
	}
	path, text := cmp.Or(f.path, settings.text("path.config")), cmp.Or(f.text, settings.text("config.string"))
	if f.path != "" || f.text != "" {
		path, text = f.path, f.text
	}
	switch {
	case path != "" && text != "":
		return nil, errors.New("-f and -e are both given: one pipeline has one configuration")
	case text != "":
		one.files = []syntax.File{{Name: "config_string", Text: []byte(text)}}
		if !hasBlock(text, "input") {
			one.files = append(one.files, syntax.File{Name: "default input", Text: []byte(typedInput)})
		}
		if !hasBlock(text, "output") {
			one.files = append(one.files, syntax.File{Name: "default output", Text: []byte(typedOutput)})
		}
	case path != "":
		if one.files, err = syntax.ReadFiles(path); err != nil {
			return nil, err
		}
	case f.settings != "":
		return readLogstashPipelines(f.settings, one, c.lookup)
	default:
		return nil, errors.New("there is nothing to run: give -f FILE, -e TEXT, or --path.settings DIR with a pipelines.yml")
	}
	return []logstashPipeline{one}, nil
}

// hasBlock reports that a text has a section, as Logstash looks for one.
func hasBlock(text, section string) bool {
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, section)
		if !ok {
			return false
		}
		if strings.HasPrefix(strings.TrimLeft(after, " \t\r\n"), "{") {
			return true
		}
		rest = after
	}
}

// compileLogstash compiles pipelines, and tells all that is wrong with them.
func (c *common) compileLogstash(pipelines []logstashPipeline) ([]*logstash.Pipeline, error) {
	out := make([]*logstash.Pipeline, len(pipelines))
	var wrong wrongConfiguration
	for i := range pipelines {
		read, compile := pipelines[i].options(c)
		compile.Role = pipelines[i].role
		p, problems := logstash.Read(pipelines[i].files, read, compile)
		for _, w := range problems.Warnings {
			writeProblem(c.Stderr, "warning: ", w)
		}
		for _, e := range problems.Errors {
			writeProblem(c.Stderr, "", e)
		}
		wrong.problems = append(wrong.problems, problems.Errors...)
		out[i] = p
	}
	if len(wrong.problems) == 0 {
		return out, nil
	}
	err := closePipelines(out)
	return nil, errors.Join(&wrong, err)
}

// wrongConfiguration is the error of pipelines whose problems have been printed.
type wrongConfiguration struct{ problems syntax.Errors }

func (w *wrongConfiguration) Error() string {
	return "the configuration is wrong: " + plural(int64(len(w.problems)), "error")
}

// first is the same with the first problems, for those who do not see what was printed.
func (w *wrongConfiguration) first() string {
	const few = 3
	lines := []string{w.Error()}
	for i := range w.problems[:min(few, len(w.problems))] {
		lines = append(lines, w.problems[i].Error())
	}
	return strings.Join(lines, "\n")
}

func closePipelines(pipelines []*logstash.Pipeline) error {
	var all []error
	for _, p := range pipelines {
		if p != nil {
			all = append(all, p.Close())
		}
	}
	return errors.Join(all...)
}

// writeProblem writes what is wrong, and below it the line with a mark at the place.
func writeProblem(w io.Writer, prefix string, e syntax.Error) {
	fmt.Fprintf(w, "%s%s\n", prefix, e.Error())
	if caret := e.Caret(); caret != "" {
		for line := range strings.SplitSeq(caret, "\n") {
			fmt.Fprintf(w, "    %s\n", line)
		}
	}
}

// testLogstash compiles pipelines, and looks for what their run would fail at here.
func (c *common) testLogstash(pipelines []logstashPipeline) error {
	compiled, err := c.compileLogstash(pipelines)
	if err != nil {
		return err
	}
	plans := make([]logstash.Planned, len(compiled))
	for i, p := range compiled {
		plans[i] = logstash.Planned{Pipeline: p, ID: pipelines[i].id, Data: cmp.Or(pipelines[i].data, logstash.StateDir())}
	}
	err = errors.Join(c.inspectLogstash(plans), oneStdin(compiled), writableData(pipelines))
	if err == nil {
		fmt.Fprintln(c.Stdout, "Configuration OK")
	}
	return errors.Join(err, closePipelines(compiled))
}

// inspectLogstash tells what pipelines that are right in themselves would fail at.
func (c *common) inspectLogstash(plans []logstash.Planned) error {
	wrong, warnings := logstash.Inspect(plans)
	for _, w := range warnings {
		writeProblem(c.Stderr, "warning: ", w)
	}
	for _, e := range wrong {
		writeProblem(c.Stderr, "", e)
	}
	if len(wrong) == 0 {
		return nil
	}
	return &wrongConfiguration{wrong}
}

// writableData looks whether the folders of what must outlive the process can be written.
func writableData(pipelines []logstashPipeline) error {
	var all []error
	seen := map[string]bool{}
	for _, p := range pipelines {
		for _, folder := range [][2]string{{"path.data", cmp.Or(p.data, logstash.StateDir())}, {"path.queue", p.queueDir}} {
			if name, dir := folder[0], folder[1]; dir != "" && !seen[dir] {
				seen[dir] = true
				if err := input.CanWriteIn(dir); err != nil {
					all = append(all, fmt.Errorf("%s: %w", name, err))
				}
			}
		}
	}
	return errors.Join(all...)
}

// oneStdin looks that no two pipelines read standard input.
func oneStdin(pipelines []*logstash.Pipeline) error {
	reading := 0
	for _, p := range pipelines {
		if slices.ContainsFunc(p.Inputs, func(in *logstash.Input) bool { return in.Name == "stdin" }) {
			reading++
		}
	}
	if reading > 1 {
		return errors.New("several pipelines read standard input: only one can")
	}
	return nil
}

// lockedWriter is written to by several pipelines.
type lockedWriter struct {
	mu sync.Mutex // guards w
	w  io.Writer
}

// Write implements io.Writer.
func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// endOnSignal ends the context with the first signal. Then asked gives what the process ends with: nothing for SIGTERM, which asks a
// service to end and is not a failure, exitInterrupted for others. The second one ends the process's patience:
// it is no longer caught.
func (c *common) endOnSignal(parent context.Context) (ctx context.Context, asked func() error, release func()) {
	ctx, cancel := context.WithCancel(parent)
	signals, stop := c.Interrupts()
	over := make(chan struct{})
	var first atomic.Pointer[os.Signal]
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case s := <-signals:
			fmt.Fprintf(c.Stderr, "%v: writing what was read (once more: stop at once)\n", s)
			first.Store(&s)
			stop()
			cancel()
		case <-over:
		}
	})
	asked = func() error {
		if s := first.Load(); s != nil && *s != syscall.SIGTERM {
			return &exitError{code: exitInterrupted}
		}
		return nil
	}
	return ctx, asked, sync.OnceFunc(func() {
		close(over)
		wg.Wait()
		stop()
		cancel()
	})
}
