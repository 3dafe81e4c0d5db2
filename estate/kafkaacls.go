package estate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/narudata/naru/connect/kafka"
)

// ACLs are declared as the whole list of a principal, {"principal": "User:orders", "acls": […]}, or of a resource,
// {"resourceType": "TOPIC", "resourceName": "orders", "patternType": "LITERAL", "acls": […]}. An entry has the rest of a binding's
// fields, and operation, or operations for several. The canonical form has each binding under what it says, so that two lists are
// compared as sets.

// scope are the fields that all of an object's ACLs have in common.
type scope struct{ principal, resourceType, resourceName, patternType string }

func scopeOf(body Body) scope {
	s := func(name string) string { v, _ := body[name].(string); return v }
	sc := scope{principal: s("principal")}
	if sc.principal == "" {
		acl, err := kafka.ACL{ResourceType: s("resourceType"), ResourceName: s("resourceName"), PatternType: s("patternType"), Principal: "x", Operation: "ALL"}.Normal()
		if err == nil {
			sc.resourceType, sc.resourceName, sc.patternType = acl.ResourceType, acl.ResourceName, acl.PatternType
		}
	}
	return sc
}

func (s scope) has(a kafka.ACL) bool {
	if s.principal != "" {
		return s.principal == a.Principal
	}
	return s.resourceType == a.ResourceType && s.resourceName == a.ResourceName && s.patternType == a.PatternType
}

// aclsOf gives the bindings of a body, declared or canonical.
func aclsOf(body Body) ([]kafka.ACL, error) {
	var entries []any
	switch acls := body["acls"].(type) {
	case []any:
		entries = acls
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(acls)) {
			entries = append(entries, acls[name])
		}
	default:
		return nil, errors.New("acls is missing: a list of what is allowed or denied")
	}
	var out []kafka.ACL
	var errs []error
	for i, x := range entries {
		some, err := aclEntry(body, x)
		if err != nil {
			errs = append(errs, fmt.Errorf("acls[%d]: %w", i, err))
		}
		out = append(out, some...)
	}
	return out, errors.Join(errs...)
}

func aclEntry(body Body, x any) ([]kafka.ACL, error) {
	entry, ok := x.(map[string]any)
	if !ok {
		return nil, errors.New("want keys with values")
	}
	acl := kafka.ACL{}
	fields := map[string]*string{
		"resourceType": &acl.ResourceType, "resourceName": &acl.ResourceName, "patternType": &acl.PatternType, "principal": &acl.Principal,
		"host": &acl.Host, "permissionType": &acl.PermissionType,
	}
	var operations []string
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(entry)) {
		switch {
		case name == "operation" || name == "operations":
			if operations = append(operations, texts(entry[name])...); len(operations) == 0 {
				errs = append(errs, fmt.Errorf("%s: want a text, or a list of texts", name))
			}
		case fields[name] == nil:
			errs = append(errs, fmt.Errorf("unknown key %q; an ACL has resourceType, resourceName, patternType, principal, host, operation and permissionType", name))
		default:
			*fields[name], ok = entry[name].(string)
			if !ok {
				errs = append(errs, fmt.Errorf("%s: want a text", name))
			}
		}
	}
	for name, field := range fields {
		common, ok := body[name].(string)
		if ok && *field == "" {
			*field = common
		}
	}
	if len(operations) == 0 {
		errs = append(errs, errors.New("operation is missing: READ, say"))
	}
	var out []kafka.ACL
	for _, operation := range operations {
		acl.Operation = operation
		one, err := acl.Normal()
		errs = append(errs, err)
		if sc := scopeOf(body); err == nil && !sc.has(one) {
			errs = append(errs, fmt.Errorf("%s is not of the object's own principal or resource", one))
		}
		out = append(out, one)
	}
	return out, errors.Join(errs...)
}

func checkACLs(body Body) error {
	known := []string{"principal", "resourceType", "resourceName", "patternType", "acls"}
	for _, name := range slices.Sorted(maps.Keys(body)) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("unknown key %q; a list of ACLs has principal, or resourceType, resourceName and patternType, and acls", name)
		}
	}
	sc := scopeOf(body)
	switch {
	case body["principal"] != nil && body["resourceType"] != nil:
		return errors.New("a list of ACLs is a principal's or a resource's, not both")
	case sc.principal == "" && sc.resourceType == "":
		return errors.New("say whose ACLs they are: principal, or resourceType and resourceName")
	}
	_, err := aclsOf(body)
	return err
}

