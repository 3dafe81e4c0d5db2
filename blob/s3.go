package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/logging"
	"golang.org/x/sync/semaphore"
)

// Style is how requests name the bucket.
type Style int

// The styles. Auto is the host for Amazon's own endpoints, and the path for others.
const (
	AutoStyle Style = iota
	PathStyle       // https://endpoint/bucket/key
	HostStyle       // https://bucket.endpoint/key
)

// S3Config says where a store is in S3, or in what speaks its protocol. Credentials, and what is empty here, come
// from where the AWS SDK looks: the environment (AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT_URL_S3, …), the
// shared configuration and its profiles, web identity, container and instance roles.
type S3Config struct {
	Bucket        string
	Prefix        string        // of all keys, without the slash at its end; empty: the whole bucket
	Endpoint      string        // https://host:port; empty: the environment's, or Amazon's
	Region        string        // empty: the environment's, or that of the bucket, which Amazon tells
	PathStyle     Style         // how requests name the bucket
	RequesterPays bool          // say that we pay for what we read
	Idle          time.Duration // a connection that gives nothing for so long is given up, and the read resumed; 0: 30 s
	Attempts      int           // after the first, until reading gets on; 0: 10; negative: none
	FirstWait     time.Duration // bound of the first wait between attempts, doubled each time up to 20 s; 0: 100 ms
	PartBytes     int64         // an upload that is larger goes in parts of this size, of at least 5 MiB for S3; 0: 16 MiB
	CopyBytes     int64         // a copy by the server that is larger goes in parts of this size, of at most 5 GiB for S3; 0: 512 MiB
	// Transport replaces the SDK's own, which heeds proxies and AWS_CA_BUNDLE.
	Transport http.RoundTripper
	Keys      *Keys   // nil: those that the SDK finds
	Role      *Role   // nil: none
	Written   Written // how objects are kept
}

// S3 is a Writer over a prefix of a bucket. An Open is one ranged GET; whatever cuts the read short (a lost or
// silent connection, a body that ends early, a server that says to slow down) is answered by another from there
// on, of the same version of the object.
type S3 struct {
	config  S3Config
	backoff backoff
	http    aws.HTTPClient
	client  atomic.Pointer[s3Client]
	renewal sync.Mutex             // held while a client is made
	met     atomic.Bool            // the server has answered, whatever it was
	good    atomic.Pointer[string] // a key that could be read; nil: none yet

	memory        *semaphore.Weighted // bytes that are read to be uploaded
	unconditional atomic.Bool         // the server knows no If-None-Match
	copiesNothing atomic.Bool         // the server knows no CopyObject
}

// s3Client is a client of one region with credentials as they were found when it was made.
type s3Client struct {
	*s3.Client
	region string
	made   time.Time
}

// Open finds credentials; it does not look into the bucket.
func (c S3Config) Open(ctx context.Context) (*S3, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Idle <= 0 {
		c.Idle = 30 * time.Second
	}
	if c.Attempts == 0 {
		c.Attempts = 10
	}
	if c.FirstWait <= 0 {
		c.FirstWait = 100 * time.Millisecond
	}
	if c.PartBytes <= 0 {
		c.PartBytes = 16 << 20
	}
	if c.CopyBytes <= 0 {
		c.CopyBytes = 512 << 20
	}
	s := &S3{config: c, backoff: backoff{max(0, c.Attempts), c.FirstWait, 20 * time.Second}, memory: semaphore.NewWeighted(uploadMemory)}
	if c.Transport != nil {
		s.http = &http.Client{Transport: c.Transport}
	} else {
		s.http = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns, t.MaxIdleConnsPerHost = 256, 256 // readers that read ahead have many
		})
	}
	client, err := s.connect(ctx, c.Region)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	s.client.Store(client)
	return s, nil
}

// connect makes a client with the credentials that are found now.
func (s *S3) connect(ctx context.Context, region string) (*s3Client, error) {
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(s.http),
		config.WithLogger(logging.Nop{}),
		config.WithDefaultRegion("us-east-1"), // which tells the bucket's, if it is another
		config.WithAppID("naru"),
	}
	if region != "" {
		options = append(options, config.WithRegion(region))
	}
	found, err := config.LoadDefaultConfig(ctx, append(options, s.config.keys()...)...)
	if err != nil {
		return nil, fmt.Errorf("AWS configuration: %w", err)
	}
	found.Credentials = keeper{s.config.assume(found)}
	if _, err := found.Credentials.Retrieve(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w\n  give them by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, by a profile (AWS_PROFILE), or run where a role is attached", ErrExpired, err)
	}
	client := s3.NewFromConfig(found, func(o *s3.Options) {
		o.Retryer = aws.NopRetryer{} // the whole read is tried again, not only the request
		// A range has no checksum of its own, and what is read has those of its format.
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		if s.config.Endpoint != "" {
			o.BaseEndpoint = &s.config.Endpoint
		}
		o.UsePathStyle = s.config.PathStyle == PathStyle || s.config.PathStyle == AutoStyle && o.BaseEndpoint != nil
	})
	return &s3Client{client, found.Region, time.Now()}, nil
}

// keeper marks the errors of whoever keeps the credentials.
type keeper struct{ aws.CredentialsProvider }

func (k keeper) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := k.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		err = &keeperError{err}
	}
	return c, err
}

type keeperError struct{ error }

func (e *keeperError) Unwrap() error { return e.error }

// strangerAttempts is how often a server that has never answered is tried after the first time.
const strangerAttempts = 4

