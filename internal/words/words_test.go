package words

import "testing"

func TestThingsAreCountedAsInASentence(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Count(1, "index"), "1 index"},
		{Count(2, "index"), "2 indices"},
		{Count(0, "part"), "0 parts"},
		{Count(3, "copy"), "3 copies"},
		{Count(3, "day"), "3 days"},
		{Count(2, "alias"), "2 aliases"},
		{Count(2, "batch"), "2 batches"},
		{Count(int64(1234567), "change"), "1,234,567 changes"},
		{Of(1, "object is", "objects are"), "1 object is"},
		{Of(12, "object is", "objects are"), "12 objects are"},
		{Number(999), "999"},
		{Number(-1000), "-1,000"},
		{Number(-100), "-100"},
		{First(nil, 3), ""},
		{First([]string{"a", "b", "c"}, 3), "a, b, c"},
		{First([]string{"a", "b", "c", "d"}, 3), "a, b, c and 1 more"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
