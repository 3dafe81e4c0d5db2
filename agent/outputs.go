package agent

import (
	"fmt"
	"io/fs"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/format/filebeat"
)

// readOutput reads the one output that is on.
func (c *Config) readOutput(s *filebeat.Section) {
	known := map[string]func(*filebeat.Section) output{
		"logstash": c.readLogstash, "elasticsearch": c.readSearch, "opensearch": c.readSearch, "kafka": c.readKafka,
		"console": c.readConsole, "file": c.readFiles, "discard": func(s *filebeat.Section) output { s.Know("enabled"); return Discard{} },
	}
	s.Know("output")
	under := s.Sub("output")
	defer under.Done()
	for _, name := range sortedKeys(known) {
		under.Know(name)
	}
	var on []string
	for _, m := range under.Node.Members {
		if m.Name == "redis" {
			under.Each(filebeat.Unsupported, "naru has no such output", "send to Logstash, Kafka or OpenSearch", m.Name)
			continue
		}
		read, ok := known[m.Name]
		if !ok {
			continue // it is unknown
		}
		if n := m.Value.Get("enabled"); n != nil && n.Text == "false" {
			continue
		}
		on = append(on, m.Name)
		of := under.Sub(m.Name)
		of.Know("enabled")
		c.Output, c.OutputName = read(of), m.Name
		of.Done()
	}
	if s.Text("cloud.id", "") != "" {
		c.readCloud(s, &on)
	}
	s.Know("cloud")
	switch {
	case len(on) > 1:
		s.Say(filebeat.Wrong, "output", "one output is on at a time, and these are: "+strings.Join(on, ", "), "set enabled: false for the others")
	case len(on) == 0 && c.doc.Worst() != filebeat.Wrong && c.doc.Worst() != filebeat.Unsupported:
		s.Say(filebeat.Wrong, "", "there is no output: expected output.logstash, output.elasticsearch, output.kafka, output.file or output.console", "")
	}
}

func (c *Config) readCloud(s *filebeat.Section, on *[]string) {
	text := s.Text("cloud.id", "")
	address, err := opensearch.CloudURL(text)
	if err != nil {
		s.Say(filebeat.Wrong, "cloud.id", err.Error(), "")
		return
	}
	o, ok := c.Output.(*Search)
	if !ok {
		o, _ = c.readSearch(c.doc.Section(nil, "output.elasticsearch")).(*Search)
		c.Output, c.OutputName = o, "elasticsearch"
		*on = append(*on, "elasticsearch")
	}
	o.Endpoint.URLs = []string{address}
	if name, password, ok := strings.Cut(s.Text("cloud.auth", ""), ":"); ok {
		o.Endpoint.Username, o.Endpoint.Password = name, password
	}
}

// hosts reads addresses, with the port that counts if one has none.
func hosts(s *filebeat.Section, port string) []string {
	var out []string
	for _, h := range s.Texts("hosts") {
		if _, _, err := net.SplitHostPort(h); err != nil {
			h = net.JoinHostPort(strings.Trim(h, "[]"), port)
		}
		out = append(out, h)
	}
	if len(out) == 0 {
		s.Say(filebeat.Wrong, "", "expected hosts: at least one address", "")
		out = []string{"localhost:" + port}
	}
	return out
}

func backoff(s *filebeat.Section) flow.Retry {
	s.Each(filebeat.Note, "nothing is given up: events are tried again until they are taken", "", "max_retries")
	return flow.Retry{First: max(s.Duration("backoff.init", time.Second), time.Millisecond), Max: max(s.Duration("backoff.max", time.Minute), time.Millisecond)}
}

func (c *Config) readLogstash(s *filebeat.Section) output {
	o := &Logstash{Beat: s.Text("index", beatName)}
	o.Hosts = hosts(s, "5044")
	o.Balance = s.Bool("loadbalance", false)
	o.Workers = int(s.Int("worker", s.Int("workers", 1, 1, 64), 1, 64))
	o.Pipelining = int(s.Int("pipelining", 2, 0, 64))
	o.BulkMax = int(s.Int("bulk_max_size", 2048, 0, 1<<20))
	o.Compression = int(s.Int("compression_level", 3, 0, 9))
	o.Timeout = s.Duration("timeout", 30*time.Second)
	o.TTL = s.Duration("ttl", 0)
	o.Backoff = backoff(s)
	o.TLS = readTLS(s, c.inConfig)
	s.Each(filebeat.Note, "windows are as large as bulk_max_size from the beginning", "", "slow_start")
	s.Each(filebeat.Unsupported, "naru goes through no SOCKS proxy", "", "proxy_url")
	s.Know("proxy_use_local_resolver", "escape_html", "queue")
	return o
}

