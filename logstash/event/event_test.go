package event

import (
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var noon = time.Date(2020, 2, 29, 12, 0, 0, 120034000, time.UTC)

// decoded makes an event of a line of JSON.
func decoded(t testing.TB, line string) *Event {
	t.Helper()
	v, err := ParseJSON([]byte(line), JSONOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return FromMap(v)
}

func ref(t testing.TB, s string) *Ref {
	t.Helper()
	r, err := ParseRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// shown prints the fields of an event but @version 1 and a @timestamp of about now.
func shown(e *Event) string {
	f := e.Fields().Clone()
	if v := f.Get("@version"); v.Str() == "1" {
		f.Delete("@version")
	}
	if v := f.Get("@timestamp"); time.Since(v.Time()).Abs() < time.Hour {
		f.Delete("@timestamp")
	}
	return string(appendFields(nil, &f))
}

func TestAnEventPrintsItsFieldsInTheOrderTheyWereSet(t *testing.T) {
	e := NewAt(noon)
	for _, s := range []string{"[p][q][r]", "a.b", "[p][s]"} {
		if err := e.Set(ref(t, s), StringValue(`"x"`)); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"@version":"1","@timestamp":"2020-02-29T12:00:00.120034Z","p":{"q":{"r":"\"x\""},"s":"\"x\""},"a.b":"\"x\""}`
	if got := string(e.AppendJSON(nil)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestSettingAField(t *testing.T) {
	x := StringValue("v")
	for _, c := range []struct {
		name, in, ref string
		value         Value
		want          string
		err           error
	}{
		{"makes the maps on the way", `{"m":1}`, "[p][q][r]", x, `{"m":1,"p":{"q":{"r":"v"}}}`, nil},
		{"uses the maps on the way", `{"p":{"old":true}}`, "[p][q][r]", x, `{"p":{"old":true,"q":{"r":"v"}}}`, nil},
		{"takes dots literally", `{"a":{"b":1}}`, "a.b", x, `{"a":{"b":1},"a.b":"v"}`, nil},
		{"takes embedded references", `{}`, "[[outer][mid]][leaf]", x, `{"outer":{"mid":{"leaf":"v"}}}`, nil},
		{"replaces an element", `{"l":["a","b"]}`, "[l][1]", x, `{"l":["a","v"]}`, nil},
		{"counts from the end", `{"l":["a","b"]}`, "[l][-1]", x, `{"l":["a","v"]}`, nil},
		{"fills a list up with null", `{"l":["a"]}`, "[l][4]", x, `{"l":["a",null,null,null,"v"]}`, nil},
		{"appends to a list", `{"l":["a"]}`, "[l][1]", x, `{"l":["a","v"]}`, nil},
		{"goes through elements", `{"l":[{"k":1}]}`, "[l][0][k]", x, `{"l":[{"k":"v"}]}`, nil},
		{"makes a map behind the end of a list", `{"l":[]}`, "[l][1][k]", x, `{"l":[null,{"k":"v"}]}`, nil},
		{"loses a value whose part of a list is no number", `{"l":["a"]}`, "[l][x]", x, `{"l":["a"]}`, nil},
		{"loses a map whose part of a list is no number", `{"l":["a"]}`, "[l][x][y]", x, `{"l":["a"]}`, nil},
		{"takes a number for a key of a map", `{"m":{"1":"eins"}}`, "[m][0]", x, `{"m":{"1":"eins","0":"v"}}`, nil},
		{"takes a sign for a part of the number", `{"l":["a","b"]}`, "[l][+1]", x, `{"l":["a","v"]}`, nil},
		{"makes null of nothing", `{}`, "n", Value{}, `{"n":null}`, nil},
		{"fails below a text", `{"s":"text"}`, "[s][x]", x, `{"s":"text"}`, ErrWay},
		{"fails below a number", `{"s":5}`, "[s][x][y]", x, `{"s":5}`, ErrWay},
		{"fails below null", `{"s":null}`, "[s][x]", x, `{"s":null}`, ErrWay},
		{"fails before the start of a list", `{"l":["a"]}`, "[l][-2]", x, `{"l":["a"]}`, ErrIndex},
		{"fails far behind the end of a list", `{"l":["a"]}`, "[l][2000000000]", x, `{"l":["a"]}`, ErrIndex},
		{"loses a value beyond 32 bits", `{"l":["a"]}`, "[l][3000000000]", x, `{"l":["a"]}`, nil},
		{"takes a text for tags", `{}`, "tags", x, `{"tags":"v"}`, nil},
		{"takes texts for tags", `{}`, "[tags]", StringsValue("a", "b"), `{"tags":["a","b"]}`, nil},
		{"takes no number for tags", `{}`, "tags", IntValue(1), `{}`, ErrTags},
		{"takes no null for tags", `{}`, "tags", NullValue, `{}`, ErrTags},
		{"takes no map for tags", `{"tags":["a"]}`, "tags", MapValue(), `{"tags":["a"]}`, ErrTags},
		{"takes no list with a number for tags", `{}`, "tags", ListValue([]Value{x, IntValue(1)}), `{}`, ErrTags},
		{"sets nothing inside of tags", `{"tags":["a"]}`, "[tags][0]", x, `{"tags":["a"]}`, ErrTags},
		{"sets nothing inside of tags in metadata", `{}`, "[@metadata][tags][x]", x, `{}`, ErrTags},
		{"takes tags below the top for what they are", `{}`, "[a][tags]", IntValue(1), `{"a":{"tags":1}}`, nil},
		{"takes a time for @timestamp", `{}`, "@timestamp", TimeValue(noon), `{"@timestamp":"2020-02-29T12:00:00.120034Z"}`, nil},
		{"takes no text for @timestamp", `{}`, "[@timestamp]", StringValue("2020-02-29T12:00:00Z"), `{}`, ErrTimestamp},
		{"takes no null for @timestamp", `{}`, "@timestamp", NullValue, `{}`, ErrTimestamp},
		{"takes no text for @metadata", `{}`, "@metadata", x, `{}`, ErrMetadata},
		{"takes any @version", `{}`, "@version", StringValue("7"), `{"@version":"7"}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := decoded(t, c.in)
			if err := e.Set(ref(t, c.ref), c.value); !errors.Is(err, c.err) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			if got := shown(e); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if r := ref(t, c.ref); len(r.Keys()) == 1 {
				e := decoded(t, c.in)
				if err := e.SetField(r.Name(), c.value); !errors.Is(err, c.err) {
					t.Errorf("by name: error %v, want %v", err, c.err)
				}
				if got := shown(e); got != c.want {
					t.Errorf("by name: %s, want %s", got, c.want)
				}
			}
		})
	}
}

