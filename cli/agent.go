package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/agent"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/format/filebeat"
	"github.com/narudata/naru/internal/filelock"
)

func newAgentCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "agent",
		short: "collect log files as Filebeat does, by its filebeat.yml",
		long: `Tails files and logs of containers, and sends events to Logstash (or naru logstash),
OpenSearch, Elasticsearch, Kafka, files or standard output, as a filebeat.yml says. Each
line is read until the output has it: places of files are kept in --path.data, and memory
is bounded whatever the output does. What naru cannot do of a configuration is named with
its place, and nothing runs before that is changed. --filebeat-registry goes on where a
Filebeat stopped: nothing is read twice or missed. Stop Filebeat first.`,
		examples: []example{
			{"naru filebeat check /etc/filebeat/filebeat.yml", "can naru run it?"},
			{"naru agent -c /etc/filebeat/filebeat.yml --filebeat-registry /var/lib/filebeat", "take a Filebeat over"},
			{"naru agent -c filebeat.yml -E output.console.enabled=true -E output.logstash.enabled=false", "see the events"},
			{"naru agent -c filebeat.yml --once", "read what is there, and end"},
		},
		exits: []exit{
			{exitOK, "with --once: all that was there is delivered"},
			{exitFailed, "the configuration cannot run, or an input or output failed"},
			{exitInterrupted, "interrupted; what was read is delivered. Ended by SIGTERM, the status is 0"},
		},
	})
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		return nil
	}
	var f filebeatFlags
	f.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.registry, "filebeat-registry", "", "go on where a Filebeat stopped: `DIR` is its path.data; none: begin anew although it is there. For inputs that ran never before")
	flags.BoolVar(&f.once, "once", false, "end when all that is there is read and delivered")
	flags.IntVarP(&f.workers, "workers", "w", 0, "how many workers make events; 0: as many as there are processors")
	flags.DurationVar(&f.report, "report", 0, "write what was read and delivered to standard error at each `INTERVAL`; 0s: never")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.runAgent(cmd.Context(), &f) }
	return cmd
}

// filebeatFlags are those that Filebeat has, by the same names, and some more.
type filebeatFlags struct {
	file                     string
	set                      []string
	home, config, data, logs string

	registry string
	once     bool
	workers  int
	report   time.Duration
}

func (f *filebeatFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "config", "c", "filebeat.yml", "the configuration, a `FILE`")
	flags.StringArrayVarP(&f.set, "set", "E", nil, "a setting instead of that of the file, `NAME=VALUE`; repeatable")
	flags.StringVar(&f.home, "path.home", "", "the folder `DIR` that relative paths are in; that of the configuration unless told")
	flags.StringVar(&f.config, "path.config", "", "the folder `DIR` that files of inputs and certificates are in")
	flags.StringVar(&f.data, "path.data", "", "the folder `DIR` for what must outlive the process: how far files were read, dead letters")
	flags.StringVar(&f.logs, "path.logs", "", "has no effect: `DIR`")
	flags.BoolP("to-stderr", "e", false, "has no effect: the log goes to standard error")
	flags.Bool("strict.perms", false, "has no effect: whose the configuration is does not matter")
	for _, hidden := range []string{"path.logs", "to-stderr", "strict.perms"} {
		if err := flags.MarkHidden(hidden); err != nil {
			panic("BUG: " + err.Error())
		}
	}
}

func (f *filebeatFlags) load(c *common, check bool) (*agent.Config, error) {
	return agent.Load(f.file, agent.LoadOptions{
		Lookup: c.lookup, Log: c.log(), Check: check, Set: f.set, Home: f.home, Config: f.config, Logs: f.logs,
	})
}

func (c *common) runAgent(ctx context.Context, f *filebeatFlags) (err error) {
	config, err := f.load(c, false)
	if err != nil {
		return err
	}
	wrong := 0
	for _, p := range config.Problems {
		if p.Level == filebeat.Note {
			continue
		}
		fmt.Fprintln(c.Stderr, p.Error())
		if p.Level != filebeat.Different {
			wrong++
		}
	}
	if wrong > 0 {
		return fmt.Errorf("the configuration cannot run: %s; naru filebeat check %s says all about it", plural(int64(wrong), "problem"), f.file)
	}
	data, err := f.folder(c, config)
	if err != nil {
		return err
	}
	unlock, err := filelock.Folder(data)
	if err != nil {
		return fmt.Errorf("path.data: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	ctx, asked, release := c.endOnSignal(ctx)
	defer release()
	drain := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { close(drain) })
	defer stop()
	var reporting sync.WaitGroup
	ended := make(chan struct{})
	err = config.Run(context.WithoutCancel(ctx), agent.Options{
		Data: data, Log: c.log(), Stdout: c.Stdout, Drain: drain, Once: f.once, Filebeat: f.registry, Workers: f.workers,
		Started: func(stats *stream.Stats) {
			reporting.Go(func() { reportAgent(c.Stderr, stats, f.report, ended) })
		},
	})
	close(ended)
	reporting.Wait()
	if err != nil {
		return err
	}
	return asked()
}

// folder gives the agent's own folder, and settles what to do about a registry of Filebeat.
func (f *filebeatFlags) folder(c *common, config *agent.Config) (string, error) {
	data := f.data
	if data == "" && config.Data != "" {
		data = filepath.Join(config.Data, "naru") // beside what Filebeat has there
	}
	if data == "" {
		state := c.Getenv("XDG_STATE_HOME")
		if state == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return "", errors.New("the agent needs a folder for its data: give --path.data DIR")
			}
			state = filepath.Join(home, ".local", "state")
		}
		data = filepath.Join(state, "naru", "agent")
	}
	data, err := filepath.Abs(data)
	if err != nil {
		return "", err
	}
	switch f.registry {
	case "none":
		f.registry = ""
		return data, nil
	case "":
		if _, err := os.Stat(filepath.Join(data, "agent.json")); err == nil || config.Data == "" {
			return data, nil
		}
		if _, err := os.Stat(filepath.Join(config.Data, "registry", "filebeat")); err == nil {
			return "", fmt.Errorf("a Filebeat kept its registry in %s: --filebeat-registry %s goes on where it stopped, --filebeat-registry none begins anew", config.Data, config.Data)
		}
		return data, nil
	}
	return data, agent.FilebeatRuns(f.registry)
}

// reportAgent writes figures at intervals until the agent has ended.
func reportAgent(w io.Writer, stats *stream.Stats, every time.Duration, ended <-chan struct{}) {
	if every <= 0 {
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for over := false; !over; {
		select {
		case <-tick.C:
		case <-ended:
			over = true
		}
		var read, acknowledged, delivered, dead int64
		for i := range stats.Inputs {
			read += stats.Inputs[i].Records.Get()
			acknowledged += stats.Inputs[i].Acknowledged.Get()
		}
		for i := range stats.Outputs {
			delivered += stats.Outputs[i].Delivered.Get()
			dead += stats.Outputs[i].Dead.Get()
		}
		fmt.Fprintf(w, "read %s, delivered %s, dead %s, acknowledged %s\n", count(read), count(delivered), count(dead), count(acknowledged))
	}
}
