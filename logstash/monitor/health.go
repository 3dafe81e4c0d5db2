package monitor

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// grades are the states of health, the best first.
var grades = []string{"green", "yellow", "red"}

// grade is how bad a state is.
func grade(status string) int { return max(slices.Index(grades, status), 0) }

// A finding is why a pipeline is not green.
type finding struct {
	status        string
	id            string
	cause, action string
	impact        string
	severity      int
}

// status is that of the pipeline that is worst off.
func (m *Monitor) status(v *view) string {
	worst := "green"
	for _, p := range v.pipelines {
		if f := m.findings(v, p); grade(worstOf(f)) > grade(worst) {
			worst = worstOf(f)
		}
	}
	return worst
}

func worstOf(list []finding) string {
	worst := "green"
	for _, f := range list {
		if grade(f.status) > grade(worst) {
			worst = f.status
		}
	}
	return worst
}

// findings say what is wrong with a pipeline: that it has ended, or that nothing gets out of it.
//
// Source: org.logstash.health.PipelineIndicator.
func (m *Monitor) findings(v *view, p *seen) []finding {
	var out []finding
	const executes = "logstash:health:pipeline:status:"
	switch p.State {
	case Finished:
		out = append(out, finding{
			"yellow", executes + "diagnosis:finished", "the inputs of the pipeline have ended, and all of their events are processed",
			"if it is to run on, give it an input that does not end", "the pipeline processes nothing any more", 10,
		})
	case Terminated:
		out = append(out, finding{
			"red", executes + "diagnosis:terminated", "the pipeline has failed", "look into the log for the reason",
			"the pipeline processes nothing any more", 1,
		})
	case Running, Loading:
		if f, ok := m.stuck(v, p); ok {
			out = append(out, f)
		}
	}
	for _, q := range p.queues {
		if q.Waiting {
			out = append(out, finding{
				"yellow", "logstash:health:pipeline:queue:diagnosis:waiting", "events wait in front of the queue on the disk: " + q.Why,
				"make room for it, or look what holds up the outputs", "senders are held up", 3,
			})
		}
	}
	return out
}

// stuck says that events wait for outputs, and none has got out for minutes.
func (m *Monitor) stuck(v *view, p *seen) (finding, bool) {
	now := p.counters(v.at)
	if !now.waiting {
		return finding{}, false
	}
	for _, w := range []struct {
		span   time.Duration
		name   string
		status string
	}{{5 * time.Minute, "five minutes", "red"}, {time.Minute, "a minute", "yellow"}} {
		if c, ok := m.history.before(p.Run, v.at, w.span); ok && c.waiting && delivered(&c) == delivered(&now) {
			return finding{
				w.status, fmt.Sprintf("logstash:health:pipeline:flow:worker_utilization:diagnosis:%dm-blocked", int(w.span.Minutes())),
				"events wait, and no output has taken any for at least " + w.name, "look into the log for why outputs cannot write",
				"the pipeline is blocked", 1,
			}, true
		}
	}
	return finding{}, false
}

func delivered(c *counters) (n int64) {
	for _, o := range c.outputs {
		n += o.events
	}
	return n
}

// health answers /_health_report.
func (m *Monitor) health(w http.ResponseWriter, r *http.Request) {
	v := m.look()
	indicators := object{}
	worst, concerning := "green", 0
	for _, p := range v.pipelines {
		found := m.findings(v, p)
		status := worstOf(found)
		if grade(status) > grade(worst) {
			worst = status
		}
		if status != "green" {
			concerning++
		}
		indicators[p.ID] = m.indicator(v, p, found)
	}
	symptom := symptomOf(worst, concerning, "pipelines")
	out := m.basic()
	out["status"], out["timestamp"], out["symptom"] = worst, stamp(v.at), symptom
	out["indicators"] = object{"pipelines": object{"status": worst, "symptom": symptom, "indicators": indicators}}
	answer(w, r, http.StatusOK, out)
}

func (m *Monitor) indicator(v *view, p *seen, found []finding) object {
	status := worstOf(found)
	used := utilization(m.history.spans(p.Run, p.started(v.at), p.counters(v.at)), p.Workers)
	recent := rate{}
	for _, w := range []string{"last_1_minute", "last_5_minutes"} {
		if n, ok := used[w]; ok {
			recent[w] = n
		}
	}
	out := object{
		"status": status, "symptom": "The pipeline is healthy",
		"details": object{"status": object{"state": p.State}, "flow": object{"worker_utilization": recent}},
	}
	if len(found) == 0 {
		return out
	}
	var diagnosis, impacts []object
	for _, f := range found {
		diagnosis = append(diagnosis, object{"id": f.id, "cause": f.cause, "action": f.action, "help_url": "https://www.elastic.co/guide/en/logstash/8.19/health-report-pipeline-status.html"})
		impacts = append(impacts, object{"id": f.id + ":impact", "severity": f.severity, "description": f.impact, "impact_areas": []string{"pipeline_execution"}})
	}
	out["diagnosis"], out["impacts"] = diagnosis, impacts
	out["symptom"] = fmt.Sprintf("The pipeline is %s; %s impacted and %s available", wordOf(status), areas(len(impacts)), diagnoses(len(diagnosis)))
	return out
}

func wordOf(status string) string {
	switch status {
	case "yellow":
		return "concerning"
	case "red":
		return "unhealthy"
	}
	return "healthy"
}

func areas(n int) string {
	if n == 1 {
		return "1 area is"
	}
	return fmt.Sprintf("%d areas are", n)
}

func diagnoses(n int) string {
	if n == 1 {
		return "1 diagnosis is"
	}
	return fmt.Sprintf("%d diagnoses are", n)
}

func symptomOf(status string, n int, what string) string {
	switch n {
	case 0:
		return "1 indicator is healthy (`" + what + "`)"
	case 1:
		return fmt.Sprintf("1 indicator is %s (`%s`)", wordOf(status), what)
	}
	return fmt.Sprintf("%d indicators are %s (`%s`)", n, wordOf(status), what)
}