// checkScopes finds ACLs that two objects would each have for their own.
func checkScopes(d *Desired) error {
	var errs []error
	keys := slices.DeleteFunc(d.keys(), func(k Key) bool { return k.Kind != KafkaACLs })
	for i, a := range keys {
		for j, b := range keys {
			if i == j {
				continue
			}
			x, y := d.Objects[a], d.Objects[b]
			sc := scopeOf(x.Body)
			if i < j && sc == scopeOf(y.Body) {
				errs = append(errs, fmt.Errorf("%s: %s has the ACLs of the same principal or resource", y.where(), x.where()))
				continue
			}
			acls, err := aclsOf(y.Body)
			if err != nil {
				continue // said elsewhere
			}
			for _, acl := range acls {
				if sc.has(acl) {
					errs = append(errs, fmt.Errorf("%s: %s is one of the list of %s too, which would take it away: declare it there", y.where(), acl, x.where()))
				}
			}
		}
	}
	return errors.Join(errs...)
}

func aclBody(sc scope, acls []kafka.ACL) Body {
	body, set := Body{}, map[string]any{}
	for name, v := range map[string]string{"principal": sc.principal, "resourceType": sc.resourceType, "resourceName": sc.resourceName, "patternType": sc.patternType} {
		if v != "" {
			body[name] = v
		}
	}
	for _, a := range acls {
		set[a.String()] = map[string]any{
			"resourceType": a.ResourceType, "resourceName": a.ResourceName, "patternType": a.PatternType, "principal": a.Principal,
			"host": a.Host, "operation": a.Operation, "permissionType": a.PermissionType,
		}
	}
	body["acls"] = set
	return body
}

func canonACLs(_ string, body Body) Body {
	acls, err := aclsOf(body)
	if err != nil {
		return body // check says so
	}
	return aclBody(scopeOf(body), acls)
}

func listACLs(ctx context.Context, t *Target) (map[string]*Live, error) {
	live, err := getACLs(ctx, t, "")
	if err != nil {
		return nil, err
	}
	return map[string]*Live{wholeCluster: live}, nil
}

func getACLs(ctx context.Context, t *Target, _ string) (*Live, error) {
	acls, err := t.Kafka.ACLs(ctx)
	if errors.Is(err, kafka.ErrNotKept) {
		return nil, fmt.Errorf("%w: %w", errNoAPI, err)
	}
	if err != nil {
		return nil, err
	}
	return &Live{state: acls}, nil
}

// aclView is the ACLs of a principal or a resource; nil: it has none.
func aclView(live *Live, bodies ...Body) *Live {
	all, _ := live.state.([]kafka.ACL)
	for _, b := range bodies {
		sc := scopeOf(b)
		if sc == (scope{}) {
			continue
		}
		acls := slices.DeleteFunc(slices.Clone(all), func(a kafka.ACL) bool { return !sc.has(a) })
		if len(acls) == 0 {
			return nil
		}
		return &Live{Body: aclBody(sc, acls)}
	}
	return nil
}

// putACLs adds what is missing before it takes away what is too much: nobody is shut out in between.
func putACLs(ctx context.Context, t *Target, _ string, body Body, live *Live) error {
	want, err := aclsOf(body)
	if err != nil {
		return err
	}
	add, drop := want, []kafka.ACL(nil)
	if live != nil {
		is, err := aclsOf(live.Body)
		if err != nil {
			return err
		}
		add = slices.DeleteFunc(slices.Clone(want), func(a kafka.ACL) bool { return slices.Contains(is, a) })
		drop = slices.DeleteFunc(is, func(a kafka.ACL) bool { return slices.Contains(want, a) })
	}
	if err := t.Kafka.AddACLs(ctx, add); err != nil {
		return err
	}
	return t.Kafka.RemoveACLs(ctx, drop)
}

func removeACLs(ctx context.Context, t *Target, _ string, live *Live) error {
	if live == nil {
		return nil
	}
	acls, err := aclsOf(live.Body)
	if err != nil {
		return err
	}
	return t.Kafka.RemoveACLs(ctx, acls)
}

// A quota is declared as {"entity": {"user": "orders"}, "quotas": {"producer_byte_rate": 1048576}}: all that the entity has.

var entityTypes = []string{"user", "client-id", "ip"}

