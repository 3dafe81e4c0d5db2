package input

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/narudata/naru/internal/testbed/bucket"
)

func TestS3ReadsObjectsLineByLine(t *testing.T) {
	bucket.Credentials(t, "")
	server := bucket.Start(t, nil)
	server.Put(t, "logs", map[string][]byte{"a.log": []byte("#Fields: x\none\ntwo"), "no.tmp": []byte("no\n")})
	for _, c := range []struct{ options, ecs, want, meta string }{
		{"", "disabled", `{"message":"one\n","@version":"1","cloudfront_fields":"x"}`, `{"s3":{"key":"logs/a.log"}}`},
		{"codec => line include_object_properties => true", "v8", `{"message":"one","@version":"1","event":{"original":"one"}}`, `"key":"logs/a.log","cloudfront":{"fields":"x"}`},
	} {
		r := runInput(t, fmt.Sprintf(`s3 { bucket => "%s" endpoint => "%s" region => "%s" prefix => "logs/" exclude_pattern => "\.tmp$" cutoff_second => 0 watch_for_new_files => false %s }`,
			bucket.Name, server.URL, bucket.Region, c.options), setting{ecs: c.ecs})
		events, meta := r.got(2)
		if got := without(events[0], "@timestamp"); got != c.want || !strings.Contains(meta[0], c.meta) {
			t.Errorf("%s: %s %s", c.options, got, meta[0])
		}
	}
}

func TestS3ChecksItsOptions(t *testing.T) {
	for text, want := range map[string]string{
		`s3 { bucket => "x y" }`:                                 "bucket: ",
		`s3 { bucket => "bucket" backup_add_prefix => "x" }`:     "backup_add_prefix: naru needs a slash",
		`s3 { bucket => "bucket" backup_to_bucket => "bucket" }`: "backup_to_bucket: it is the bucket itself",
		`s3 { bucket => "bucket" exclude_pattern => "(" }`:       "exclude_pattern: ",
		`s3 { bucket => "bucket" interval => 0 }`:                "interval: expected",
		`s3 { bucket => "bucket" secret_access_key => "hush" }`:  "access_key_id: ",
	} {
		if got := wrong(t, text, setting{}); !strings.Contains(got, want) || strings.Contains(got, "hush") {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func TestCredentialsAreReadFromAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "aws.yml")
	for text, ok := range map[string]bool{
		":access_key_id: \"12345\"\n:secret_access_key: \"54321\"\n": true,
		"access_key_id: a\nsecret_access_key: b\nsession_token: c":   true,
		"access_key_id: a": false,
		"- hush":           false,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := readKeys(name)
		if (err == nil) != ok || err == nil && (k.ID == "" || k.Secret == "") || err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
