package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/filter"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/monitor"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/output"
	"github.com/narudata/naru/logstash/syntax"
	"github.com/narudata/naru/logstash/tlsoption"
)

// logstashAPI is where pipelines are seen from, and by whom.
type logstashAPI struct {
	enabled  bool
	host     string
	ports    string // 9600-9700
	asked    bool   // the port was asked for
	username string
	password *option.Password // nil: everybody who reaches it
	tls      *tlsoption.Config
	name     string         // of the node
	route    *logstashRoute // nil: the process takes part in none
	data     string
}

// Where the API is unless it is said otherwise, and where passwords are for both of its ends.
const (
	defaultAPIHost  = "127.0.0.1"
	defaultAPIPorts = "9600-9700"
	apiUsername     = "NARU_API_USERNAME"
	apiPassword     = "NARU_API_PASSWORD" //nolint:gosec // the name of a variable
)

func (a *logstashAPI) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&a.enabled, "api.enabled", true, "answer at Logstash's API, with /metrics beside it")
	flags.StringVar(&a.host, "api.http.host", defaultAPIHost, "the `ADDRESS` of the API; one that others reach needs a password in logstash.yml")
	flags.StringVar(&a.ports, "api.http.port", defaultAPIPorts, "its `PORT`, or a range of which the first free one is taken")
}

// read takes over settings that are not given as flags.
func (a *logstashAPI) read(c *common, s yamlSettings, given func(flag string) bool) error {
	wrong := func(name, format string, args ...any) error {
		return fmt.Errorf("%s: %s: %w", s.file, name, fmt.Errorf(format, args...))
	}
	old := func(name string) string { return cmp.Or(s.text("api."+name), s.text(name)) } // its name before Logstash 7.14
	if v := cmp.Or(s.text("api.enabled"), s.text("http.enabled")); v != "" && !given("api.enabled") {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return wrong("api.enabled", "it is true or false, not %q", v)
		}
		a.enabled = b
	}
	hosted := given("api.http.host")
	if v := old("http.host"); v != "" && !hosted {
		a.host, hosted = v, true
	}
	a.asked = given("api.http.port")
	if v := old("http.port"); v != "" && !a.asked {
		a.ports, a.asked = v, true
	}
	if _, _, err := portRange(a.ports); err != nil {
		return fmt.Errorf("api.http.port: %w", err)
	}
	a.name, a.data = s.text("node.name"), s.text("path.data")
	if !a.enabled {
		return nil
	}
	if err := a.readAuth(c, s); err != nil {
		return err
	}
	if err := a.readTLS(c, s); err != nil {
		return err
	}
	if !hosted && a.password != nil && a.tls != nil {
		a.host = "0.0.0.0" // as in Logstash
	}
	if a.password == nil && !monitor.LoopbackName(a.host) {
		return fmt.Errorf("the API at %s is for others than this machine, and needs a password: set api.auth.type: basic, api.auth.basic.username and "+
			"api.auth.basic.password in logstash.yml, or %s and %s in the environment; or stay at api.http.host: %s", a.host, apiUsername, apiPassword, defaultAPIHost)
	}
	return nil
}

// readAuth reads who may ask.
func (a *logstashAPI) readAuth(c *common, s yamlSettings) error {
	kind := s.text("api.auth.type")
	user, pass := cmp.Or(s.text("api.auth.basic.username"), c.Getenv(apiUsername)), cmp.Or(s.text("api.auth.basic.password"), c.Getenv(apiPassword))
	switch kind {
	case "none":
		return nil
	case "":
		if c.Getenv(apiPassword) == "" {
			if s.text("api.auth.basic.password") != "" {
				c.log().Warn("api.auth.basic.password has no effect without api.auth.type: basic")
			}
			return nil
		}
	case "basic":
	default:
		return fmt.Errorf("%s: api.auth.type is basic or none, not %q", s.file, kind)
	}
	if user == "" || pass == "" {
		return fmt.Errorf("api.auth.type: basic needs api.auth.basic.username and api.auth.basic.password in logstash.yml, or %s and %s in the environment", apiUsername, apiPassword)
	}
	if weak := weakPassword(pass, s); weak != "" {
		if strings.EqualFold(s.text("api.auth.basic.password_policy.mode"), "ERROR") {
			return fmt.Errorf("%s: api.auth.basic.password %s", s.file, weak)
		}
		c.log().Warn("the password of the API is weak", "reason", weak)
	}
	p := option.Password(pass)
	a.username, a.password = user, &p
	return nil
}

