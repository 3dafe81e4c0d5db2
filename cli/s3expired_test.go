package cli

import (
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/internal/testbed/bucket"
)

func TestACarryFromABucketGoesOnAfterItsCredentialsWereRenewed(t *testing.T) {
	s := bucket.Start(t, nil)
	s.PutDir(t, "es", filepath.Join(testbed.Fixture(t, "os219"), "main"))
	var valid atomic.Value
	valid.Store("first")
	var left atomic.Int64
	s.Refuse(func(r bucket.Request) *bucket.Error {
		if left.Add(-1) == 0 {
			valid.Store("second")
		}
		if r.Token != valid.Load() {
			return &bucket.Error{Status: 400, Code: "ExpiredToken", Message: "The provided token has expired."}
		}
		return nil
	})
	run := func(token string, args ...string) (code int, out string) {
		var env []string
		for name, value := range bucket.Environment(t.TempDir(), token) {
			env = append(env, name+"="+value)
		}
		text, err := naru(t, env, args...).CombinedOutput()
		if err != nil {
			code = codeOf(t, err)
		}
		if strings.Contains(string(text), bucket.AccessKey) || strings.Contains(string(text), "that/nobody") {
			t.Errorf("it shows credentials:\n%s", text)
		}
		return code, string(text)
	}
	place, dir := s.Place("es"), filepath.Join(t.TempDir(), "archive")
	which := []string{"--snapshot", "snap-2", "--index", "-synthetic", "--index", "-nosource", "--index", "-excluded"}
	carry := append([]string{"carry", place, "ndjson:" + dir}, which...)

	// How many requests a whole carry takes, so that the credentials expire while documents come.
	code, out := run("first", append([]string{"carry", place, "ndjson:" + dir + "-whole"}, which...)...)
	if code != exitOK {
		t.Fatalf("exit status %d\n%s", code, out)
	}
	left.Store(int64(len(s.Requests())) * 3 / 4)
	code, out = run("first", carry...)
	if code != exitFailed || !strings.Contains(out, "ExpiredToken") || !strings.Contains(out, "run the same command again; it goes on where it stopped") {
		t.Errorf("exit status %d\n%s", code, out)
	}
	if code, out = run("second", carry...); code != exitOK {
		t.Errorf("with new credentials: exit status %d\n%s", code, out)
	}
	if code, out = run("second", append([]string{"verify", place, dir}, which...)...); code != exitOK {
		t.Errorf("verify: exit status %d\n%s", code, out)
	}
}
