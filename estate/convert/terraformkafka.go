package convert

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/estate"
)

// Resources of Kafka: of the providers Mongey/kafka and confluentinc/confluent, and topics of MSK of hashicorp/aws.
// Source: their docs/resources.

var kafkaTypes = map[string]terraformType{
	"kafka_topic":                 {take: takeTopic("name", "partitions", "replication_factor", "config")},
	"confluent_kafka_topic":       {take: takeTopic("topic_name", "partitions_count", "", "config"), ignored: confluentOwn},
	"aws_msk_topic":               {take: takeTopic("name", "partition_count", "replication_factor", "configs"), ignored: []string{"cluster_arn", "region", "arn"}},
	"kafka_acl":                   {take: takeACL("acl_principal", "acl_host", "acl_operation", "acl_permission_type", "resource_pattern_type_filter")},
	"confluent_kafka_acl":         {take: takeACL("principal", "host", "operation", "permission", "pattern_type"), ignored: confluentOwn},
	"kafka_quota":                 {take: takeQuota},
	"kafka_user_scram_credential": {why: noPasswords},
}

var confluentOwn = []string{"kafka_cluster", "rest_endpoint", "credentials"}

func takeTopic(name, partitions, replication, configs string) func(*Batch, *tale, *resource) {
	return func(b *Batch, t *tale, r *resource) {
		body := estate.Body{}
		put(body, "partitions", r.get(partitions))
		if replication != "" {
			put(body, "replicationFactor", r.get(replication))
		}
		switch c := r.get(configs).(type) {
		case map[string]any:
			put(body, "configs", c)
		case string: // MSK's, which are JSON
			if c != "" {
				put(body, "configs", jsonIn(t, configs, c))
			}
		}
		if body["partitions"] == nil {
			t.fail(partitions, "it is missing")
			return
		}
		b.add(estate.Key{Kind: estate.KafkaTopics, Name: r.text(name)}, body, r.address)
	}
}

func takeACL(principal, host, operation, permission, pattern string) func(*Batch, *tale, *resource) {
	return func(b *Batch, t *tale, r *resource) {
		a, err := kafka.ACL{
			ResourceType: word(r.text("resource_type")), ResourceName: r.text("resource_name"), PatternType: cmp.Or(word(r.text(pattern)), "LITERAL"),
			Principal: r.text(principal), Host: cmp.Or(r.text(host), "*"), Operation: word(r.text(operation)), PermissionType: cmp.Or(word(r.text(permission)), "ALLOW"),
		}.Normal()
		if err != nil {
			t.errs = append(t.errs, err)
			return
		}
		b.acls = append(b.acls, bound{a, r.address})
	}
}

// bound is an ACL, and where it stood.
type bound struct {
	kafka.ACL
	from string
}

var between = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// word is a name of Kafka's as Java has it: TransactionalID and TransactionalId are TRANSACTIONAL_ID.
func word(s string) string {
	return strings.ToUpper(between.ReplaceAllString(s, "${1}_$2"))
}

// bindACLs makes an object for each principal, of all that it may do and may not.
func (b *Batch) bindACLs() {
	type entry struct{ resourceType, resourceName, patternType, host, permission string }
	operations := map[string]map[entry][]string{}
	from := map[string][]string{}
	for _, x := range b.acls {
		e := entry{x.ResourceType, x.ResourceName, x.PatternType, x.Host, x.PermissionType}
		if operations[x.Principal] == nil {
			operations[x.Principal] = map[entry][]string{}
		}
		if !slices.Contains(operations[x.Principal][e], x.Operation) {
			operations[x.Principal][e] = append(operations[x.Principal][e], x.Operation)
		}
		if !slices.Contains(from[x.Principal], x.from) {
			from[x.Principal] = append(from[x.Principal], x.from)
		}
	}
	taken := map[string]int{}
	for _, principal := range slices.Sorted(maps.Keys(operations)) {
		entries := slices.SortedFunc(maps.Keys(operations[principal]), func(x, y entry) int {
			return strings.Compare(fmt.Sprint(x), fmt.Sprint(y))
		})
		var acls []any
		for _, e := range entries {
			ops := operations[principal][e]
			slices.Sort(ops)
			one := map[string]any{"resourceType": e.resourceType, "resourceName": e.resourceName, "operations": listOf(ops)}
			if e.patternType != "LITERAL" {
				one["patternType"] = e.patternType
			}
			if e.host != "*" {
				one["host"] = e.host
			}
			if e.permission != "ALLOW" {
				one["permissionType"] = e.permission
			}
			acls = append(acls, one)
		}
		name := principalName(principal)
		if taken[name]++; taken[name] > 1 {
			name = fmt.Sprintf("%s-%d", name, taken[name])
		}
		key := estate.Key{Kind: estate.KafkaACLs, Name: name}
		b.add(key, estate.Body{"principal": principal, "acls": acls}, from[principal][0])
		if o := b.objects[key]; o != nil {
			o.From = slices.Compact(slices.Concat(o.From, from[principal][1:]))
		}
	}
	b.acls = nil
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// principalName is what the list of a principal's ACLs is called: orders for User:orders.
func principalName(principal string) string {
	s := strings.Trim(notInNames.ReplaceAllString(strings.TrimPrefix(principal, "User:"), "-"), "-.")
	return cmp.Or(s, "all")
}

// takeQuota takes the limits of one entity. The provider writes none for a client without a name as no name.
func takeQuota(b *Batch, t *tale, r *resource) {
	config, _ := r.get("config").(map[string]any)
	typ := r.text("entity_type")
	if typ == "" || len(config) == 0 {
		t.fail("config", "a quota has an entity_type and limits")
		return
	}
	entity := map[string]string{typ: cmp.Or(r.text("entity_name"), kafka.DefaultEntity)}
	b.quota(entity, config, r.address)
}

// quota makes an object of an entity's limits.
func (b *Batch) quota(entity map[string]string, limits map[string]any, from string) {
	var parts []string
	body := map[string]any{}
	for _, typ := range slices.Sorted(maps.Keys(entity)) {
		name := entity[typ]
		body[typ] = name
		if name == kafka.DefaultEntity {
			name = "default"
		}
		parts = append(parts, typ+"-"+strings.Trim(notInNames.ReplaceAllString(name, "-"), "-."))
	}
	b.add(estate.Key{Kind: estate.KafkaQuotas, Name: strings.Join(parts, "-")}, estate.Body{"entity": body, "quotas": limits}, from)
}

// liveKafka takes the ACLs and quotas of a cluster, which are no objects there.
func (b *Batch) liveKafka(ctx context.Context, admin *kafka.Admin, from string, acls, quotas bool) error {
	if acls {
		all, err := admin.ACLs(ctx)
		if err != nil && !errors.Is(err, kafka.ErrNotKept) {
			return err
		}
		for _, a := range all {
			b.acls = append(b.acls, bound{a, from})
		}
	}
	if quotas {
		all, err := admin.Quotas(ctx)
		if err != nil {
			return err
		}
		for _, q := range all {
			limits := map[string]any{}
			for k, v := range q.Values {
				limits[k] = json.Number(new(big.Float).SetFloat64(v).Text('f', -1))
			}
			if len(limits) > 0 {
				b.quota(q.Entity, limits, from)
			}
		}
	}
	return nil
}