// weakPassword says what a password lacks; "" if nothing.
//
// Source: logstash-core/lib/logstash/util/password.rb, org.logstash.settings.
func weakPassword(pass string, s yamlSettings) string {
	least := 8
	if n, err := strconv.Atoi(s.text("api.auth.basic.password_policy.length.minimum")); err == nil {
		least = n
	}
	if len([]rune(pass)) < least {
		return fmt.Sprintf("must have at least %d characters", least)
	}
	for _, x := range []struct{ name, of, what string }{
		{"upper", "REQUIRED", "an upper case letter"}, {"lower", "REQUIRED", "a lower case letter"}, {"digit", "REQUIRED", "a digit"}, {"symbol", "OPTIONAL", "a symbol"},
	} {
		must := strings.EqualFold(cmp.Or(s.text("api.auth.basic.password_policy.include."+x.name), x.of), "REQUIRED")
		if must && !strings.ContainsFunc(pass, passwordClass[x.name]) {
			return "must have " + x.what
		}
	}
	return ""
}

var passwordClass = map[string]func(rune) bool{
	"upper":  func(r rune) bool { return r >= 'A' && r <= 'Z' },
	"lower":  func(r rune) bool { return r >= 'a' && r <= 'z' },
	"digit":  func(r rune) bool { return r >= '0' && r <= '9' },
	"symbol": func(r rune) bool { return r > ' ' && r < 0x7f && !strings.ContainsRune(alphanumeric, r) },
}

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// readTLS reads how connections are encrypted.
func (a *logstashAPI) readTLS(c *common, s yamlSettings) error {
	enabled := s.text("api.ssl.enabled")
	if on, err := strconv.ParseBool(cmp.Or(enabled, "false")); err != nil {
		return fmt.Errorf("%s: api.ssl.enabled is true or false, not %q", s.file, enabled)
	} else if !on {
		return nil
	}
	secret := func(name string) *option.Password {
		if v := s.text(name); v != "" {
			p := option.Password(v)
			return &p
		}
		return nil
	}
	conf := &tlsoption.Config{Log: c.log()}
	conf.Certificate, conf.Key, conf.KeyPassphrase = s.text("api.ssl.certificate"), s.text("api.ssl.key"), secret("api.ssl.key_passphrase")
	conf.Keystore = tlsoption.Store{Path: s.text("api.ssl.keystore.path"), Password: secret("api.ssl.keystore.password")}
	conf.SupportedProtocols = s.list("api.ssl.supported_protocols")
	for usual, name := range map[string]string{
		"ssl_certificate": "api.ssl.certificate", "ssl_key": "api.ssl.key", "ssl_keystore_path": "api.ssl.keystore.path",
		"ssl_keystore_password": "api.ssl.keystore.password", "ssl_supported_protocols": "api.ssl.supported_protocols",
	} {
		conf.Named(usual, name)
	}
	if err := conf.CheckServer(); err != nil {
		return fmt.Errorf("%s: %w", s.file, err)
	}
	a.tls = conf
	return nil
}

// list gives a setting as texts.
func (s yamlSettings) list(name string) []string {
	switch v := s.values[name].(type) {
	case nil:
		return nil
	case []any:
		var out []string
		for _, e := range v {
			out = append(out, fmt.Sprint(e))
		}
		return out
	}
	return []string{s.text(name)}
}

// portRange reads 9600 or 9600-9700.
func portRange(text string) (low, high int, err error) {
	first, last, ok := strings.Cut(text, "-")
	if !ok {
		last = first
	}
	low, err = strconv.Atoi(strings.TrimSpace(first))
	if err == nil {
		high, err = strconv.Atoi(strings.TrimSpace(last))
	}
	if err != nil || low < 0 || high > 65535 || high < low {
		return 0, 0, fmt.Errorf("expected a port or a range like %s, not %q", defaultAPIPorts, text)
	}
	return low, high, nil
}

// listen takes the first free port.
func (a *logstashAPI) listen(ctx context.Context) (net.Listener, error) {
	low, high, err := portRange(a.ports)
	if err != nil {
		return nil, err
	}
	var conf net.ListenConfig
	for port := low; ; port++ {
		l, err := conf.Listen(ctx, "tcp", net.JoinHostPort(a.host, strconv.Itoa(port)))
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
		if port == high {
			if low == high {
				return nil, fmt.Errorf("port %d of %s is taken: give another one, or a range: --api.http.port %s", port, a.host, defaultAPIPorts)
			}
			return nil, fmt.Errorf("all ports %s of %s are taken: give others: --api.http.port 9700-9800", a.ports, a.host)
		}
	}
}

