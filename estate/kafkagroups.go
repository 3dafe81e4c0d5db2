package estate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/internal/words"
)

// A group's policy is declared as {"topics": {"orders": "earliest", "clicks": {"begin": "2026-11-01T00:00:00Z"},
// "events": {"copyFrom": "old-group"}}}: where it begins in partitions in which it has no offset. Where it has one it stays, unless
// {"begin": …, "move": "a name"} says to move it, once for each name; it must have no members then. A group with members begins
// by itself. What is live of a policy is that the group has offsets in all partitions: then it is as declared.

const (
	groupEarliest = "earliest"
	groupLatest   = "latest"
	// groupMark begins the metadata of offsets that naru has set, and nobody has committed over.
	groupMark = "naru: "
)

// start is where a group begins in a topic.
type start struct {
	kafka.Beginning
	begin string // as it is written
	move  string // move it there, though it has offsets; once for each name
}

func (s start) String() string {
	if s.Group != "" {
		return "where group " + s.Group + " stands"
	}
	return s.begin
}

func (s start) body() map[string]any {
	out := map[string]any{}
	for name, v := range map[string]string{"begin": s.begin, "copyFrom": s.Group, "move": s.move} {
		if v != "" {
			out[name] = v
		}
	}
	return out
}

func startOf(v any) (start, error) {
	if s, ok := v.(string); ok {
		v = map[string]any{"begin": s}
	}
	o, ok := v.(map[string]any)
	if !ok {
		return start{}, errors.New("want earliest, latest, a time, or keys with values")
	}
	var s start
	for _, name := range slices.Sorted(maps.Keys(o)) {
		field := map[string]*string{"begin": &s.begin, "copyFrom": &s.Group, "move": &s.move}[name]
		value, ok := o[name].(string)
		switch {
		case field == nil:
			return s, fmt.Errorf("unknown key %q; want begin or copyFrom, and perhaps move", name)
		case !ok || value == "":
			return s, fmt.Errorf("%s: want a text", name)
		}
		*field = value
	}
	switch {
	case (s.begin == "") == (s.Group == ""):
		return s, errors.New("want either begin or copyFrom")
	case s.begin == groupLatest:
		s.Latest = true
	case s.begin != "" && s.begin != groupEarliest:
		at, err := time.Parse(time.RFC3339, s.begin)
		if err != nil || at.UnixMilli() < 0 {
			return s, fmt.Errorf("begin %q: want earliest, latest, or a time like 2026-11-01T00:00:00Z", s.begin)
		}
		s.At = at
		s.begin = at.UTC().Format(time.RFC3339Nano)
	}
	return s, nil
}

func startsOf(body Body) (map[string]start, error) {
	topics, ok := body["topics"].(map[string]any)
	if !ok || len(topics) == 0 {
		return nil, errors.New("topics is missing: each with earliest, latest, a time, or {copyFrom: GROUP}")
	}
	out := map[string]start{}
	var errs []error
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		s, err := startOf(topics[topic])
		if err != nil {
			errs = append(errs, fmt.Errorf("topics.%s: %w", topic, err))
		}
		out[topic] = s
	}
	return out, errors.Join(errs...)
}

func checkGroup(body Body) error {
	for _, name := range slices.Sorted(maps.Keys(body)) {
		if name != "topics" {
			return fmt.Errorf("unknown key %q; a group has topics", name)
		}
	}
	_, err := startsOf(body)
	return err
}

func canonGroup(_ string, body Body) Body {
	starts, err := startsOf(body)
	if err != nil {
		return body // check says so
	}
	topics := map[string]any{}
	for topic, s := range starts {
		topics[topic] = s.body()
	}
	return Body{"topics": topics}
}

// groupLive is what is known of a group.
type groupLive struct {
	*kafka.GroupState
	partitions map[string]int // of all topics
	topics     []string       // that the policy is about
}

func groupsAmong(ctx context.Context, t *Target, wanted wants) (map[string]*Live, error) {
	all := map[string]*Live{}
	if len(wanted) == 0 {
		return all, nil
	}
	states, err := t.Kafka.GroupStates(ctx, slices.Sorted(maps.Keys(wanted))...)
	if err != nil {
		return nil, err
	}
	partitions, err := t.Kafka.TopicPartitions(ctx)
	if err != nil {
		return nil, err
	}
	for name, s := range states {
		all[name] = &Live{state: groupLive{GroupState: s, partitions: partitions}}
	}
	return all, nil
}