func TestANullThatFilledAListUpBecomesAMapWhereOneOfTheInputDoesNot(t *testing.T) {
	e := decoded(t, `{"l":[null]}`)
	if err := e.Set(ref(t, "[l][2]"), BoolValue(true)); err != nil {
		t.Fatal(err)
	}
	if !e.Includes(ref(t, "[l][0]")) || e.Includes(ref(t, "[l][1]")) {
		t.Error("a null is included, what fills up is not")
	}
	if err := e.Set(ref(t, "[l][1][k]"), BoolValue(true)); err != nil {
		t.Error(err)
	}
	if err := e.Set(ref(t, "[l][0][k]"), BoolValue(true)); !errors.Is(err, ErrWay) {
		t.Errorf("error %v, want ErrWay", err)
	}
	if got, want := shown(e), `{"l":[null,{"k":true},true]}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestGettingAField(t *testing.T) {
	e := decoded(t, `{"l":["a",{"k":"inner"},"z"],"m":{"0":"zero","n":null},"s":"text","x.y":1,"@metadata":{"a":{"b":2}}}`)
	for _, c := range []struct{ ref, want string }{
		{"[l][0]", `"a"`}, {"[l][-1]", `"z"`}, {"[l][-3]", `"a"`}, {"[l][1][k]", `"inner"`}, {"[l][+1][k]", `"inner"`},
		{"[l][9]", ""}, {"[l][-4]", ""}, {"[l][x]", ""}, {"[l][1][k][deep]", ""}, {"[l][99999999999]", ""},
		{"[m][0]", `"zero"`}, {"[m][n]", "null"}, {"[m][o]", ""}, {"[m][n][o]", ""},
		{"[s][0]", ""}, {"x.y", "1"}, {"[x][y]", ""}, {"nope", ""}, {"", ""},
		{"[@metadata][a][b]", "2"}, {"@metadata", `{"a":{"b":2}}`}, {"[@metadata][c]", ""}, {"[@metadata][a][b][c]", ""},
		{"@version", `"1"`},
	} {
		r := ref(t, c.ref)
		v := e.Get(r)
		got := ""
		if v.Is() {
			got = string(AppendJSON(nil, v))
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.ref, got, c.want)
		}
		if e.Includes(r) != (c.want != "") {
			t.Errorf("Includes(%q) is %t", c.ref, e.Includes(r))
		}
		if len(r.Keys()) == 1 && !Equal(e.GetField(r.Name()), v) {
			t.Errorf("GetField(%q) gives %s", r.Name(), e.GetField(r.Name()).Text())
		}
	}
}

func TestRemovingAField(t *testing.T) {
	for _, c := range []struct{ name, in, ref, gave, want string }{
		{"leaves an empty map", `{"o":{"k":1}}`, "[o][k]", "1", `{"o":{}}`},
		{"closes the gap in a list", `{"l":["a","b","c"]}`, "[l][1]", `"b"`, `{"l":["a","c"]}`},
		{"counts from the end of a list", `{"l":["a","b","c"]}`, "[l][-3]", `"a"`, `{"l":["b","c"]}`},
		{"does nothing behind the end of a list", `{"l":["a"]}`, "[l][1]", "", `{"l":["a"]}`},
		{"does nothing before the start of a list", `{"l":["a"]}`, "[l][-2]", "", `{"l":["a"]}`},
		{"does nothing where there is nothing", `{"a":1}`, "[no][such]", "", `{"a":1}`},
		{"does nothing below a text", `{"a":"x"}`, "[a][b]", "", `{"a":"x"}`},
		{"gives null for null", `{"a":null}`, "a", "null", `{}`},
		{"keeps the others findable", `{"a":1,"b":2,"c":3}`, "b", "2", `{"a":1,"c":3}`},
		{"takes from the metadata", `{"@metadata":{"a":{"b":1}}}`, "[@metadata][a][b]", "1", `{}`},
		{"empties the metadata", `{"@metadata":{"a":1}}`, "@metadata", `{"a":1}`, `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := decoded(t, c.in)
			gave := ""
			if v := e.Remove(ref(t, c.ref)); v.Is() {
				gave = string(AppendJSON(nil, v))
			}
			if gave != c.gave || shown(e) != c.want {
				t.Errorf("gave %s and left %s, want %s and %s", gave, shown(e), c.gave, c.want)
			}
			if e.Get(ref(t, c.ref)).Is() && !strings.HasPrefix(c.ref, "[l]") && c.ref != "@metadata" {
				t.Error("it is still there")
			}
			if r := ref(t, c.ref); len(r.Keys()) == 1 {
				e := decoded(t, c.in)
				e.RemoveField(r.Name())
				if shown(e) != c.want {
					t.Errorf("by name: left %s, want %s", shown(e), c.want)
				}
			}
		})
	}
}