// choices reads a list of rules: what under key, mappings, default and when.
func choices(s *filebeat.Section, list, key string) []rule {
	var out []rule
	for _, r := range s.Sections(list) {
		rule := rule{format: format(r, key), fallback: r.Text("default", "")}
		if rule.format == nil {
			r.Say(filebeat.Wrong, "", "expected "+key, "")
		}
		if m := r.Get("mappings"); m != nil {
			rule.mappings = map[string]string{}
			for _, x := range leaves(m, "", nil) {
				rule.mappings[x.name] = x.node.Text
			}
		}
		if r.Has("when") {
			rule.when = readCondition(r.Sub("when"))
			if rule.when == nil {
				rule.when = func(*Event) bool { return false }
			}
		}
		r.Done()
		if rule.format != nil {
			out = append(out, rule)
		}
	}
	return out
}

func (c *Config) readSearch(s *filebeat.Section) output {
	o := &Search{}
	protocol, path := s.Choice("protocol", "http", "http", "https"), s.Text("path", "")
	addresses := s.Texts("hosts")
	if len(addresses) == 0 {
		addresses = []string{"localhost:9200"}
	}
	for _, h := range addresses {
		if !strings.Contains(h, "://") {
			h = protocol + "://" + h
		}
		u, err := url.Parse(h)
		if err != nil || u.Host == "" {
			s.Say(filebeat.Wrong, "hosts", fmt.Sprintf("expected an address, as https://node-1:9200, found %q", h), "")
			continue
		}
		if u.Port() == "" {
			u.Host = net.JoinHostPort(u.Hostname(), "9200")
		}
		if u.Path == "" {
			u.Path = path
		}
		o.Endpoint.URLs = append(o.Endpoint.URLs, u.String())
	}
	o.Endpoint.Username, o.Endpoint.Password = s.Text("username", ""), s.Text("password", "")
	if key := s.Text("api_key", ""); key != "" {
		encoded, err := opensearch.ParseAPIKey(key)
		if err != nil {
			s.Say(filebeat.Wrong, "api_key", err.Error(), "")
		}
		o.Endpoint.APIKey = encoded
	}
	if p := s.Text("proxy_url", ""); p != "" && !s.Bool("proxy_disable", false) {
		u, err := url.Parse(p)
		if err != nil {
			s.Say(filebeat.Wrong, "proxy_url", err.Error(), "")
		}
		o.Endpoint.Proxy = u
	}
	s.Know("proxy_disable", "proxy_headers")
	o.Endpoint.Timeout = s.Duration("timeout", 90*time.Second)
	for _, l := range leavesOf(s, "parameters") {
		if o.Endpoint.Parameters == nil {
			o.Endpoint.Parameters = url.Values{}
		}
		o.Endpoint.Parameters.Set(l.name, l.node.Text)
	}
	for _, l := range leavesOf(s, "headers") {
		if o.Endpoint.Headers == nil {
			o.Endpoint.Headers = http.Header{}
		}
		o.Endpoint.Headers.Set(l.name, l.node.Text)
	}
	o.TLS = readTLS(s, c.inConfig)
	level := s.Int("compression_level", 1, 0, 9)
	o.BulkMax = int(s.Int("bulk_max_size", 1600, 0, 1<<20))
	o.Workers = int(s.Int("worker", s.Int("workers", 1, 1, 64), 1, 64))
	o.Backoff = backoff(s)
	o.Events = opensearch.EventsOptions{Compression: int(level)}
	o.Index = selector{usual: format(s, "index"), rules: choices(s, "indices", "index")}
	if o.Index.usual == nil {
		o.Index.usual, _ = ParseFormat(beatName + "-" + Version)
	}
	o.Pipeline = selector{usual: format(s, "pipeline"), rules: choices(s, "pipelines", "pipeline")}
	s.Each(filebeat.Unsupported, "naru does not log in with Kerberos", "", "kerberos")
	s.Each(filebeat.Note, "what is refused for good is a dead letter in path.data/dead: naru dlq", "", "non_indexable_policy")
	s.Each(filebeat.Note, "it has no effect", "", "loadbalance", "allow_older_versions", "escape_html", "preset", "idle_connection_timeout", "queue")
	return o
}

func leavesOf(s *filebeat.Section, key string) []leaf {
	n := s.Get(key)
	if n == nil || n.Kind != filebeat.Map {
		return nil
	}
	return leaves(n, "", nil)
}

