package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/internal/testbed/bucket"
)

func TestARepositoryInABucketIsCarriedLikeADirectory(t *testing.T) {
	repo := filepath.Join(testbed.Root(t), "examples", "snapshot", "repo")
	s := bucket.Start(t, nil)
	s.PutDir(t, "es", repo)
	var env []string
	for name, value := range bucket.Environment(t.TempDir(), "") {
		env = append(env, name+"="+value)
	}
	place, dir := s.Place("es"), filepath.Join(t.TempDir(), "archive")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"snapshot", "ls", place}, exitOK, "nightly-2019.03.31"},
		{[]string{"snapshot", "show", place}, exitDifference, "shop-orders"},
		{[]string{"explain", place, "parquet:" + dir}, exitPartial, "shop-orders"},
		{[]string{"carry", place, "parquet:" + dir, "--progress", "none"}, exitPartial, "Verified: 2,190 documents in 5 indices"},
		{[]string{"carry", place, "parquet:" + dir, "--progress", "none"}, exitPartial, "Nothing was left to carry"},
		{[]string{"verify", repo, dir}, exitOK, "Equal: 2,190 documents"},
		{[]string{"snapshot", "ls", s.Place("nothing")}, exitFailed, "not a snapshot repository"},
	} {
		out, err := naru(t, env, c.args...).CombinedOutput()
		code := 0
		if err != nil {
			code = codeOf(t, err)
		}
		if code != c.code || !strings.Contains(string(out), c.want) {
			t.Errorf("naru %s: exit status %d, want %d with %q\n%s", strings.Join(c.args, " "), code, c.code, c.want, out)
		}
	}
}