func TestMetadataAreNoFields(t *testing.T) {
	e := decoded(t, `{"m":1,"@metadata":{"topic":"t1","part":3}}`)
	if got := shown(e); got != `{"m":1}` {
		t.Errorf("fields are %s", got)
	}
	if err := e.Set(ref(t, "meta"), e.Get(ref(t, "@metadata")).Clone()); err != nil {
		t.Fatal(err)
	}
	if err := e.Set(ref(t, "topic"), e.Remove(ref(t, "[@metadata][topic]"))); err != nil {
		t.Fatal(err)
	}
	if got, want := shown(e), `{"m":1,"meta":{"topic":"t1","part":3},"topic":"t1"}`; got != want {
		t.Errorf("fields are %s, want %s", got, want)
	}
	if err := e.Set(ref(t, "[@metadata][b][c]"), IntValue(2)); err != nil {
		t.Fatal(err)
	}
	if got, want := string(appendFields(nil, e.Metadata())), `{"part":3,"b":{"c":2}}`; got != want {
		t.Errorf("metadata are %s, want %s", got, want)
	}
	if !e.Includes(ref(t, "@metadata")) {
		t.Error("there are no metadata")
	}
	m := MapValue()
	m.Map().Set("new", IntValue(1))
	if err := e.SetField("@metadata", m); err != nil {
		t.Fatal(err)
	}
	m.Map().Set("later", IntValue(1))
	if got := string(appendFields(nil, e.Metadata())); got != `{"new":1}` {
		t.Errorf("metadata are %s", got)
	}
}

