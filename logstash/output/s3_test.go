package output

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/narudata/naru/internal/testbed/bucket"
)

func TestS3WritesObjectsByPrefix(t *testing.T) {
	bucket.Credentials(t, "")
	server := bucket.Start(t, nil)
	w := openOutput(t, fmt.Sprintf(`s3 { bucket => "%s" endpoint => "%s" region => "%s" prefix => "/logs/%%{app}" tags => ["t1","t2"] codec => json_lines }`,
		bucket.Name, server.URL, bucket.Region), "")
	if err := w.write(`{"app":"a<x>","n":1}`, `{"app":"b<x>","n":2}`, `{"app":"a<x>","n":3}`); err != nil {
		t.Fatal(err)
	}
	if err := w.sink.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^[ab]_x_/ls\.s3\.[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\.\d{4}-\d\d-\d\dT\d\d\.\d\d\.tag_t1\.t2\.part0\.txt$`)
	stored := server.Stored(t, bucket.Name, "logs")
	if len(stored) != 2 {
		t.Errorf("%d objects", len(stored))
	}
	for name, data := range stored {
		want := "{\"app\":\"b<x>\",\"n\":2}\n"
		if strings.HasPrefix(name, "a") {
			want = "{\"app\":\"a<x>\",\"n\":1}\n{\"app\":\"a<x>\",\"n\":3}\n"
		}
		if !form.MatchString(name) || string(data) != want {
			t.Errorf("%s: %q", name, data)
		}
	}
	for _, r := range server.Requests() {
		if strings.Contains(r.Key, "test-object") {
			return
		}
	}
	t.Error("it was not tried whether the bucket can be written")
}

func TestS3ChecksItsOptions(t *testing.T) {
	for text, want := range map[string]string{
		`s3 { bucket => "x y" }`:                                             "bucket: ",
		`s3 { bucket => "bucket" prefix => "a>b" }`:                          "prefix: it must not have",
		`s3 { bucket => "bucket" size_file => 0 time_file => 0 }`:            "size_file: expected more than 0",
		`s3 { bucket => "bucket" rotation_strategy => time time_file => 0 }`: "time_file: expected more than 0",
		`s3 { bucket => "bucket" access_key_id => "x" }`:                     "access_key_id: it and secret_access_key",
		`s3 { bucket => "bucket" web_identity_token_file => "x" }`:           "web_identity_token_file: it needs role_arn",
		`s3 { bucket => "bucket" endpoint => "x" }`:                          "endpoint: it is no URL",
		`s3 { bucket => "bucket" signature_version => v2 }`:                  "signature_version: ",
		`s3 { bucket => "bucket" retry_count => -1 }`:                        "retry_count: expected",
	} {
		if _, _, err := setUpOutput(t, text, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
