package convert_test

import (
	"strings"
	"testing"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/convert"
)

// live gives what a cluster has.
func (c *cluster) live(kinds ...estate.Kind) *convert.Result {
	c.t.Helper()
	var b convert.Batch
	if err := b.Live(c.t.Context(), c.target, "cluster", kinds...); err != nil {
		c.t.Fatal(err)
	}
	r, err := b.Result()
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func TestAnInheritedClusterBecomesFilesThatChangeNothing(t *testing.T) {
	c := newCluster(t)
	c.withKafka()
	asOperator(c)
	asProviders(c) // web and the like are others than the operator's
	c.send("PUT", "/_index_template/.hidden", `{"index_patterns": [".x"], "priority": 1}`)
	c.send("PUT", "/_component_template/their-own", `{"template": {}, "_meta": {"managed": true}}`)
	c.send("PUT", "/web-1", `{"aliases": {"all": {"filter": {"term": {"a": 1}}}}}`)
	r := c.live()
	wants(t, keys(r), "cluster-settings/cluster", "ingest-pipelines/web", "component-templates/common", "ism-policies/hot", "ism-policies/web-logs",
		"index-templates/web", "index-templates/web-template", "aliases/logs", "snapshot-policies/daily", "snapshot-policies/daily-all",
		"action-groups/looks", "tenants/shop", "roles/reader", "roles/writer", "role-mappings/kibana_user", "role-mappings/reader",
		"kafka-topics/orders", "kafka-acls/orders", "kafka-quotas/client-id-orders")
	wants(t, left(r), "elsewhere alias all", "elsewhere alias rolling", "system component-templates", "system index-templates", "system roles", "system tenants")
	if !r.Complete() || len(r.Handover) != 0 {
		t.Errorf("%+v", r)
	}
	files, err := r.Files("base")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for _, own := range []string{"last_updated_time", "schema_version", "reserved", "policy_id", "seq_no", "exponential", "copy_alias"} {
			if strings.Contains(string(f.Data), own) {
				t.Errorf("%s has %s, which the system adds:\n%s", f.Path, own, f.Data)
			}
		}
	}
	c.adopts(r)
	again := c.live()
	wants(t, keys(again), keys(r)...) // what naru keeps in the cluster is none of it
}

func TestKindsOfALiveClusterCanBeChosen(t *testing.T) {
	c := newCluster(t)
	asProviders(c)
	wants(t, keys(c.live(estate.Roles, estate.Aliases)), "aliases/logs", "roles/reader", "roles/writer")
}

func TestAClusterWithoutPluginsAndAnEmptyOneHaveNothingMore(t *testing.T) {
	c := clusterAt(t, osfake.Start(t, osfake.Options{}).URL())
	if r := c.live(); len(r.Objects) != 0 || len(r.Left) != 0 {
		t.Errorf("%+v", r)
	}
	c.send("PUT", "/_ingest/pipeline/p", `{"processors": []}`)
	c.adopts(c.live())
}

func TestAKindThatMayNotBeSeenIsLeftUnlessItWasAskedFor(t *testing.T) {
	s := osfake.Start(t, osfake.Options{Plugins: []string{osfake.Security}})
	c := clusterAt(t, s.URL())
	asked := 0
	s.SetHook(func(r *osfake.Request) osfake.Fault {
		if r.API == "security_list" {
			asked++
			return osfake.Forbidden
		}
		return osfake.Fault{}
	})
	c.send("PUT", "/_ingest/pipeline/p", `{"processors": []}`)
	r := c.live()
	wants(t, keys(r), "ingest-pipelines/p")
	wants(t, left(r), "noHome action-groups", "noHome role-mappings", "noHome roles", "noHome tenants")
	if r.Complete() || asked != 4 {
		t.Errorf("%d, %+v", asked, r)
	}
	var b convert.Batch
	if err := b.Live(t.Context(), c.target, "x", estate.Roles); err == nil || !strings.Contains(err.Error(), "list the roles") {
		t.Errorf("%v", err)
	}
}