func TestAnEventIsMadeOfADecodedMap(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"a missing @timestamp is now", `{"id":1}`, `{"id":1}`},
		{"a null in @timestamp is now", `{"id":3,"@timestamp":null}`, `{"id":3}`},
		{"a bad text in @timestamp moves", `{"id":1,"@timestamp":"yesterday"}`, `{"id":1,"tags":["_timestampparsefailure"],"_@timestamp":"yesterday"}`},
		{"a number in @timestamp moves", `{"@timestamp":12345}`, `{"tags":["_timestampparsefailure"],"_@timestamp":12345}`},
		{"the tag joins others", `{"tags":["a"],"@timestamp":true}`, `{"tags":["a","_timestampparsefailure"],"_@timestamp":true}`},
		{"a text in tags becomes a list for it", `{"tags":"a","@timestamp":[]}`, `{"tags":["a","_timestampparsefailure"],"_@timestamp":[]}`},
		{"a map in tags moves", `{"tags":{"k":"v"}}`, `{"tags":["_tagsparsefailure"],"_tags":[{"k":"v"}]}`},
		{"a number in tags moves", `{"tags":5}`, `{"tags":["_tagsparsefailure"],"_tags":[5]}`},
		{"a list with a number in tags moves", `{"tags":["a",1]}`, `{"tags":["_tagsparsefailure"],"_tags":[["a",1]]}`},
		{"a null in tags moves", `{"tags":null}`, `{"tags":["_tagsparsefailure"],"_tags":[null]}`},
		{"texts in tags stay", `{"tags":"a"}`, `{"tags":"a"}`},
		{"an empty list in tags stays", `{"tags":[]}`, `{"tags":[]}`},
		{"@version stays", `{"@version":7}`, `{"@version":7}`},
		{"@metadata that is no map goes", `{"@metadata":"x"}`, `{}`},
		{"both may be bad", `{"tags":1,"@timestamp":2}`, `{"tags":["_tagsparsefailure","_timestampparsefailure"],"_tags":[1],"_@timestamp":2}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := decoded(t, c.in)
			if got := shown(e); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if _, ok := e.Timestamp(); !ok {
				t.Error("no @timestamp")
			}
		})
	}
	if e := FromMap(IntValue(1)); e.Fields().Len() != 2 {
		t.Errorf("a number becomes %s", e.AppendJSON(nil))
	}
}

func TestTags(t *testing.T) {
	for _, c := range []struct {
		name, in string
		do       func(e *Event)
		want     string
	}{
		{"Tag makes a list", `{}`, func(e *Event) { e.Tag("b") }, `{"tags":["b"]}`},
		{"Tag makes a list of a text", `{"tags":"a"}`, func(e *Event) { e.Tag("b") }, `{"tags":["a","b"]}`},
		{"Tag lets an equal text be", `{"tags":"b"}`, func(e *Event) { e.Tag("b") }, `{"tags":"b"}`},
		{"Tag does not double", `{"tags":["b"]}`, func(e *Event) { e.Tag("b") }, `{"tags":["b"]}`},
		{"AddTag doubles", `{"tags":["y"]}`, func(e *Event) { e.AddTag("x"); e.AddTag("x"); e.AddTag("y") }, `{"tags":["y","x","x","y"]}`},
		{"AddTag makes a list of a text", `{"tags":"a"}`, func(e *Event) { e.AddTag("b") }, `{"tags":["a","b"]}`},
		{"AddTag fills an empty list", `{"tags":[]}`, func(e *Event) { e.AddTag("b") }, `{"tags":["b"]}`},
		{"RemoveTag removes all that are equal", `{"tags":["x","y","x"]}`, func(e *Event) { e.RemoveTag("x") }, `{"tags":["y"]}`},
		{"RemoveTag leaves an empty list", `{"tags":["x"]}`, func(e *Event) { e.RemoveTag("x") }, `{"tags":[]}`},
		{"RemoveTag makes an empty list of a text", `{"tags":"x"}`, func(e *Event) { e.RemoveTag("x") }, `{"tags":[]}`},
		{"RemoveTag makes a list of a text", `{"tags":"x"}`, func(e *Event) { e.RemoveTag("y") }, `{"tags":["x"]}`},
		{"RemoveTag makes no list of nothing", `{}`, func(e *Event) { e.RemoveTag("x") }, `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := decoded(t, c.in)
			c.do(e)
			if got := shown(e); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			for _, tag := range e.Tags() {
				if !e.HasTag(tag) {
					t.Errorf("no tag %q", tag)
				}
			}
			if e.HasTag("z") {
				t.Error("there is a tag z")
			}
		})
	}
}

func TestACloneSharesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := &Event{}
		for i := range rapid.IntRange(0, 30).Draw(t, "fields") {
			e.Fields().Set(rapid.StringMatching(`[a-d@]{0,3}`).Draw(t, "key")+strings.Repeat("x", i%3), values(3).Draw(t, "value"))
		}
		m := MapValue()
		m.Map().Set("k", values(3).Draw(t, "metadata"))
		if err := e.Set(refMetadata, m); err != nil {
			t.Fatal(err)
		}
		e.Complete(noon)
		e.Cancel()
		before := string(AppendJSON(e.AppendJSON(nil), e.Get(refMetadata)))
		c := e.Clone()
		if got := string(AppendJSON(c.AppendJSON(nil), c.Get(refMetadata))); got != before {
			t.Fatalf("the clone is %s, want %s", got, before)
		}
		if c.Cancelled() {
			t.Fatal("the clone is cancelled")
		}
		spoil(c.Get(refMetadata))
		for _, entry := range c.Fields().Entries() {
			spoil(entry.Value)
		}
		c.Tag("new")
		c.RemoveField("@version")
		c.SetTimestamp(noon.Add(time.Hour))
		if got := string(AppendJSON(e.AppendJSON(nil), e.Get(refMetadata))); got != before {
			t.Fatalf("the original becomes %s, was %s", got, before)
		}
	})
}

// spoil changes all that can be changed in a value.
func spoil(v Value) {
	switch v.Kind() {
	case List:
		for i := range v.List() {
			spoil(v.List()[i])
			v.List()[i] = StringValue("spoilt")
		}
		v.Append(StringValue("spoilt"))
	case Map:
		for _, e := range v.Map().Entries() {
			spoil(e.Value)
		}
		v.Map().Set("spoilt", StringValue("spoilt"))
	default:
	}
}

// values generates values that JSON can express: all kinds but Absent, Time and Decimal.
func values(depth int) *rapid.Generator[Value] {
	return rapid.Custom(func(t *rapid.T) Value {
		kinds := 6
		if depth > 0 {
			kinds = 8
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return NullValue
		case 1:
			return BoolValue(rapid.Bool().Draw(t, "bool"))
		case 2:
			return IntValue(rapid.Int64().Draw(t, "int"))
		case 3:
			return FloatValue(rapid.Float64().Draw(t, "float"))
		case 4:
			n := new(big.Int).SetInt64(rapid.Int64().Draw(t, "int"))
			return BigValue(n.Mul(n, n))
		case 5:
			return StringValue(rapid.String().Draw(t, "text"))
		case 6:
			return ListValue(rapid.SliceOfN(values(depth-1), 0, 4).Draw(t, "list"))
		default:
			m := MapValue()
			for range rapid.IntRange(0, 4).Draw(t, "members") {
				m.Map().Set(rapid.String().Draw(t, "key"), values(depth-1).Draw(t, "member"))
			}
			return m
		}
	})
}