// begun reports that there is nothing to set in the topic: it has members, or an offset in each partition.
func (g groupLive) begun(topic string) bool {
	n, there := g.partitions[topic]
	if there && g.Members > 0 {
		return true
	}
	for p := range n {
		if _, ok := g.Topics[topic][int32(p)]; !ok { //nolint:gosec // a number of partitions
			return false
		}
	}
	return there
}

// groupView has those topics of the first body in which the group has begun; nil: it has no offset in any of them.
func groupView(live *Live, bodies ...Body) *Live {
	g, _ := live.state.(groupLive)
	for _, b := range bodies {
		starts, err := startsOf(b)
		if err != nil {
			continue
		}
		topics, some := map[string]any{}, false
		g.topics = slices.Sorted(maps.Keys(starts))
		for topic, s := range starts {
			some = some || len(g.Topics[topic]) > 0
			if s.move = ""; g.begun(topic) {
				topics[topic], some = s.body(), true
			}
		}
		if !some {
			return nil
		}
		return &Live{Body: Body{"topics": topics}, state: g}
	}
	return nil
}

// onlyNewMoves leaves moves that were made before out of what is sent.
func (ch *Change) onlyNewMoves(declared, last Body) {
	if ch.Kind != KafkaGroups {
		return
	}
	body := clone(declared)
	for topic, v := range object(body, "topics") {
		if o, ok := v.(map[string]any); ok && o["move"] != nil && o["move"] == object(last, "topics", topic)["move"] {
			delete(o, "move")
		}
	}
	ch.Body = text(body)
}

// keepGroup keeps the offsets themselves.
func keepGroup(live *Live) Body {
	g, _ := live.state.(groupLive)
	offsets := map[string]any{}
	for _, topic := range g.topics {
		partitions := map[string]any{}
		for p, c := range g.Topics[topic] {
			partitions[strconv.Itoa(int(p))] = map[string]any{"at": json.Number(strconv.FormatInt(c.At, 10)), "metadata": c.Metadata}
		}
		offsets[topic] = partitions
	}
	return Body{"topics": live.Body["topics"], "offsets": offsets}
}

// putGroup sets the offsets that are missing, and those that are to be moved, in one request: all or none.
func putGroup(ctx context.Context, t *Target, name string, body Body, _ *Live) error {
	states, err := t.Kafka.GroupStates(ctx, name)
	if err != nil {
		return err
	}
	if kept := object(body, "offsets"); kept != nil {
		return restoreOffsets(ctx, t, name, kept, states[name])
	}
	starts, err := startsOf(body)
	if err != nil {
		return err
	}
	set := map[string]map[int32]kafka.Committed{}
	for topic, s := range starts {
		has := states[name].Topics[topic]
		at, err := t.Kafka.Begin(ctx, topic, s.Beginning)
		if err != nil {
			return err
		}
		for p, offset := range at {
			if _, ok := has[p]; ok && s.move == "" {
				continue
			}
			if set[topic] == nil {
				set[topic] = map[int32]kafka.Committed{}
			}
			set[topic][p] = kafka.Committed{At: offset, Metadata: groupMark + "begins at " + s.String()}
		}
	}
	return t.Kafka.CommitOffsets(ctx, name, set)
}

// restoreOffsets sets offsets to what was kept, and takes those away that were not there.
func restoreOffsets(ctx context.Context, t *Target, name string, kept map[string]any, is *kafka.GroupState) error {
	set, drop := map[string]map[int32]kafka.Committed{}, map[string][]int32{}
	for topic := range kept {
		set[topic] = map[int32]kafka.Committed{}
		for p, v := range object(kept, topic) {
			n, err := strconv.ParseInt(p, 10, 32)
			o, _ := v.(map[string]any)
			if err != nil || o == nil {
				return fmt.Errorf("the offsets that were kept of topic %s make no sense: %s", topic, text(kept))
			}
			metadata, _ := o["metadata"].(string)
			set[topic][int32(n)] = kafka.Committed{At: whole(o["at"]), Metadata: metadata}
		}
		for p := range is.Topics[topic] {
			if _, ok := set[topic][p]; !ok {
				drop[topic] = append(drop[topic], p)
			}
		}
	}
	if err := t.Kafka.CommitOffsets(ctx, name, set); err != nil {
		return err
	}
	return t.Kafka.ForgetOffsets(ctx, name, drop)
}

