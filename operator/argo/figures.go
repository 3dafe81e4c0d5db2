package argo

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/logstash/witness"
)

// figures are counters of a pod since its process began, all of its pipelines added up.
type figures struct {
	Began  float64 `json:"began"` // of the process, in seconds since 1970
	In     float64 `json:"in"`    // events that inputs made
	Taken  float64 `json:"taken"` // events that came past the filters and that an output took
	Lost   float64 `json:"lost"`
	Dead   float64 `json:"dead"`
	Writes float64 `json:"writes"`
	Failed float64 `json:"failed"` // writes that did, in whole or in part
	CPU    float64 `json:"cpu"`    // seconds
}

// A sample is what the pods of both versions have counted up to a moment, by their names.
type sample struct {
	CanaryHash string             `json:"canaryHash"`
	StableHash string             `json:"stableHash"`
	Canary     map[string]figures `json:"canary"`
	Stable     map[string]figures `json:"stable"`
}

const (
	usualPort = 9600
	mostPods  = 50 // of a version that are asked: more tell nothing new
	podTakes  = 5 * time.Second
	mostBytes = 8 << 20 // of an answer
)

// sample asks the pods of both versions.
func (p *platform) sample(ctx context.Context, namespace, canary string, m *Metric) (*sample, error) {
	admin, err := p.admin(ctx, namespace, m.Kafka)
	if err != nil {
		return nil, err
	}
	route, err := canaryRoute(ctx, admin, m.Group, canary)
	if err != nil {
		return nil, err
	}
	if route.Stable == "" {
		return nil, noData("group %s has no stable version to compare with", m.Group)
	}
	s := &sample{CanaryHash: route.Canary, StableHash: route.Stable}
	if s.Canary, err = p.podFigures(ctx, namespace, route.Canary, m); err != nil {
		return nil, err
	}
	if s.Stable, err = p.podFigures(ctx, namespace, route.Stable, m); err != nil {
		return nil, err
	}
	return s, nil
}

func (p *platform) podFigures(ctx context.Context, namespace, hash string, m *Metric) (map[string]figures, error) {
	out := map[string]figures{}
	err := p.eachPod(ctx, namespace, hash, m, func(name string, req *http.Request, _ int) error {
		f, err := ask(req)
		if err == nil {
			out[name] = f
		}
		return err
	})
	return out, err
}

// eachPod has the pods of a version asked by their API, of which do gets a request without a path. That none of them answers is no data.
func (p *platform) eachPod(ctx context.Context, namespace, hash string, m *Metric, do func(name string, req *http.Request, pods int) error) error {
	if err := kafka.CheckRouteHash(hash); err != nil {
		return err
	}
	access, err := p.data(ctx, namespace, m.API.SecretRef)
	if err != nil {
		return err
	}
	all, err := p.pods(ctx, namespace, hash)
	if err != nil {
		return fmt.Errorf("pods of %s: %w", hash, err)
	}
	pods := slices.DeleteFunc(all, func(pod corev1.Pod) bool { return pod.Status.PodIP == "" || pod.DeletionTimestamp != nil })
	pods = pods[:min(len(pods), mostPods)]
	answered := 0
	var last error
	for i := range pods {
		pod := &pods[i]
		at := "http://" + net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(portOf(pod, m.API.Port)))
		req, err := witness.NewRequest(ctx, at, string(access["username"]), string(access["password"]))
		if err != nil {
			return err
		}
		if err := do(pod.Name, req, len(pods)); err != nil {
			last = err
			continue
		}
		answered++
	}
	if answered == 0 && last != nil {
		return noData("no pod of %s says how it is: %v", hash, last)
	}
	return nil
}

// podClient asks pods. It follows no redirects, and goes through no proxy: a pod must not have the controller ask others.
var podClient = &http.Client{
	Transport:     &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: reportTakes},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// portOf gives the port of a pod's API.
func portOf(pod *corev1.Pod, given int) int {
	if given > 0 {
		return given
	}
	for i := range pod.Spec.Containers {
		for _, port := range pod.Spec.Containers[i].Ports {
			if port.Name == "api" {
				return int(port.ContainerPort)
			}
		}
	}
	return usualPort
}