func TestWhatIsSetCanBeGot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := NewAt(noon)
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			keys := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "0", "1", "-1", "@metadata"}), 1, 4).Draw(t, "keys")
			r := newRef("", keys)
			v := values(2).Draw(t, "value")
			before := string(AppendJSON(e.AppendJSON(nil), e.Get(refMetadata)))
			if err := e.Set(r, v); err != nil {
				if after := string(AppendJSON(e.AppendJSON(nil), e.Get(refMetadata))); after != before {
					t.Fatalf("%s failed (%v) and changed %s to %s", r, err, before, after)
				}
				continue
			}
			if got := e.Get(r); !Equal(got, v) && !throughList(e, keys) {
				t.Fatalf("set %s to %s, got %s in %s", r, AppendJSON(nil, v), AppendJSON(nil, got), e.AppendJSON(nil))
			}
		}
	})
}

// throughList reports that a part of a reference that is no number is looked up in a list, which loses what is set.
func throughList(e *Event, keys []string) bool {
	for i := range keys[1:] {
		if e.Get(newRef("", keys[:i+1])).Kind() == List && !newPart(keys[i+1]).isInt {
			return true
		}
	}
	return false
}

func TestAValueThatIsSetInsideOfItselfIsCopied(t *testing.T) {
	e := decoded(t, `{"a":{"b":{"c":1}},"@metadata":{"x":1}}`)
	for _, c := range []struct{ from, to string }{{"a", "[a][b][d]"}, {"[a][b]", "[a][b][e]"}, {"@metadata", "[@metadata][y]"}, {"@metadata", "[@metadata][y][z]"}} {
		if err := e.Set(ref(t, c.to), e.Get(ref(t, c.from))); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"a":{"b":{"c":1,"d":{"b":{"c":1}},"e":{"c":1,"d":{"b":{"c":1}}}}}}{"x":1,"y":{"x":1,"z":{"x":1,"y":{"x":1}}}}`
	if got := shown(e) + string(AppendJSON(nil, e.Get(refMetadata))); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestCancelling(t *testing.T) {
	e := New()
	if e.Cancelled() {
		t.Error("a new event is cancelled")
	}
	if e.Cancel(); !e.Cancelled() {
		t.Error("it is not cancelled")
	}
	if e.Uncancel(); e.Cancelled() {
		t.Error("it is still cancelled")
	}
	e.Cancel()
	if e.Reset(); e.Cancelled() || e.Fields().Len() != 0 {
		t.Errorf("after Reset: cancelled %t, %s", e.Cancelled(), e.AppendJSON(nil))
	}
}

func TestACloneWithoutATimestampGetsOne(t *testing.T) {
	e := NewAt(noon)
	e.RemoveField("@timestamp")
	e.RemoveField("@version")
	if _, ok := e.Timestamp(); ok {
		t.Error("@timestamp is still there")
	}
	c := e.Clone()
	if at, ok := c.Timestamp(); !ok || time.Since(at).Abs() > time.Minute || c.GetField("@version").Str() != "1" {
		t.Errorf("the clone is %s", c.AppendJSON(nil))
	}
}

func TestMapsOfAnySizeFindTheirMembers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f Fields
		keys := []string{}
		model := map[string]int64{}
		for i := range int64(rapid.IntRange(0, 200).Draw(t, "steps")) {
			key := rapid.StringMatching(`[a-h]{0,2}`).Draw(t, "key")
			_, known := model[key]
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				if f.Delete(key).Is() != known {
					t.Fatalf("Delete(%q) disagrees", key)
				}
				delete(model, key)
				keys = slices.DeleteFunc(keys, func(k string) bool { return k == key })
			default:
				f.Set(key, IntValue(i))
				if !known {
					keys = append(keys, key)
				}
				model[key] = i
			}
			if rapid.IntRange(0, 99).Draw(t, "reset") == 0 {
				f.Reset()
				clear(model)
				keys = keys[:0]
			}
		}
		got := []string{}
		for _, e := range f.Entries() {
			got = append(got, e.Key)
			if e.Value.Int() != model[e.Key] || f.Get(e.Key).Int() != model[e.Key] || f.At(e.Key) == nil {
				t.Fatalf("%q is %d and %d, want %d", e.Key, e.Value.Int(), f.Get(e.Key).Int(), model[e.Key])
			}
		}
		if d := cmp.Diff(keys, got); d != "" {
			t.Fatal(d)
		}
		c := f.Clone()
		for _, key := range keys {
			if c.Get(key).Int() != model[key] {
				t.Fatalf("%q is not in the clone", key)
			}
		}
		if f.Get("nope").Is() || f.At("nope") != nil {
			t.Fatal("there is a member nope")
		}
	})
}

func TestWhatIsOwnedDoesNotChangeWithTheInput(t *testing.T) {
	in := []byte(`{"a":"text","l":["x",{"k":"v"}]}`)
	v, err := ParseJSON(in, JSONOptions{})
	if err != nil {
		t.Fatal(err)
	}
	before := string(AppendJSON(nil, v))
	own := v.Own()
	for i := range in {
		in[i] = '!'
	}
	if got := string(AppendJSON(nil, own)); got != before {
		t.Errorf("%s, want %s", got, before)
	}
	if got := string(AppendJSON(nil, v)); got == before {
		t.Error("what is not owned is a copy")
	}
}

func TestThePlaceOfAValueIsWhereSetPutsIt(t *testing.T) {
	for _, c := range []struct{ in, way, want string }{
		{`{}`, "a", `{"a":"new"}`},
		{`{"a":1}`, "a", `{"a":"new"}`},
		{`{}`, "[a][b][c]", `{"a":{"b":{"c":"new"}}}`},
		{`{"a":{"x":1,"b":{"y":2}}}`, "[a][b][c]", `{"a":{"x":1,"b":{"y":2,"c":"new"}}}`},
		{`{"a":{"b":{"c":null}}}`, "[a][b][c]", `{"a":{"b":{"c":"new"}}}`},
		{`{"a":{}}`, "[a][b]", `{"a":{"b":"new"}}`},
		{`{"a":[1]}`, "[a][0]", ""},
		{`{"a":"x"}`, "[a][b]", ""},
		{`{"a":{"b":null}}`, "[a][b][c]", ""},
		{`{}`, "@timestamp", ""},
		{`{}`, "tags", ""},
		{`{}`, "[tags][0]", ""},
		{`{}`, "@metadata", ""},
	} {
		e, r := decoded(t, c.in), ref(t, c.way)
		before := string(e.AppendJSON(nil))
		old := e.Get(r)
		at := e.Place(r)
		if c.want == "" {
			if after := string(e.AppendJSON(nil)); at != nil || after != before {
				t.Errorf("%s of %s has a place, the event is %s", c.way, c.in, after)
			}
			continue
		}
		if at == nil || string(AppendJSON(nil, *at)) != string(AppendJSON(nil, old)) {
			t.Errorf("%s of %s: %v, want %v", c.way, c.in, at, old)
			continue
		}
		*at = StringValue("new")
		got := e.Fields().Clone()
		got.Delete("@timestamp")
		got.Delete("@version")
		if text := string(AppendJSON(nil, Value{kind: Map, node: &node{m: got}})); text != c.want {
			t.Errorf("%s of %s makes %s, want %s", c.way, c.in, text, c.want)
		}
	}
	e := decoded(t, `{}`)
	*e.Place(ref(t, "[@metadata][a][b]")) = StringValue("new")
	if v := e.Get(ref(t, "[@metadata][a][b]")); v.Str() != "new" {
		t.Errorf("in the metadata: %v", v)
	}
}