func (c *Config) readKafka(s *filebeat.Section) output {
	o := &Kafka{Codec: readCodec(s, false), Key: format(s, "key"), TLS: readTLS(s, c.inConfig), Backoff: backoff(s)}
	o.Sink.Brokers = hosts(s, "9092")
	o.Sink.ClientID = s.Text("client_id", "beats")
	o.Topic = selector{usual: format(s, "topic"), rules: choices(s, "topics", "topic")}
	if o.Topic.usual == nil && len(o.Topic.rules) == 0 {
		s.Say(filebeat.Wrong, "", "expected topic", "")
	}
	w := &o.Sink.Writing
	w.CreateTopics = true
	w.Compression = kafka.Codec(s.Choice("compression", "gzip", "none", "gzip", "snappy", "lz4", "zstd"))
	w.BatchBytes = int(s.Int("max_message_bytes", 1_000_000, 512, 1<<30))
	o.BulkMax = int(s.Int("bulk_max_size", 2048, 0, 1<<20))
	if s.Has("required_acks") {
		w.Acks = map[int64]string{-1: "all", 0: "none", 1: "leader"}[s.Int("required_acks", -1, -1, 1)]
	} else {
		s.Say(filebeat.Note, "", "all replicas in sync acknowledge events, as required_acks is not given; Filebeat asks the leader only", "")
	}
	if d := s.Duration("broker_timeout", 0); d > 0 {
		w.ReplicaTimeout = d
	}
	if d := s.Duration("timeout", 0); d > 0 {
		o.Sink.RequestTimeout = d
	}
	w.Partitioner = "crc32"
	if n := s.Get("partition"); n != nil {
		for _, m := range n.Members {
			switch m.Name {
			case "hash":
				w.Partitioner = "murmur2"
				s.Say(filebeat.Different, "partition.hash", "keys go to the partitions where the Java client puts them, not Filebeat", "")
			case "random":
				w.Partitioner = "sticky"
			case "round_robin":
				w.Partitioner = "roundrobin"
			default:
				s.Say(filebeat.Wrong, "partition."+m.Name, "expected hash, random or round_robin", "")
			}
		}
	} else {
		w.Partitioner = "murmur2"
	}
	c.readSASL(s, o)
	for _, h := range s.Sections("headers") {
		if k := h.Text("key", ""); k != "" {
			o.Headers = append(o.Headers, kafka.Header{Name: k, Value: []byte(h.Text("value", ""))})
		}
		h.Know("when")
		h.Done()
	}
	s.Each(filebeat.Unsupported, "naru does not log in with Kerberos", "", "kerberos")
	s.Each(filebeat.Note, "it has no effect", "", "version", "metadata", "channel_buffer_size", "keep_alive", "compression_level", "worker", "workers", "bulk_flush_frequency", "queue")
	for _, b := range o.Sink.Brokers {
		if strings.Contains(b, "://") {
			s.Say(filebeat.Wrong, "hosts", "expected HOST:PORT, found "+b, "")
		}
	}
	return o
}

func (c *Config) readSASL(s *filebeat.Section, o *Kafka) {
	mechanism := s.Choice("sasl.mechanism", "", "", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
	user, password := s.Text("username", ""), s.Text("password", "")
	if user == "" {
		return
	}
	if mechanism == "" {
		mechanism = "PLAIN"
	}
	o.Sink.SASL = &kafka.SASL{Mechanism: mechanism, Username: user, Password: kafka.Secret(password)}
}

func (c *Config) readConsole(s *filebeat.Section) output {
	o := &Console{Codec: readCodec(s, s.Bool("pretty", false))}
	s.Know("bulk_max_size", "queue")
	return o
}

func (c *Config) readFiles(s *filebeat.Section) output {
	o := &Files{Codec: readCodec(s, false), Dir: c.inHome(s.Text("path", "")), Name: s.Text("filename", beatName)}
	if !s.Has("path") {
		s.Say(filebeat.Wrong, "", "expected path: the folder of the files", "")
	}
	o.Bytes = s.Int("rotate_every_kb", 10240, 1, math.MaxInt32) << 10
	o.Keep = int(s.Int("number_of_files", 7, 2, 1024))
	o.Fresh = s.Bool("rotate_on_startup", true)
	o.Mode = 0o600
	if text := s.Text("permissions", ""); text != "" {
		n, err := strconv.ParseUint(text, 8, 32)
		if err != nil || n > 0o777 {
			s.Say(filebeat.Wrong, "permissions", "expected permissions, as 0600", "")
		} else {
			o.Mode = fs.FileMode(n)
		}
	}
	if slices.Contains([]string{".", "..", ""}, o.Name) || strings.ContainsAny(o.Name, `/\`) {
		s.Say(filebeat.Wrong, "filename", "expected a name", "")
	}
	s.Know("queue")
	return o
}
