package blob

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const s3Scheme = "s3://"

var bucketName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{1,254}$`)

// ParseS3 reads s3://BUCKET/PREFIX?endpoint=URL&region=NAME&path-style=true&requester-pays=true. Everything after
// the bucket is optional; what is not given comes from the environment and the shared configuration, and
// credentials always do.
func ParseS3(text string) (S3Config, error) {
	shown, _, _ := strings.Cut(text, "?")
	rest, ok := strings.CutPrefix(text, s3Scheme)
	if !ok {
		return S3Config{}, fmt.Errorf("%s: want s3://bucket/prefix", shown)
	}
	host, _, _ := strings.Cut(rest, "/")
	host, _, _ = strings.Cut(host, "?")
	if strings.Contains(host, "@") {
		return S3Config{}, errors.New("an s3:// URL must not hold credentials; put them into the environment or a profile (AWS_ACCESS_KEY_ID, AWS_PROFILE, …)")
	}
	if !bucketName.MatchString(host) {
		return S3Config{}, fmt.Errorf("%s: %q is no name of a bucket; want s3://bucket/prefix", shown, host)
	}
	u, err := url.Parse(s3Scheme + "bucket" + rest[len(host):])
	if err != nil {
		return S3Config{}, fmt.Errorf("%s: %w", shown, reason(err))
	}
	if u.Fragment != "" || strings.HasSuffix(text, "#") {
		return S3Config{}, fmt.Errorf("%s: a # in a prefix must be written %%23", shown)
	}
	c := S3Config{Bucket: host, Prefix: strings.Trim(u.Path, "/")}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return S3Config{}, fmt.Errorf("%s: %w", shown, reason(err))
	}
	for key, values := range query {
		if len(values) != 1 {
			return S3Config{}, fmt.Errorf("%s: %s is given twice", shown, key)
		}
		if err := c.set(key, values[0]); err != nil {
			return S3Config{}, fmt.Errorf("%s: %w", shown, err)
		}
	}
	return c, c.Validate()
}

func (c *S3Config) set(key, value string) (err error) {
	flag := func() bool {
		var on bool
		if on, err = strconv.ParseBool(value); err != nil {
			err = fmt.Errorf("%s=%s: want true or false", key, value)
		}
		return on
	}
	switch key {
	case "endpoint":
		c.Endpoint = value
	case "region":
		c.Region = value
	case "path-style":
		c.PathStyle = HostStyle
		if flag() {
			c.PathStyle = PathStyle
		}
	case "requester-pays":
		c.RequesterPays = flag()
	default:
		return fmt.Errorf("unknown key %q; there are endpoint, region, path-style and requester-pays", key)
	}
	return err
}

// Validate says what is wrong.
func (c *S3Config) Validate() error {
	if !bucketName.MatchString(c.Bucket) {
		return fmt.Errorf("%q is no name of a bucket", c.Bucket)
	}
	if slices.ContainsFunc(strings.Split(c.Prefix, "/"), func(s string) bool { return s == "." || s == ".." }) {
		return fmt.Errorf("s3://%s/%s: a prefix has no . or .. in it", c.Bucket, c.Prefix)
	}
	if c.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil:
		return fmt.Errorf("endpoint: %w", reason(err))
	case u.User != nil:
		return errors.New("endpoint: it must not hold credentials; put them into the environment or a profile (AWS_ACCESS_KEY_ID, AWS_PROFILE, …)")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("endpoint %s: want https://host:port", u.Redacted())
	}
	return nil
}

// reason is what is wrong with a URL, without the URL, which may hold what must not be shown.
func reason(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
