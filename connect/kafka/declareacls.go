package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// An ACL is one binding, with the words of Kafka's protocol in capitals: TOPIC, PREFIXED, DESCRIBE_CONFIGS, ALLOW.
type ACL struct {
	ResourceType, ResourceName, PatternType string
	Principal, Host                         string
	Operation, PermissionType               string
}

// String says what it does.
func (a ACL) String() string {
	name := a.ResourceName
	if a.PatternType != "LITERAL" {
		name += " (" + a.PatternType + ")"
	}
	s := fmt.Sprintf("%s %s %s on %s %s", a.PermissionType, a.Principal, a.Operation, a.ResourceType, name)
	if a.Host != "*" {
		s += " from " + a.Host
	}
	return s
}

// Normal gives the ACL with its words in capitals and with what is left out filled in, and says what is wrong with it.
func (a ACL) Normal() (ACL, error) {
	b, err := a.binding()
	if err != nil {
		return a, err
	}
	return b.acl(), nil
}

// binding is an ACL with the protocol's numbers.
type binding struct {
	resource   kmsg.ACLResourceType
	name       string
	pattern    kmsg.ACLResourcePatternType
	principal  string
	host       string
	operation  kmsg.ACLOperation
	permission kmsg.ACLPermissionType
}

func (b binding) acl() ACL {
	return ACL{b.resource.String(), b.name, b.pattern.String(), b.principal, b.host, b.operation.String(), b.permission.String()}
}

func (a ACL) binding() (binding, error) {
	b := binding{name: a.ResourceName, principal: a.Principal, host: a.Host, pattern: kmsg.ACLResourcePatternTypeLiteral, permission: kmsg.ACLPermissionTypeAllow}
	var errs []error
	bad := func(what, word, want string) {
		errs = append(errs, fmt.Errorf("%s %q: want %s", what, word, want))
	}
	var err error
	if b.resource, err = kmsg.ParseACLResourceType(a.ResourceType); err != nil || b.resource < kmsg.ACLResourceTypeTopic {
		bad("resourceType", a.ResourceType, "TOPIC, GROUP, CLUSTER, TRANSACTIONAL_ID, DELEGATION_TOKEN or USER")
	}
	if a.PatternType != "" {
		b.pattern, err = kmsg.ParseACLResourcePatternType(a.PatternType)
	}
	if err != nil || b.pattern != kmsg.ACLResourcePatternTypeLiteral && b.pattern != kmsg.ACLResourcePatternTypePrefixed {
		bad("patternType", a.PatternType, "LITERAL or PREFIXED")
	}
	if b.operation, err = kmsg.ParseACLOperation(a.Operation); err != nil || b.operation < kmsg.ACLOperationAll {
		bad("operation", a.Operation, "ALL, READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE")
	}
	if a.PermissionType != "" {
		b.permission, err = kmsg.ParseACLPermissionType(a.PermissionType)
	}
	if err != nil && a.PermissionType != "" || b.permission < kmsg.ACLPermissionTypeDeny {
		bad("permissionType", a.PermissionType, "ALLOW or DENY")
	}
	if b.host == "" {
		b.host = "*"
	}
	switch {
	case b.name == "" && b.resource == kmsg.ACLResourceTypeCluster:
		b.name = "kafka-cluster"
	case b.name == "":
		errs = append(errs, errors.New("resourceName is missing; * is all"))
	}
	if b.principal == "" {
		errs = append(errs, errors.New("principal is missing: like User:orders"))
	}
	return b, errors.Join(errs...)
}

// notKept tells that a cluster without an authorizer keeps no ACLs.
func notKept(err error) error {
	if errors.Is(err, kerr.SecurityDisabled) {
		return fmt.Errorf("%w: the brokers have no authorizer (authorizer.class.name), and keep no ACLs", ErrNotKept)
	}
	return refused(err, "")
}

// ACLs gives all of the cluster.
func (a *Admin) ACLs(ctx context.Context) ([]ACL, error) {
	results, err := a.adm.DescribeACLs(ctx, kadm.NewACLs().AnyResource().ResourcePatternType(kadm.ACLPatternAny).Allow().AllowHosts().Deny().DenyHosts().Operations())
	if err != nil {
		return nil, notKept(err)
	}
	var out []ACL
	for _, r := range results {
		if r.Err != nil {
			return nil, notKept(r.Err)
		}
		for _, d := range r.Described {
			out = append(out, binding{d.Type, d.Name, d.Pattern, d.Principal, d.Host, d.Operation, d.Permission}.acl())
		}
	}
	return out, nil
}