// serve answers requests until stop is called. Where a port was not asked for and none can be had, it only warns.
func (a *logstashAPI) serve(c *common, list func() monitor.Node) (stop func(), err error) {
	if !a.enabled {
		return func() {}, nil
	}
	log := c.log()
	ctx, cancel := context.WithCancel(context.Background())
	l, err := a.listen(ctx)
	if err != nil {
		cancel()
		if a.asked {
			return nil, fmt.Errorf("api.http.port: %w", err)
		}
		log.Warn("there is no API: pipelines run all the same; naru top and naru tap cannot see them", "error", err)
		return func() {}, nil
	}
	address := l.Addr().String()
	if a.tls != nil {
		conf, err := a.tls.Server()
		if err != nil {
			cancel()
			return nil, errors.Join(fmt.Errorf("api.ssl: %w", err), l.Close())
		}
		conf.NextProtos = []string{"http/1.1"}
		l = tls.NewListener(l, conf)
	} else if a.password != nil && !monitor.LoopbackName(a.host) {
		log.Warn("the API's password goes over the network as it is: set api.ssl.enabled", "address", address)
	}
	version := thisVersion()
	m := monitor.New(monitor.Options{
		List: list, Address: address, Name: a.name, Data: a.data, Plugins: pluginNames(), Log: log,
		Build: monitor.Build{Version: version.Version, Revision: version.Revision, Time: version.Time},
	})
	access := monitor.Access{Username: a.username}
	if a.password != nil {
		access.Password = string(*a.password)
	}
	server := &http.Server{
		Handler: monitor.Guard(m, access), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	log.Info("the API is up", "address", address)
	var all sync.WaitGroup
	all.Go(func() { m.Run(ctx) })
	all.Go(func() {
		if err := server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			log.Error("the API has ended", "error", err)
		}
	})
	return sync.OnceFunc(func() {
		cancel()
		if err := server.Close(); err != nil {
			log.Debug("the API cannot be closed", "error", err)
		}
		all.Wait()
	}), nil
}

// pluginNames are the plugins that there are, as Logstash calls their packages.
func pluginNames() []string {
	var out []string
	add := func(kind string, names []string) {
		for _, n := range names {
			out = append(out, "logstash-"+kind+"-"+n)
		}
	}
	add("input", slices.Collect(maps.Keys(input.Table())))
	add("filter", slices.Collect(maps.Keys(filter.Table())))
	add("codec", slices.Collect(maps.Keys(codec.Table())))
	add("output", slices.Collect(maps.Keys(output.Table())))
	return out
}

// mostOfABatch is how many messages a batch has at most where no setting says so.
const mostOfABatch = 2048

// node gives what there is to see of the pipelines.
func (r *logstashRuns) node() monitor.Node {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := monitor.Node{Past: r.past, Reloads: r.reloaded, Route: r.route.monitored(), Witness: r.route.witness()}
	for _, id := range slices.Sorted(maps.Keys(r.running)) {
		n.Pipelines = append(n.Pipelines, r.running[id].monitored(r.reloads))
	}
	return n
}

// monitored gives what there is to see of a run.
func (run *logstashRun) monitored(reloadable bool) monitor.Pipeline {
	o := run.spec.runOptions(nil, nil)
	p := monitor.Pipeline{
		ID: run.spec.id, Run: run.name, Hash: run.hash, Workers: o.Workers, BatchSize: cmp.Or(o.BatchSize, mostOfABatch),
		Reloadable: reloadable, Reloads: run.reloads, State: monitor.Loading, Of: run.pipeline, Now: run.now.Load(),
	}
	if most := run.pipeline.MaxWorkers(); most > 0 {
		p.Workers = min(p.Workers, most)
	}
	if p.Now != nil {
		p.State, p.Dead = monitor.Running, p.Now.Dead
	}
	if closed(run.ended) {
		p.State = monitor.Finished
		if run.err != nil {
			p.State = monitor.Terminated
		}
	}
	return p
}

// events are what a run that is over has counted.
func (run *logstashRun) events() monitor.Events {
	now := run.now.Load()
	if now == nil {
		return monitor.Events{}
	}
	f := run.pipeline.Figures(now.Stats)
	return monitor.EventsOf(&f)
}

// refuse notes that pipelines that run could not be loaded anew.
func (r *logstashRuns) refuse(changed []logstashPipeline, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range changed {
		if run := r.running[changed[i].id]; run != nil {
			run.reloads.Failures++
			run.reloads.LastFailure, run.reloads.LastError = time.Now(), why.Error()
		}
	}
	r.reloaded.Failures++
	r.reloaded.LastFailure, r.reloaded.LastError = time.Now(), why.Error()
}

// after says of a run that it takes the place of another one.
func (r *logstashRuns) after(run, old *logstashRun) {
	r.mu.Lock()
	defer r.mu.Unlock()
	run.reloads = old.reloads
	run.reloads.Successes++
	run.reloads.LastSuccess = time.Now()
	r.reloaded.Successes++
	r.reloaded.LastSuccess = run.reloads.LastSuccess
}

// hashOf is a digest of a configuration.
func hashOf(files []syntax.File) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%d\n", len(f.Text))
		h.Write(f.Text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// newRunName gives a name that no other run has, in the form of a UUID.
func newRunName() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it does not fail
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
