package estate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/estate"
)

// days gives the cluster a family of daily indices of 10 GiB.
func (b *bench) days(family string, n int) {
	b.t.Helper()
	today := b.now.UTC().Truncate(24 * time.Hour)
	for i := range n {
		day := today.AddDate(0, 0, i-n+1)
		name := family + day.Format("2006.01.02")
		b.send("PUT", "/"+name, `{"settings": {"number_of_replicas": 1}}`)
		b.fake.SetSize(name, osfake.Size{PrimaryBytes: 10 << 30, Documents: 1000, Created: day})
	}
}

const deletesAfter = `{"policy": {"default_state": "hot", "ism_template": [{"index_patterns": ["logs-*"]}], "states": [
	{"name": "hot", "actions": [], "transitions": [{"state_name": "gone", "conditions": {"min_index_age": "%s"}}]}, {"name": "gone", "actions": [{"delete": {}}], "transitions": []}]}}`

func TestAChangeThatGoesBeyondALimitCannotBeApplied(t *testing.T) {
	b := newBench(t)
	b.days("logs-", 20)
	limits := func(text string) {
		b.file("overlays/prod/env.yaml", "estate: shop\ntarget: {urls: [\""+b.url+"\"]}\nlimits: "+text+"\n")
	}
	b.file("base/index-templates/logs.json", `{"index_patterns": ["logs-*"], "template": {"settings": {"number_of_shards": 1, "number_of_replicas": 1}}}`)
	b.file("base/ism-policies/logs.json", fmt.Sprintf(deletesAfter, "20d"))
	limits("{storage: 600GiB, shards: 60}") // 10 GiB × 20 days × 2 copies / 0.95 / 0.85 = 495 GiB
	if p := b.plan(); p.Problems() > 0 || len(p.Notes) > 0 {
		t.Fatalf("%+v", p)
	}
	b.apply(b.plan())
	b.wants(b.plan())

	b.file("base/ism-policies/logs.json", fmt.Sprintf(deletesAfter, "40d"))
	b.file("base/index-templates/logs.json", `{"index_patterns": ["logs-*"], "priority": 3, "template": {"settings": {"number_of_shards": 1, "number_of_replicas": 1}}}`)
	p := b.plan()
	var problems []string
	for _, ch := range p.Changes {
		if ch.Problem != "" {
			problems = append(problems, ch.Key.String()+" "+ch.Problem)
		}
	}
	if len(problems) != 1 || !strings.HasPrefix(problems[0], "ism-policies/logs with it the environment goes beyond limits.storage of env.yaml: it needs disks of 991 GiB, more than 600 GiB") {
		t.Errorf("%q", problems)
	}
	if _, err := b.try(t.Context(), p); err == nil {
		t.Error("it is applied")
	}
	limits("{storage: 1000GiB, shards: 100}")
	b.apply(b.plan())

	limits("{storage: 300GiB, monthly: 5, brokers: 3}") // it is beyond that already; less is welcome
	b.file("base/ism-policies/logs.json", fmt.Sprintf(deletesAfter, "30d"))
	p = b.plan()
	notes := strings.Join(p.Notes, "\n")
	for _, want := range []string{"limits.storage: it needs disks of 743 GiB, more than 300 GiB", "So it is already", "limits.monthly was not looked at: there is no prices.yaml", "limits.brokers was not looked at"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q is not in %s", want, notes)
		}
	}
	if p.Problems() > 0 {
		t.Errorf("%+v", p.Changes)
	}
	b.file("prices.yaml", "currency: ZZD\nvalid: x\nsource: invented\ninstance_hour: {big: 1}\nenvironments: {default: {data: big}}\n")
	p = b.plan()
	if notes := strings.Join(p.Notes, "\n"); !strings.Contains(notes, "limits.monthly: it costs ") {
		t.Error(notes)
	}
	b.file("sizing.yaml", "disk_ful: 2\n")
	if _, err := estate.Read(t.Context(), b.dir, "prod", noEnv); err == nil || !strings.Contains(err.Error(), `sizing.yaml:1:1: there is no constant "disk_ful"`) {
		t.Error(err)
	}
}

func TestAPlanIsMadeAlsoWhereLimitsCannotBeLookedAt(t *testing.T) {
	b := newBench(t)
	b.file("overlays/prod/env.yaml", "estate: shop\ntarget: {urls: [\""+b.url+"\"]}\nlimits: {storage: 1GiB}\n")
	b.file("base/ingest-pipelines/web.json", `{"processors": []}`)
	b.fake.SetHook(func(r *osfake.Request) osfake.Fault {
		if r.API == "nodes_info" {
			return osfake.Fault{Status: 403, Type: "security_exception", Reason: "no"}
		}
		return osfake.Fault{}
	})
	p := b.plan()
	if len(p.Changes) != 1 || p.Problems() > 0 || len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "the limits of env.yaml were not looked at") {
		t.Errorf("%+v", p)
	}
}