// AddACLs makes ACLs. One that is there already is no error.
func (a *Admin) AddACLs(ctx context.Context, acls []ACL) error {
	if len(acls) == 0 {
		return nil
	}
	request := kmsg.NewPtrCreateACLsRequest()
	for _, acl := range acls {
		b, err := acl.binding()
		if err != nil {
			return err
		}
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName, c.ResourcePatternType = b.resource, b.name, b.pattern
		c.Principal, c.Host, c.Operation, c.PermissionType = b.principal, b.host, b.operation, b.permission
		request.Creations = append(request.Creations, c)
	}
	response, err := request.RequestWith(ctx, a.client)
	if err != nil {
		return notKept(err)
	}
	if len(response.Results) != len(acls) {
		return fmt.Errorf("the answer is about %d ACLs, not %d", len(response.Results), len(acls))
	}
	var errs []error
	for i, r := range response.Results {
		errs = append(errs, about(acls[i], r.ErrorCode, r.ErrorMessage))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return a.aclsAre(ctx, acls, true)
}

// errNotShown is that a change was accepted and is not seen.
var errNotShown = errors.New("the brokers accepted the change and do not show it")

// shown waits until a change that the controller has accepted is known to the broker that is asked.
func (a *Admin) shown(ctx context.Context, what string, is func() (bool, error)) error {
	const patience = 10 * time.Second
	for until := time.Now().Add(patience); ; {
		ok, err := is()
		if ok || err != nil {
			return err
		}
		if time.Now().After(until) {
			return fmt.Errorf("%s: %w after %s", what, errNotShown, patience)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// RemoveACLs deletes ACLs, exactly these. One that is not there is no error.
func (a *Admin) RemoveACLs(ctx context.Context, acls []ACL) error {
	if len(acls) == 0 {
		return nil
	}
	request := kmsg.NewPtrDeleteACLsRequest()
	for _, acl := range acls {
		b, err := acl.binding()
		if err != nil {
			return err
		}
		f := kmsg.NewDeleteACLsRequestFilter()
		f.ResourceType, f.ResourceName, f.ResourcePatternType = b.resource, &b.name, b.pattern
		f.Principal, f.Host, f.Operation, f.PermissionType = &b.principal, &b.host, b.operation, b.permission
		request.Filters = append(request.Filters, f)
	}
	response, err := request.RequestWith(ctx, a.client)
	if err != nil {
		return notKept(err)
	}
	if len(response.Results) != len(acls) {
		return fmt.Errorf("the answer is about %d ACLs, not %d", len(response.Results), len(acls))
	}
	var errs []error
	for i, r := range response.Results {
		errs = append(errs, about(acls[i], r.ErrorCode, r.ErrorMessage))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return a.aclsAre(ctx, acls, false)
}

// aclsAre waits until the broker that is asked shows all of the ACLs, or none of them.
func (a *Admin) aclsAre(ctx context.Context, acls []ACL, there bool) error {
	return a.shown(ctx, "ACLs", func() (bool, error) {
		all, err := a.ACLs(ctx)
		return !slices.ContainsFunc(acls, func(x ACL) bool { n, _ := x.Normal(); return slices.Contains(all, n) != there }), err
	})
}

func about(acl ACL, code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	if err == nil {
		return nil
	}
	if errors.Is(err, kerr.SecurityDisabled) {
		return notKept(err)
	}
	text := ""
	if message != nil {
		text = *message
	}
	return fmt.Errorf("%s: %w", acl, refused(err, text))
}

// A Quota is what an entity may use. An entity has the types user, client-id and ip; the name "<default>" is that of whoever has
// none of his own.
type Quota struct {
	Entity map[string]string
	Values map[string]float64
}

// DefaultEntity is the name of the entity that stands for all that have no quota of their own.
const DefaultEntity = "<default>"

func (q *Quota) entity() kadm.ClientQuotaEntity {
	var out kadm.ClientQuotaEntity
	for _, t := range []string{"user", "client-id", "ip"} {
		name, ok := q.Entity[t]
		if !ok {
			continue
		}
		c := kadm.ClientQuotaEntityComponent{Type: t, Name: &name}
		if name == DefaultEntity {
			c.Name = nil
		}
		out = append(out, c)
	}
	return out
}

// Quotas gives all of the cluster.
func (a *Admin) Quotas(ctx context.Context) ([]Quota, error) {
	described, err := a.adm.DescribeClientQuotas(ctx, false, nil)
	if err != nil {
		return nil, refused(err, "")
	}
	var out []Quota
	for _, d := range described {
		q := Quota{Entity: map[string]string{}, Values: map[string]float64{}}
		for _, c := range d.Entity {
			q.Entity[c.Type] = DefaultEntity
			if c.Name != nil {
				q.Entity[c.Type] = *c.Name
			}
		}
		for _, v := range d.Values {
			if !math.IsNaN(v.Value) && !math.IsInf(v.Value, 0) {
				q.Values[v.Key] = v.Value
			}
		}
		out = append(out, q)
	}
	return out, nil
}

// SetQuota sets what is in q, and takes the values named by unset away. With dry it is only asked whether the brokers would.
func (a *Admin) SetQuota(ctx context.Context, q Quota, unset []string, dry bool) error {
	entry := kadm.AlterClientQuotaEntry{Entity: q.entity()}
	for key, value := range q.Values {
		entry.Ops = append(entry.Ops, kadm.AlterClientQuotaOp{Key: key, Value: value})
	}
	for _, key := range unset {
		entry.Ops = append(entry.Ops, kadm.AlterClientQuotaOp{Key: key, Remove: true})
	}
	if len(entry.Ops) == 0 {
		return nil
	}
	alter := a.adm.AlterClientQuotas
	if dry {
		alter = a.adm.ValidateAlterClientQuotas
	}
	altered, err := alter(ctx, []kadm.AlterClientQuotaEntry{entry})
	message := ""
	for _, r := range altered {
		err, message = errors.Join(err, r.Err), r.ErrMessage
	}
	if err != nil || dry {
		return refused(err, message)
	}
	return a.shown(ctx, "quotas", func() (bool, error) {
		all, err := a.Quotas(ctx)
		i := slices.IndexFunc(all, func(x Quota) bool { return maps.Equal(x.Entity, q.Entity) })
		if i < 0 {
			return len(q.Values) == 0, err
		}
		is := all[i].Values
		for key, value := range q.Values {
			if got, ok := is[key]; !ok || got != value {
				return false, err
			}
		}
		return !slices.ContainsFunc(unset, func(key string) bool { _, ok := is[key]; return ok }), err
	})
}