// ask asks a pod's API for its metrics.
func ask(base *http.Request) (figures, error) {
	ctx, cancel := context.WithTimeout(base.Context(), podTakes)
	defer cancel()
	req := base.Clone(ctx)
	req.URL.Path = "/metrics"
	resp, err := podClient.Do(req)
	if err != nil {
		return figures{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return figures{}, fmt.Errorf("%s: %s", req.URL, resp.Status)
	}
	return parseFigures(io.LimitReader(resp.Body, mostBytes))
}

// parseFigures reads metrics in the text form of Prometheus.
//
// Source: the exposition format 0.0.4.
func parseFigures(r io.Reader) (figures, error) {
	var f figures
	var unrouted float64
	of := map[string]*float64{
		"naru_pipeline_events_in_total": &f.In, "naru_pipeline_events_lost_total": &f.Lost, "naru_output_dead_total": &f.Dead,
		"naru_output_writes_total": &f.Writes, "naru_output_write_failures_total": &f.Failed, "process_cpu_seconds_total": &f.CPU,
		"process_start_time_seconds": &f.Began, "naru_pipeline_events_filtered_total": &f.Taken, "naru_pipeline_events_unrouted_total": &unrouted,
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		end := strings.IndexAny(line, "{ ")
		if end < 0 {
			continue
		}
		to, ok := of[line[:end]]
		if !ok {
			continue
		}
		if close := strings.LastIndexByte(line, '}'); close > 0 {
			line = line[close+1:]
		} else {
			line = line[end:]
		}
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		v, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return figures{}, fmt.Errorf("metrics: %w", err)
		}
		*to += v
	}
	f.Taken -= unrouted
	return f, lines.Err()
}

// until gives what a metric is between two samples. Pods that were not there all the time, or whose counters began anew as the
// pipeline was loaded anew, are left out.
func (s *sample) until(end *sample, m *Metric) (*measured, error) {
	if s.CanaryHash != end.CanaryHash || s.StableHash != end.StableHash {
		return nil, noData("the versions have changed meanwhile: from %s and %s to %s and %s", s.CanaryHash, s.StableHash, end.CanaryHash, end.StableHash)
	}
	least := float64(orElse(m.Least, usualLeast))
	rate := func(hash string, from, to map[string]figures) (float64, string, error) {
		var sum figures
		pods := 0
		for name, b := range to {
			a, ok := from[name]
			if !ok || a.Began != b.Began || b.In < a.In || b.CPU < a.CPU || b.Writes < a.Writes {
				continue
			}
			pods++
			sum.In += b.In - a.In
			sum.Taken += b.Taken - a.Taken
			sum.Lost += b.Lost - a.Lost
			sum.Dead += b.Dead - a.Dead
			sum.Writes += b.Writes - a.Writes
			sum.Failed += b.Failed - a.Failed
			sum.CPU += b.CPU - a.CPU
		}
		if sum.In < least {
			return 0, "", noData("%d pods of %s have read %s records in the window, and %s would be needed", pods, hash, number(sum.In), number(least))
		}
		text, err := json.Marshal(sum)
		if err != nil {
			return 0, "", err
		}
		switch m.Measure {
		case measureCost:
			return sum.CPU / sum.In, string(text), nil
		case measureErrors:
			if sum.Writes == 0 { // it drops everything, say
				return 0, "", noData("%d pods of %s have read %s records in the window, and written nothing", pods, hash, number(sum.In))
			}
			return sum.Failed / sum.Writes, string(text), nil
		case measureYield:
			return sum.Taken / sum.In, string(text), nil
		}
		return (sum.Lost + sum.Dead) / sum.In, string(text), nil
	}
	canary, canaryText, err := rate(s.CanaryHash, s.Canary, end.Canary)
	if err != nil {
		return nil, err
	}
	stable, stableText, err := rate(s.StableHash, s.Stable, end.Stable)
	if err != nil {
		return nil, err
	}
	r := result{"canary": canary, "stable": stable}
	switch {
	case stable > 0:
		r["ratio"] = canary / stable
	case canary == 0:
		r["ratio"] = 1
	}
	return &measured{r, map[string]string{"canary": s.CanaryHash, "stable": s.StableHash, "canaryCounted": canaryText, "stableCounted": stableText}}, nil
}
