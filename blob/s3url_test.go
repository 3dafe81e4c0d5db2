package blob_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/blob"
)

func TestAnS3URLSaysAllButTheCredentials(t *testing.T) {
	for text, want := range map[string]blob.S3Config{
		"s3://b-1.x":              {Bucket: "b-1.x"},
		"s3://bucket/":            {Bucket: "bucket"},
		"s3://bucket//a//b c/":    {Bucket: "bucket", Prefix: "a//b c"},
		"s3://bucket/a%23b%3f%25": {Bucket: "bucket", Prefix: "a#b?%"},
		"s3://bucket?region=x":    {Bucket: "bucket", Region: "x"},
		"s3://bucket/p?endpoint=https://minio:9000&region=eu&path-style=true&requester-pays=true": {
			Bucket: "bucket", Prefix: "p", Endpoint: "https://minio:9000", Region: "eu", PathStyle: blob.PathStyle, RequesterPays: true},
		"s3://bucket/p?endpoint=http%3A%2F%2Flocalhost%3A1%2Fx&path-style=false": {
			Bucket: "bucket", Prefix: "p", Endpoint: "http://localhost:1/x", PathStyle: blob.HostStyle},
	} {
		got, err := blob.ParseS3(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", text, err, diff)
		}
	}
	for text, want := range map[string]string{
		"s3:bucket":                                     "want s3://",
		"s3://":                                         "no name of a bucket",
		"s3:///prefix":                                  "no name of a bucket",
		"s3://a b/prefix":                               "no name of a bucket",
		"s3://me:hunter2@bucket/p":                      "must not hold credentials",
		"s3://bucket/a/../b":                            "no . or ..",
		"s3://bucket/a#b":                               "%23",
		"s3://bucket/a%zz":                              "invalid URL escape",
		"s3://bucket/?regoin=hunter2":                   `unknown key "regoin"; there are endpoint`,
		"s3://bucket/?region=a&region=b":                "given twice",
		"s3://bucket/?path-style=perhaps":               "want true or false",
		"s3://bucket/?endpoint=minio:9000":              "want https://host:port",
		"s3://bucket/?endpoint=http://x/?y=z":           "want https://host:port",
		"s3://bucket/?endpoint=http://me:hunter2@x":     "must not hold credentials",
		"s3://bucket/?endpoint=http://me:hunter2@x:a b": "endpoint",
	} {
		_, err := blob.ParseS3(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error repeats what may be secret: %v", text, err)
		}
	}
}
