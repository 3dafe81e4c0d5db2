package estate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/internal/words"
)

// A topic is declared as {"partitions": 12, "replicationFactor": 3, "configs": {"retention.ms": 604800000}}. Without
// replicationFactor it is the brokers' default when the topic is made, and left alone afterwards. Of configs only those that are set
// on the topic count; what the brokers have by default is no difference.

// throttled are configurations that tools set while they move partitions.
var throttled = []string{"leader.replication.throttled.replicas", "follower.replication.throttled.replicas"}

func checkTopic(body Body) error {
	var errs []error
	for name := range body {
		if !slices.Contains([]string{"partitions", "replicationFactor", "configs"}, name) {
			errs = append(errs, fmt.Errorf("unknown key %q; a topic has partitions, replicationFactor and configs", name))
		}
	}
	count := func(name string, most int64) {
		v, ok := body[name]
		if n := whole(v); ok && (n < 1 || n > most) {
			errs = append(errs, fmt.Errorf("%s: want a number from 1 to %d, found %s", name, most, text(v)))
		}
	}
	if body["partitions"] == nil {
		errs = append(errs, errors.New("partitions is missing: how many it has"))
	}
	count("partitions", 1<<20)
	count("replicationFactor", 1<<10)
	configs, ok := body["configs"].(map[string]any)
	if body["configs"] != nil && !ok {
		errs = append(errs, errors.New("configs: want names with values"))
	}
	for name, v := range configs {
		switch v.(type) {
		case map[string]any:
			errs = append(errs, fmt.Errorf("configs.%s: want a value; write names with dots as one: retention.ms", name))
			continue
		case nil:
			continue
		}
		s := configText(name, v)
		if number := strings.HasSuffix(name, ".ms") || strings.HasSuffix(name, ".bytes"); number {
			if _, err := strconv.ParseInt(s, 10, 64); err != nil {
				unit := "milliseconds"
				if strings.HasSuffix(name, ".bytes") {
					unit = "bytes"
				}
				errs = append(errs, fmt.Errorf("configs.%s: %q is no number of %s, and Kafka knows no units", name, s, unit))
			}
		}
		if slices.Contains(throttled, name) {
			errs = append(errs, fmt.Errorf("configs.%s: tools set it while they move partitions; it cannot be declared", name))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// configText is a configuration's value as brokers write it: a text; a list without spaces, sorted where its order means nothing.
func configText(name string, v any) string {
	var s string
	switch v := v.(type) {
	case []any:
		var parts []string
		for _, x := range v {
			parts = append(parts, fmt.Sprint(scalarText(x)))
		}
		s = strings.Join(parts, ",")
	case json.Number:
		s = v.String()
		if r, ok := new(big.Rat).SetString(s); ok && !tooLarge(v) && r.IsInt() {
			s = r.Num().String()
		}
	default:
		s = fmt.Sprint(scalarText(v))
	}
	if name == "cleanup.policy" {
		parts := strings.Split(s, ",")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		slices.Sort(parts)
		s = strings.Join(parts, ",")
	}
	return s
}

func canonTopic(_ string, body Body) Body {
	configs := object(body, "configs")
	for name, v := range configs {
		if v == nil || slices.Contains(throttled, name) {
			delete(configs, name)
			continue
		}
		configs[name] = configText(name, v)
	}
	for _, name := range []string{"partitions", "replicationFactor"} {
		if s, ok := body[name].(string); ok {
			if _, err := strconv.Atoi(s); err == nil {
				body[name] = json.Number(s)
			}
		}
	}
	dropEmpty(body, "configs", "replicationFactor")
	return body
}

func topicLive(s *kafka.TopicState) *Live {
	least, most := s.Replication()
	body := Body{"partitions": number(s.Partitions)}
	if body["replicationFactor"] = number(least); least != most {
		body["replicationFactor"] = fmt.Sprintf("%d to %d", least, most)
	}
	if len(s.Configs) > 0 {
		configs := map[string]any{}
		for k, v := range s.Configs {
			configs[k] = v
		}
		body["configs"] = configs
	}
	l := &Live{Body: body, Reserved: s.Internal, state: s}
	if s.ID != "" { // one that was made anew in between is not the one that a plan saw
		h := fnv.New64a()
		_, _ = h.Write([]byte(s.ID))
		l.SeqNo, l.Term = int64(h.Sum64()>>1), 1
	}
	return l
}

func number(n int) json.Number { return json.Number(strconv.Itoa(n)) }

func listTopics(ctx context.Context, t *Target) (map[string]*Live, error) {
	states, err := t.Kafka.TopicStates(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string]*Live, len(states))
	for name, s := range states {
		all[name] = topicLive(s)
	}
	return all, nil
}

func getTopic(ctx context.Context, t *Target, name string) (*Live, error) {
	states, err := t.Kafka.TopicStates(ctx, name)
	if err != nil || states[name] == nil {
		return nil, err
	}
	return topicLive(states[name]), nil
}

// leaveReplication takes over the copies of a topic that does not say how many.
func leaveReplication(body Body, live *Live) {
	if _, ok := body["replicationFactor"]; !ok {
		body["replicationFactor"] = live.Body["replicationFactor"]
	}
}

// topicConfigs are a body's.
func topicConfigs(body Body) map[string]string {
	out := map[string]string{}
	for name, v := range object(canonTopic("", clone(body)), "configs") {
		out[name] = fmt.Sprint(v)
	}
	return out
}

// putTopic makes the topic, or changes what differs: configurations, which take effect at once, then partitions, then copies.
func putTopic(ctx context.Context, t *Target, name string, body Body, live *Live) error {
	partitions, copies, configs := int(whole(body["partitions"])), int(whole(body["replicationFactor"])), topicConfigs(body)
	if live == nil {
		return t.Kafka.CreateTopic(ctx, name, partitions, copies, configs, false)
	}
	set, unset := configChange(configs, topicConfigs(live.Body))
	if err := t.Kafka.ConfigureTopic(ctx, name, set, unset, false); err != nil {
		return err
	}
	if has := int(whole(live.Body["partitions"])); partitions > has {
		if err := t.Kafka.GrowTopic(ctx, name, partitions, false); err != nil {
			return err
		}
	}
	if copies > 0 && live.Body["replicationFactor"] != number(copies) {
		return t.Kafka.ReplicateTopic(ctx, name, copies)
	}
	return nil
}

// configChange is what has to be set, and taken away, for is to be want.
func configChange(want, is map[string]string) (set map[string]string, unset []string) {
	set = map[string]string{}
	for k, v := range want {
		if old, ok := is[k]; !ok || old != v {
			set[k] = v
		}
	}
	for k := range is {
		if _, ok := want[k]; !ok {
			unset = append(unset, k)
		}
	}
	slices.Sort(unset)
	return set, unset
}

func removeTopic(ctx context.Context, t *Target, name string, _ *Live) error {
	return t.Kafka.RemoveTopic(ctx, name)
}

// askTopic has the brokers say whether they would do it.
func askTopic(ctx context.Context, t *Target, ch *Change, live *Live) error {
	body := decoded(ch.Body)
	partitions, copies, configs := int(whole(body["partitions"])), int(whole(body["replicationFactor"])), topicConfigs(body)
	if live == nil {
		return t.Kafka.CreateTopic(ctx, ch.Name, partitions, copies, configs, true)
	}
	set, unset := configChange(configs, topicConfigs(live.Body))
	if err := t.Kafka.ConfigureTopic(ctx, ch.Name, set, unset, true); err != nil {
		return err
	}
	has := int(whole(live.Body["partitions"]))
	switch {
	case partitions < has:
		return &kafka.RefusedError{Why: fmt.Sprintf("it has %d partitions, and partitions can only be added: a topic with fewer is a new topic", has)}
	case partitions > has:
		if err := t.Kafka.GrowTopic(ctx, ch.Name, partitions, true); err != nil {
			return err
		}
	}
	if copies > 0 && live.Body["replicationFactor"] != number(copies) {
		brokers, err := t.Kafka.Brokers(ctx)
		if err != nil {
			return err
		}
		if copies > brokers {
			return &kafka.RefusedError{Why: fmt.Sprintf("%d copies need as many brokers; there are %d", copies, brokers)}
		}
	}
	return nil
}

// inSync is a problem of a topic whose copies can never be as many as a write with acks=all needs. "": there is none.
func inSync(body Body, live *Live) string {
	copies := whole(body["replicationFactor"])
	configs := topicConfigs(body)
	least, declared := configs["min.insync.replicas"]
	if live != nil {
		s, _ := live.state.(*kafka.TopicState)
		if s != nil {
			least = cmp.Or(least, s.Defaults["min.insync.replicas"])
			if copies == 0 {
				_, most := s.Replication()
				copies = int64(most)
			}
		}
	}
	n, err := strconv.ParseInt(least, 10, 64)
	if err != nil || copies == 0 || n <= copies {
		return ""
	}
	where := "by the brokers' default"
	if declared {
		where = "by its configuration"
	}
	return fmt.Sprintf("min.insync.replicas is %d %s, and it has %s: every write with acks=all would fail", n, where, words.Of(int(copies), "copy", "copies"))
}