func quotaOf(body Body) (kafka.Quota, error) {
	q := kafka.Quota{Entity: map[string]string{}, Values: map[string]float64{}}
	entity, ok := body["entity"].(map[string]any)
	if !ok || len(entity) == 0 {
		return q, errors.New(`entity is missing: {"user": NAME}, {"client-id": NAME}, both, or {"ip": ADDRESS}`)
	}
	for t, v := range entity {
		name, ok := v.(string)
		switch {
		case !slices.Contains(entityTypes, t):
			return q, fmt.Errorf("entity.%s: want user, client-id or ip", t)
		case v == nil:
			name = kafka.DefaultEntity
		case !ok || name == "":
			return q, fmt.Errorf("entity.%s: want a name, or %s for all that have none of their own", t, kafka.DefaultEntity)
		}
		q.Entity[t] = name
	}
	if _, ip := q.Entity["ip"]; ip && len(q.Entity) > 1 {
		return q, errors.New("entity: ip stands alone")
	}
	values, ok := body["quotas"].(map[string]any)
	if !ok || len(values) == 0 {
		return q, errors.New("quotas is missing: producer_byte_rate, consumer_byte_rate, request_percentage, controller_mutation_rate or connection_creation_rate")
	}
	for key, v := range values {
		n, err := strconv.ParseFloat(fmt.Sprint(scalarText(v)), 64)
		if err != nil || n < 0 {
			return q, fmt.Errorf("quotas.%s: want a number, found %s", key, text(v))
		}
		q.Values[key] = n
	}
	return q, nil
}

func checkQuota(body Body) error {
	for _, name := range slices.Sorted(maps.Keys(body)) {
		if name != "entity" && name != "quotas" {
			return fmt.Errorf("unknown key %q; a quota has entity and quotas", name)
		}
	}
	_, err := quotaOf(body)
	return err
}

func quotaBody(q kafka.Quota) Body {
	entity, quotas := map[string]any{}, map[string]any{}
	for t, name := range q.Entity {
		entity[t] = name
	}
	for key, v := range q.Values {
		quotas[key] = json.Number(new(big.Float).SetFloat64(v).Text('f', -1))
	}
	return Body{"entity": entity, "quotas": quotas}
}

func canonQuota(_ string, body Body) Body {
	q, err := quotaOf(body)
	if err != nil {
		return body // check says so
	}
	return quotaBody(q)
}

func listQuotas(ctx context.Context, t *Target) (map[string]*Live, error) {
	live, err := getQuotas(ctx, t, "")
	if err != nil {
		return nil, err
	}
	return map[string]*Live{wholeCluster: live}, nil
}

func getQuotas(ctx context.Context, t *Target, _ string) (*Live, error) {
	quotas, err := t.Kafka.Quotas(ctx)
	if err != nil {
		return nil, err
	}
	return &Live{state: quotas}, nil
}

// quotaView is the quota of an entity; nil: it has none.
func quotaView(live *Live, bodies ...Body) *Live {
	all, _ := live.state.([]kafka.Quota)
	for _, b := range bodies {
		want, err := quotaOf(b)
		if err != nil {
			continue
		}
		for _, q := range all {
			if maps.Equal(q.Entity, want.Entity) && len(q.Values) > 0 {
				return &Live{Body: quotaBody(q)}
			}
		}
		return nil
	}
	return nil
}

func quotaChange(body Body, live *Live) (kafka.Quota, []string, error) {
	want, err := quotaOf(body)
	if err != nil || live == nil {
		return want, nil, err
	}
	is, err := quotaOf(live.Body)
	var unset []string
	for _, key := range slices.Sorted(maps.Keys(is.Values)) {
		if _, ok := want.Values[key]; !ok {
			unset = append(unset, key)
		}
	}
	return want, unset, err
}

func putQuota(ctx context.Context, t *Target, _ string, body Body, live *Live) error {
	want, unset, err := quotaChange(body, live)
	if err != nil {
		return err
	}
	return t.Kafka.SetQuota(ctx, want, unset, false)
}

func askQuota(ctx context.Context, t *Target, ch *Change, live *Live) error {
	want, unset, err := quotaChange(decoded(ch.Body), live)
	if err != nil {
		return err
	}
	return t.Kafka.SetQuota(ctx, want, unset, true)
}

func removeQuota(ctx context.Context, t *Target, _ string, live *Live) error {
	if live == nil {
		return nil
	}
	q, err := quotaOf(live.Body)
	if err != nil {
		return err
	}
	keys := slices.Sorted(maps.Keys(q.Values))
	q.Values = nil
	return t.Kafka.SetQuota(ctx, q, keys, false)
}

// checkEntities finds two objects for one entity.
func checkEntities(d *Desired) error {
	var errs []error
	seen := map[string]string{}
	for _, key := range d.keys() {
		if key.Kind != KafkaQuotas {
			continue
		}
		q, err := quotaOf(d.Objects[key].Body)
		if err != nil {
			continue // said elsewhere
		}
		var parts []string
		for _, t := range entityTypes {
			if name, ok := q.Entity[t]; ok {
				parts = append(parts, t+" "+name)
			}
		}
		name, where := strings.Join(parts, ", "), d.Objects[key].where()
		if other, twice := seen[name]; twice {
			errs = append(errs, fmt.Errorf("%s: %s has the quota of %s too", where, other, name))
		}
		seen[name] = where
	}
	return errors.Join(errs...)
}
