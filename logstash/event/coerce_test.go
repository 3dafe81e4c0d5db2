package event

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// read gives the value of a text of JSON; decimals as Decimals if they end with "m".
func read(t testing.TB, text string) Value {
	t.Helper()
	text, decimals := strings.CutSuffix(text, "m")
	v, err := ParseJSON([]byte(text), JSONOptions{Decimals: decimals})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestValuesAsText(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{`"text"`, "text"}, {`""`, ""}, {"null", ""}, {"true", "true"}, {"false", "false"}, {"-7", "-7"},
		{"1.0", "1.0"}, {"1e7", "1.0E7"}, {"1e400", "Infinity"}, {"-1e400", "-Infinity"}, {"-0.0", "-0.0"},
		{"123456789012345678901", "123456789012345678901"}, {"1.10m", "1.10"}, {"1e3m", "1E+3"},
		{`["a",["b",["c"]],null,true]`, "a,b,c,,true"}, {`[]`, ""}, {`[null]`, ""}, {`{}`, "{}"},
		{`[{"a":"x","b":{"c":[1,null]}}]`, "{a=x, b={c=[1, null]}}"}, {`{"k":[1.50]}m`, `{"k":[1.50]}`},
	} {
		v := read(t, c.value)
		if got := v.Text(); got != c.want {
			t.Errorf("%s: %q, want %q", c.value, got, c.want)
		}
		if got := string(v.AppendText([]byte("<"))); got != "<"+c.want {
			t.Errorf("%s: appends %q, want %q", c.value, got, c.want)
		}
	}
	if got := TimeValue(noon).Text(); got != "2020-02-29T12:00:00.120034Z" {
		t.Errorf("a time is %q", got)
	}
	if got := (Value{}).Text(); got != "" {
		t.Errorf("nothing is %q", got)
	}
	if got := FloatValue(math.NaN()).Text(); got != "NaN" {
		t.Errorf("NaN is %q", got)
	}
}

// The orders were printed by OpenJDK 17: new HashMap<>(n) with the first n keys.
func TestMembersAreInTheOrderOfAHashMap(t *testing.T) {
	keys := strings.Split("message,host,status,bytes,user_agent,clientip,ident,auth,verb,request,httpversion,response,referrer,agent,tags,type,path,ä,😀x", ",")
	for n, want := range map[int]string{
		1:  "message",
		2:  "message,host",
		3:  "message,host,status",
		4:  "host,message,bytes,status",
		6:  "host,message,bytes,user_agent,status,clientip",
		7:  "bytes,ident,clientip,host,message,user_agent,status",
		12: "request,auth,bytes,ident,response,clientip,host,verb,httpversion,message,user_agent,status",
		13: "request,auth,ident,verb,message,referrer,bytes,response,clientip,host,httpversion,user_agent,status",
		19: "request,agent,ä,auth,ident,verb,message,type,tags,referrer,path,😀x,bytes,response,clientip,host,httpversion,user_agent,status",
	} {
		var f Fields
		for _, k := range keys[:n] {
			f.Set(k, NullValue)
		}
		var got []string
		for _, e := range hashOrder(&f) {
			got = append(got, e.Key)
		}
		if d := cmp.Diff(want, strings.Join(got, ",")); d != "" {
			t.Errorf("%d members: %s", n, d)
		}
	}
}

func TestWhatCountsAsTrue(t *testing.T) {
	for value, want := range map[string]bool{
		`"text"`: true, `""`: false, `"false"`: false, `"False"`: true, "false": false, "true": true, "0": true, "0.0": true,
		"null": false, "[]": true, "{}": true, `" "`: true, "1.0m": true, "99999999999999999999": true} {
		if got := read(t, value).Truthy(); got != want {
			t.Errorf("%s counts as %t", value, got)
		}
	}
	if (Value{}).Truthy() || !TimeValue(noon).Truthy() {
		t.Error("nothing counts as true, or a time as false")
	}
}

