package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
)

// metrics are what Prometheus is told of a flow while it runs.
type metrics struct {
	progress func() flow.Snapshot
	sink     func() opensearch.State // nil: the sink is no cluster

	parts, records, delivered, dead, bytes *prometheus.Desc
	requests, limit, size, held            *prometheus.Desc
}

func newMetrics(progress func() flow.Snapshot, sink func() opensearch.State) *metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("naru_"+name, help, labels, nil)
	}
	return &metrics{
		progress: progress, sink: sink,
		parts:     desc("parts", "Parts of an index, by what has become of them.", "index", "state"),
		records:   desc("records_read_total", "Records read, by this run and earlier ones.", "index"),
		delivered: desc("records_delivered_total", "Records that the target has.", "index"),
		dead:      desc("records_dead_total", "Records among the dead letters.", "index"),
		bytes:     desc("body_bytes_delivered_total", "Bytes of the bodies delivered.", "index"),
		requests:  desc("target_requests", "Requests to the target that are under way."),
		limit:     desc("target_requests_limit", "How many there may be, as the target has shown."),
		size:      desc("target_request_bytes", "How large a request may be."),
		held:      desc("target_held", "1 while nothing is sent, since the window is closed or the target is under strain."),
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.parts, m.records, m.delivered, m.dead, m.bytes, m.requests, m.limit, m.size, m.held} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	for _, g := range m.progress().Groups {
		gauge(m.parts, float64(g.Done), g.Name, "done")
		gauge(m.parts, float64(g.Failed), g.Name, "failed")
		gauge(m.parts, float64(g.Taken), g.Name, "taken")
		gauge(m.parts, float64(g.Parts-g.Done-g.Failed-g.Taken), g.Name, "open")
		counter(m.records, g.Records, g.Name)
		counter(m.delivered, g.Delivered, g.Name)
		counter(m.dead, g.Dead, g.Name)
		counter(m.bytes, g.BodyBytes, g.Name)
	}
	if m.sink == nil {
		return
	}
	s := m.sink()
	held := 0.0
	if s.Held != "" {
		held = 1
	}
	gauge(m.requests, float64(s.Running))
	gauge(m.limit, float64(s.Limit))
	gauge(m.size, float64(s.Size))
	gauge(m.held, held)
}

// listen serves metrics and profiles at an address of this machine until stop is called. There is no password: so the
// address must be one that only this machine reaches.
func listen(ctx context.Context, address string, m *metrics) (at string, stop func() error, err error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", nil, fmt.Errorf("--listen %s: want an address like 127.0.0.1:9400", address)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", nil, fmt.Errorf("--listen %s: profiles are for this machine alone; listen at 127.0.0.1 or localhost", address)
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return "", nil, fmt.Errorf("--listen: %w", err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	var wg sync.WaitGroup
	var served error
	wg.Go(func() { served = server.Serve(l) })
	return l.Addr().String(), func() error {
		err := server.Close()
		wg.Wait()
		if !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}
