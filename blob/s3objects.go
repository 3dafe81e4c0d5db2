package blob

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// An Object is an object of a bucket, as a listing says.
type Object struct {
	Name     string // relative to the store's prefix; not every one is a name of a blob
	Size     int64
	Modified time.Time
	ETag     string
	Class    string // of its storage
}

// Archived reports that an object cannot be read unless it was restored.
func (o *Object) Archived() bool { return o.Class == "GLACIER" || o.Class == "DEEP_ARCHIVE" }

// Objects yields all objects whose names begin with a text, however deep, in the order of their names. ErrNoListing: the bucket
// may not be listed.
func (s *S3) Objects(ctx context.Context, begin string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		root := s.config.Prefix
		if root != "" {
			root += "/"
		}
		prefix := root + begin
		in := &s3.ListObjectsV2Input{Bucket: &s.config.Bucket, Prefix: &prefix, RequestPayer: s.payer()}
		for {
			out, err := s.page(ctx, prefix, in)
			if err != nil {
				yield(Object{}, err)
				return
			}
			for i := range out.Contents {
				o := &out.Contents[i]
				found := Object{
					Name: strings.TrimPrefix(aws.ToString(o.Key), root), Size: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified),
					ETag: aws.ToString(o.ETag), Class: string(o.StorageClass),
				}
				if !yield(found, nil) {
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

// Keys are credentials that are given, instead of those that the SDK finds.
type Keys struct{ ID, Secret, Token string }

// A Role is assumed with the credentials that are given or found, or with a token of web identity.
type Role struct {
	ARN, Session string
	TokenFile    string // empty: none
}

// Written says how objects are kept that are written; what is empty is the bucket's own.
type Written struct {
	ACL        string // private, public-read …
	Class      string // STANDARD, GLACIER …
	Encryption string // AES256 or aws:kms
	Key        string // of KMS; empty: Amazon's own
	Encoding   string // Content-Encoding
}

// keys is what the SDK loads its configuration with for given credentials.
func (c *S3Config) keys() []func(*config.LoadOptions) error {
	if c.Keys == nil {
		return nil
	}
	return []func(*config.LoadOptions) error{config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(c.Keys.ID, c.Keys.Secret, c.Keys.Token))}
}

// assume gives the credentials of the role, if there is one.
func (c *S3Config) assume(found aws.Config) aws.CredentialsProvider {
	switch r := c.Role; {
	case r == nil:
		return found.Credentials
	case r.TokenFile != "":
		return aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(sts.NewFromConfig(found), r.ARN, stscreds.IdentityTokenFile(r.TokenFile),
			func(o *stscreds.WebIdentityRoleOptions) { o.RoleSessionName = r.Session }))
	default:
		return aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(found), r.ARN,
			func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = r.Session }))
	}
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (w *Written) put(in *s3.PutObjectInput) {
	in.ACL, in.StorageClass, in.ServerSideEncryption = types.ObjectCannedACL(w.ACL), types.StorageClass(w.Class), types.ServerSideEncryption(w.Encryption)
	in.SSEKMSKeyId, in.ContentEncoding = text(w.Key), text(w.Encoding)
}

func (w *Written) parts(in *s3.CreateMultipartUploadInput) {
	in.ACL, in.StorageClass, in.ServerSideEncryption = types.ObjectCannedACL(w.ACL), types.StorageClass(w.Class), types.ServerSideEncryption(w.Encryption)
	in.SSEKMSKeyId, in.ContentEncoding = text(w.Key), text(w.Encoding)
}
