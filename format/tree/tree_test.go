package tree

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatIsNotChangedKeepsItsPlaceAndItsDigits(t *testing.T) {
	in := `{"snapshots":[{"name":"b","n":1.50,"big":123456789012345678901234567890}],"indices":{"z":{},"a":null},"last":true}`
	o, err := ObjectFromJSON([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	out, err := AppendJSON(nil, o)
	if err != nil || string(out) != in {
		t.Errorf("%s, %v", out, err)
	}
	o.Set("indices", Object{{"q", []any{"é\n"}}})
	o.Set("more", []byte{0xff})
	if !o.Delete("snapshots") || o.Delete("snapshots") {
		t.Error("deleted twice, or never")
	}
	out, err = AppendJSON(nil, o)
	if want := `{"indices":{"q":["é\n"]},"last":true,"more":"/w=="}`; err != nil || string(out) != want {
		t.Errorf("%s, %v", out, err)
	}
}

func TestACloneSharesNothing(t *testing.T) {
	o := Object{{"list", []any{Object{{"b", []byte{1}}}}}}
	c := Clone(o).(Object)
	c.List("list")[0].(Object)[0].Value.([]byte)[0] = 2
	if diff := cmp.Diff(Object{{"list", []any{Object{{"b", []byte{1}}}}}}, o); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsNotOneJSONValueIsRefused(t *testing.T) {
	deep := make([]byte, 5000)
	for i := range deep {
		deep[i] = '['
	}
	for _, in := range []string{"", "{", `{"a":}`, "{} {}", "[1", string(deep), `{"a" 1}`} {
		if v, err := FromJSON([]byte(in)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%.20q gives %v, %v", in, v, err)
		}
	}
	if _, err := ObjectFromJSON([]byte("[]")); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
	if _, err := AppendJSON(nil, struct{}{}); err == nil {
		t.Error("what is no value of a tree is written")
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.5e3,"x",null,true,{}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := FromJSON(in)
		if err != nil {
			return
		}
		out, err := AppendJSON(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		again, err := FromJSON(out)
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if diff := cmp.Diff(v, again); diff != "" {
			t.Error(diff)
		}
	})
}
