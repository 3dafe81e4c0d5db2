package operator

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/narudata/naru/flow"
)

// A podProgress is a line of `naru run --progress json`, which a pod has in its log: how far it is. It is known without anybody's
// credentials, wherever the pod writes to.
type podProgress struct {
	Time time.Time `json:"time"`
	Held string    `json:"held"` // why nothing is written for now
	flow.Snapshot
}

// rate is how many records the pod reads in a second; 0: it is not known.
func (p *podProgress) rate() float64 {
	d := p.Time.Sub(p.Started).Seconds()
	if n := p.Total.Records - p.Total.EarlierRecords; n > 0 && d > 0 {
		return float64(n) / d
	}
	return 0
}

// podLogs reads logs of pods.
type podLogs struct{ kubernetes.Interface }

// Bounds of reading logs.
const (
	mostLogs   = 4 // pods: each knows of the others' parts
	lastLines  = 20
	mostOfALog = 1 << 20
)

// furthest is the progress of the pod of a carry that knows of most that is done; nil: none of those that run has said anything. told is
// told of logs that cannot be read.
func (l podLogs) furthest(ctx context.Context, pods []corev1.Pod, told func(p *corev1.Pod, err error)) (best *podProgress) {
	if l.Interface == nil {
		return nil
	}
	asked := 0
	for i := range pods {
		p := &pods[i]
		if p.Status.Phase != corev1.PodRunning || p.Labels[StageLabel] != carryPhase {
			continue
		}
		if asked++; asked > mostLogs {
			break
		}
		text, err := l.last(ctx, p)
		if err != nil {
			told(p, err)
			continue
		}
		if s := parseProgress(text); s != nil && (best == nil || cmp.Or(cmp.Compare(s.Total.Done, best.Total.Done), cmp.Compare(s.Total.Records, best.Total.Records)) > 0) {
			best = s
		}
	}
	return best
}

// parseProgress finds the last progress in the end of a log, of a carry that knows all its parts; nil: there is none.
func parseProgress(text []byte) *podProgress {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	for _, line := range slices.Backward(lines) {
		var s podProgress
		if json.Unmarshal(line, &s) == nil && !s.Started.IsZero() {
			if !s.Planned {
				return nil
			}
			return &s
		}
	}
	return nil
}

// last is the end of what a container wrote.
func (l podLogs) last(ctx context.Context, p *corev1.Pod) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, podPatience)
	defer cancel()
	return l.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{Container: containerIs, TailLines: new(int64(lastLines)), LimitBytes: new(int64(mostOfALog))}).DoRaw(ctx)
}