func TestEqualityIsTyped(t *testing.T) {
	different := []Value{
		{}, NullValue, BoolValue(true), BoolValue(false), IntValue(5), IntValue(6), FloatValue(5), FloatValue(5.5), read(t, "5.0m"), StringValue("5"), StringValue(""),
		read(t, "99999999999999999999"), TimeValue(noon), TimeValue(noon.Add(1)), read(t, "[5]"), read(t, "[5.0]"), read(t, "[5,5]"), read(t, `{"a":5}`), read(t, `{"b":5}`), read(t, `{"a":5,"b":5}`), read(t, "{}"), read(t, "[]"),
	}
	for i, a := range different {
		for j, b := range different {
			if got := Equal(a, b.Clone()); got != (i == j) {
				t.Errorf("%s %s == %s %s is %t", a.Kind(), a.Text(), b.Kind(), b.Text(), got)
			}
		}
	}
	for _, c := range []struct{ a, b string }{{"1.10m", "1.1m"}, {"1e3m", "1000.0m"}, {`{"a":1,"b":[2]}`, `{"b":[2],"a":1}`}, {"0.0", "-0.0"}, {"0.0m", "0e7m"}} {
		if !Equal(read(t, c.a), read(t, c.b)) {
			t.Errorf("%s is not equal to %s", c.a, c.b)
		}
	}
}

func TestOrder(t *testing.T) {
	ascending := []Value{
		FloatValue(math.Inf(-1)), read(t, "-1e300m"), read(t, "-99999999999999999999"), IntValue(math.MinInt64), FloatValue(-10.5), read(t, "-1.5m"), IntValue(-1),
		IntValue(0), read(t, "1e-300m"), FloatValue(0.001), IntValue(1), FloatValue(9.99), IntValue(10), read(t, "10.1m"), FloatValue(10.25), IntValue(1 << 53), IntValue(math.MaxInt64),
		read(t, "99999999999999999999"), FloatValue(1e20 + 20000), read(t, "1e999999999m"), FloatValue(math.Inf(1)),
	}
	for i, a := range ascending {
		for j, b := range ascending {
			got, err := Compare(a, b)
			if err != nil || got != order(int64(i), int64(j)) {
				t.Errorf("%s %s with %s %s: %d, %v", a.Kind(), a.Text(), b.Kind(), b.Text(), got, err)
			}
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"5", "5.0", 0}, {"5.0", "5", 0}, {"5.00m", "5", 0}, {"0", "-0.0", 1}, {"-0.0", "0", -1}, {"0.0", "0", 0}, {"0.0m", "-0.0", 0}, {"9007199254740993", "9007199254740992.0", 0}, {"99999999999999999999", "1e20", 0}, {"1.1", "1.10m", 0},
		{`"5"`, `"10"`, 1}, {`"100"`, `"10"`, 1}, {`"Zoo"`, `"abc"`, -1}, {`"abc"`, `"abc"`, 0}, {`"äb"`, `"a"`, 1}, {`""`, `"a"`, -1},
		{"null", "100", 0}, {"null", `"x"`, 0}, {"true", "5", 0}, {"false", "true", 0},
	} {
		if got, err := Compare(read(t, c.a), read(t, c.b)); got != c.want || err != nil {
			t.Errorf("%s with %s: %d, %v, want %d", c.a, c.b, got, err, c.want)
		}
	}
	if got, err := Compare(TimeValue(noon), TimeValue(noon.Add(time.Nanosecond))); got != -1 || err != nil {
		t.Errorf("times: %d, %v", got, err)
	}
	if got, err := Compare(TimeValue(noon), IntValue(1)); got != 0 || err != nil {
		t.Errorf("a time with a number: %d, %v", got, err)
	}
	for _, c := range [][2]Value{
		{{}, IntValue(1)}, {{}, NullValue}, {NullValue, {}}, {StringValue("500"), IntValue(100)}, {IntValue(100), StringValue("500")}, {StringValue("x"), NullValue},
		{IntValue(1), NullValue}, {read(t, "[1]"), IntValue(1)}, {MapValue(), MapValue()}, {IntValue(1), read(t, "[1]")}, {IntValue(1), BoolValue(true)}, {IntValue(1), TimeValue(noon)},
	} {
		if _, err := Compare(c[0], c[1]); !errors.Is(err, ErrOrder) {
			t.Errorf("%s with %s: %v, want ErrOrder", c[0].Kind(), c[1].Kind(), err)
		}
	}
}