// renewed says how long ago a client must have been made for another to be of use.
const renewed = 2 * time.Second

// renew replaces a client whose credentials or region are not right. It reports that there is another now.
func (s *S3) renew(ctx context.Context, old *s3Client, region string) bool {
	s.renewal.Lock()
	defer s.renewal.Unlock()
	now := s.client.Load()
	switch {
	case now != old:
		return true // somebody else did
	case region == "" && time.Since(now.made) < renewed:
		return false
	case region == "":
		region = now.region
	}
	client, err := s.connect(ctx, region)
	if err != nil {
		return false // the error that the old one met says more
	}
	s.client.Store(client)
	return true
}

// do makes a request that reads until it succeeds, fails for good, no attempt is left or ctx is done.
func (s *S3) do(ctx context.Context, key string, request func(*s3Client) error) error {
	return s.doing(ctx, reading, key, request)
}

func (s *S3) doing(ctx context.Context, d deed, key string, request func(*s3Client) error) error {
	moved, again := false, false
	for failures := 1; ; failures++ {
		client := s.client.Load()
		err := request(client)
		if err == nil {
			s.met.Store(true)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		v := judge(err)
		if v.code != "" {
			s.met.Store(true)
		}
		stranger := !s.met.Load() && failures > strangerAttempts // a mistyped endpoint should not take half a minute
		if v.region != "" && v.region != client.region && !moved {
			if moved = true; s.renew(ctx, client, v.region) {
				continue
			}
		}
		if errors.Is(v.mark, ErrExpired) && !again {
			// A client whose clock is off has learnt by how much.
			if again = true; v.code == codeSkewed || s.renew(ctx, client, "") {
				continue
			}
		}
		if !v.again || stranger || s.backoff.spent(failures) {
			return s.explain(d, key, v, failures)
		}
		if err := s.backoff.wait(ctx, failures); err != nil {
			return err
		}
	}
}

// key is the object that holds the blob.
func (s *S3) key(name string) (string, error) {
	if !fs.ValidPath(name) {
		return "", &fs.PathError{Op: "open", Path: s.String() + "/" + name, Err: fs.ErrInvalid}
	}
	switch {
	case name == ".":
		return s.config.Prefix, nil
	case s.config.Prefix == "":
		return name, nil
	}
	return s.config.Prefix + "/" + name, nil
}

// Open implements Store. Reading from what it returns resumes by itself; it is under ctx.
func (s *S3) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	key, err := s.key(name)
	if err != nil {
		return nil, err
	}
	if name == "." || off < 0 {
		return nil, &fs.PathError{Op: "open", Path: s.String() + "/" + name, Err: fs.ErrInvalid}
	}
	r, err := s.open(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// List implements Store. ErrNoListing: the bucket may not be listed.
func (s *S3) List(ctx context.Context, dir string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		prefix, err := s.key(dir)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		if prefix != "" {
			prefix += "/"
		}
		in := &s3.ListObjectsV2Input{Bucket: &s.config.Bucket, Prefix: &prefix, Delimiter: aws.String("/"), RequestPayer: s.payer()}
		for {
			out, err := s.page(ctx, prefix, in)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, d := range out.CommonPrefixes {
				name := strings.TrimSuffix(strings.TrimPrefix(aws.ToString(d.Prefix), prefix), "/")
				if name != "" && !yield(Entry{Name: name, Dir: true}, nil) {
					return
				}
			}
			for _, o := range out.Contents {
				name := strings.TrimPrefix(aws.ToString(o.Key), prefix)
				if name != "" && !yield(Entry{Name: name, Size: aws.ToInt64(o.Size)}, nil) { // "": the mark of a folder
					return
				}
			}
			if !aws.ToBool(out.IsTruncated) || aws.ToString(out.NextContinuationToken) == "" {
				return
			}
			in.ContinuationToken = out.NextContinuationToken
		}
	}
}

func (s *S3) page(ctx context.Context, prefix string, in *s3.ListObjectsV2Input) (*s3.ListObjectsV2Output, error) {
	var out *s3.ListObjectsV2Output
	var last verdict
	err := s.do(ctx, prefix, func(c *s3Client) error {
		err := timed(ctx, s.config.Idle, func(ctx context.Context) (err error) {
			out, err = c.ListObjectsV2(ctx, in)
			return err
		})
		switch {
		case err == nil && out.Name == nil && out.Prefix == nil && out.KeyCount == nil && out.IsTruncated == nil:
			err = errCut // an empty body is an empty listing to the SDK
		}
		last = judge(err)
		return err
	})
	if err != nil && last.unlistable && ctx.Err() == nil {
		err = fmt.Errorf("%s: %w: %w", s, ErrNoListing, last.cause)
	}
	return out, err
}

// timed makes a request that must be answered in time.
func timed(ctx context.Context, patience time.Duration, request func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSilent)
	defer cancel()
	err := request(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		err = errSilent
	}
	return err
}

func (s *S3) payer() types.RequestPayer {
	if s.config.RequesterPays {
		return types.RequestPayerRequester
	}
	return ""
}

// Close lets go of idle connections.
func (s *S3) Close() error {
	if c, ok := s.http.(*http.Client); ok {
		c.CloseIdleConnections()
	}
	return nil // the SDK's own transport closes them after a while
}

// String names the bucket and the prefix.
func (s *S3) String() string {
	return s3Scheme + strings.TrimSuffix(s.config.Bucket+"/"+s.config.Prefix, "/")
}