// removeGroup takes away the offsets that naru has set and nobody has committed over. A group's policy that is not declared any more
// leaves them; only an undo comes here.
func removeGroup(ctx context.Context, t *Target, name string, live *Live) error {
	if live == nil {
		return nil
	}
	g, _ := live.state.(groupLive)
	drop := map[string][]int32{}
	for _, topic := range g.topics {
		for p, c := range g.Topics[topic] {
			if strings.HasPrefix(c.Metadata, groupMark) {
				drop[topic] = append(drop[topic], p)
			}
		}
	}
	return t.Kafka.ForgetOffsets(ctx, name, drop)
}

// undoGroup says that offsets which the group has committed over in the meantime stay.
func undoGroup(ch *Change, live *Live) {
	if live == nil || ch.Action != Delete && ch.Action != Update {
		return
	}
	g, _ := live.state.(groupLive)
	read := g.Members > 0
	for _, topic := range g.topics {
		for _, c := range g.Topics[topic] {
			read = read || !strings.HasPrefix(c.Metadata, groupMark)
		}
	}
	if read {
		if ch.Action == Delete {
			ch.Action = Forget
		} else {
			ch.Action = Adopt
		}
		ch.Body, ch.Fields, ch.Risk = nil, nil, NoRisk
		ch.Effects = []string{"the group has read since: its offsets stay where they are"}
	}
}

// askGroup says what would be set, and what is in the way.
func askGroup(ctx context.Context, t *Target, ch *Change, _ *Live) error {
	body := decoded(ch.Body)
	states, err := t.Kafka.GroupStates(ctx, ch.Name)
	if err != nil {
		return err
	}
	if n := states[ch.Name].Members; body["offsets"] != nil {
		if ch.Effects = append(ch.Effects, "its offsets become what they were"); n > 0 {
			return &kafka.RefusedError{Why: fmt.Sprintf("it has %s, and can be moved once they have stopped", words.Of(n, "member", "members"))}
		}
		return nil
	}
	starts, err := startsOf(body)
	if err != nil {
		return err
	}
	partitions, err := t.Kafka.TopicPartitions(ctx)
	if err != nil {
		return err
	}
	g := groupLive{GroupState: states[ch.Name], partitions: partitions}
	for _, topic := range slices.Sorted(maps.Keys(starts)) {
		s := starts[topic]
		if s.move == "" && g.begun(topic) {
			continue
		}
		if s.move != "" && g.Members > 0 {
			return &kafka.RefusedError{Why: fmt.Sprintf("it has %s, and can be moved in %s once they have stopped", words.Of(g.Members, "member", "members"), topic)}
		}
		if _, there := partitions[topic]; !there {
			ch.Effects = append(ch.Effects, fmt.Sprintf("%s: there is no such topic yet; it begins at %s", topic, s))
			continue
		}
		if s.Group != "" {
			other, err := t.Kafka.GroupStates(ctx, s.Group)
			if err != nil {
				return err
			}
			if len(other[s.Group].Topics[topic]) == 0 {
				return &kafka.RefusedError{Why: fmt.Sprintf("group %s, from which it is to be copied, has no offsets in %s", s.Group, topic)}
			}
		}
		line, err := g.outlook(ctx, t, topic, s)
		if err != nil {
			return err
		}
		ch.Effects = append(ch.Effects, line)
	}
	return nil
}

// outlook says where a group would begin, and how much it would have to read.
func (g groupLive) outlook(ctx context.Context, t *Target, topic string, s start) (string, error) {
	at, err := t.Kafka.Begin(ctx, topic, s.Beginning)
	if err != nil {
		return "", err
	}
	ends, err := t.Kafka.Begin(ctx, topic, kafka.Beginning{Latest: true})
	if err != nil {
		return "", err
	}
	set, unread, back, ahead := 0, int64(0), int64(0), int64(0)
	for p, offset := range at {
		old, has := g.Topics[topic][p]
		if has && s.move == "" {
			continue
		}
		set++
		unread += max(ends[p]-offset, 0)
		if has {
			back += max(old.At-offset, 0)
			ahead += max(offset-old.At, 0)
		}
	}
	line := fmt.Sprintf("%s: begins at %s in %s, with %s to read", topic, s, words.Of(set, "partition", "partitions"), words.Of(int(unread), "record", "records"))
	if back > 0 {
		line += fmt.Sprintf("; reads %s again", words.Of(int(back), "record", "records"))
	}
	if ahead > 0 {
		line += fmt.Sprintf("; skips %s", words.Of(int(ahead), "record", "records"))
	}
	return line, nil
}
