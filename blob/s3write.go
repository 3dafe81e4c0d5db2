package blob

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"
)

var _ Writer = (*S3)(nil)

// uploadMemory bounds the bytes that a store holds to upload them.
const uploadMemory = 128 << 20

// checkBucket reports a bucket that is absent, and credentials that are wrong. Who may not list it is believed.
func (s *S3) checkBucket(ctx context.Context) error {
	prefix, one := under(s.config.Prefix), int32(1)
	_, err := s.page(ctx, prefix, &s3.ListObjectsV2Input{Bucket: &s.config.Bucket, Prefix: &prefix, MaxKeys: &one, RequestPayer: s.payer()})
	if errors.Is(err, ErrNoListing) {
		return nil
	}
	return err
}

// Put implements Writer. The request is conditional (If-None-Match). A server that does not know such requests is
// asked for the object before: with it, of two who put the same name at the same time, both may believe to be the
// only one.
func (s *S3) Put(ctx context.Context, name string, b []byte) error {
	key, err := s.target("put", name)
	if err != nil {
		return err
	}
	// Some servers take the condition and ignore it.
	if _, err := s.seen(ctx, key); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = s.taken("put", key)
		}
		return err
	}
	return s.putNew(ctx, key, b)
}

// Replace implements Writer.
func (s *S3) Replace(ctx context.Context, name string, b []byte) error {
	key, err := s.target("replace", name)
	if err != nil {
		return err
	}
	return s.doing(ctx, writing, key, func(c *s3Client) error { return s.send(ctx, c, key, b, false) })
}

// putNew puts an object whose key is not taken.
func (s *S3) putNew(ctx context.Context, key string, b []byte) error {
	tries, taken := 0, false
	err := s.doing(ctx, writing, key, func(c *s3Client) error {
		conditional := !s.unconditional.Load()
		err := s.send(ctx, c, key, b, conditional)
		if v := judge(err); conditional && err != nil {
			if v.unknown {
				s.unconditional.Store(true)
				err = s.send(ctx, c, key, b, false)
			} else if taken = errors.Is(v.mark, ErrChanged); taken {
				return nil
			}
		}
		tries++
		return err
	})
	if !taken || err != nil {
		return err
	}
	if tries > 0 { // one of them may have succeeded, and only its answer be lost
		if same, err := s.holds(ctx, key, b); err != nil || same {
			return err
		}
	}
	return s.taken("put", key)
}

// holds reports that an object has exactly these contents.
func (s *S3) holds(ctx context.Context, key string, b []byte) (bool, error) {
	r, err := s.open(ctx, key, 0, int64(len(b))+1)
	if err != nil {
		return false, err
	}
	has, err := io.ReadAll(r)
	return bytes.Equal(has, b), errors.Join(err, r.Close())
}

func (s *S3) taken(op, key string) error {
	return &fs.PathError{Op: op, Path: s3Scheme + s.config.Bucket + "/" + key, Err: fs.ErrExist}
}

// send makes one attempt to put an object. The server checks it against its CRC-32.
func (s *S3) send(ctx context.Context, c *s3Client, key string, b []byte, conditional bool) error {
	return s.sending(ctx, b, func(ctx context.Context, body io.ReadSeeker) error {
		in := &s3.PutObjectInput{
			Bucket: &s.config.Bucket, Key: &key, Body: body, ContentLength: aws.Int64(int64(len(b))), ChecksumCRC32: checksum(b), RequestPayer: s.payer(),
		}
		s.config.Written.put(in)
		if conditional {
			in.IfNoneMatch = aws.String("*")
		}
		_, err := c.PutObject(ctx, in)
		return err
	})
}

func checksum(b []byte) *string {
	return aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b))))
}

// sending makes a request with a body; it ends when nothing of it gets on for too long.
func (s *S3) sending(ctx context.Context, b []byte, request func(ctx context.Context, body io.ReadSeeker) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(s.config.Idle, func() { cancel(errSilent) })
	defer watch.Stop()
	err := request(ctx, &watchedBody{*bytes.NewReader(b), watch, s.config.Idle})
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		err = errSilent
	}
	return err
}

// watchedBody is a body that says when more of it is wanted.
type watchedBody struct {
	r     bytes.Reader
	watch *time.Timer
	idle  time.Duration
}

func (w *watchedBody) Read(p []byte) (int, error) {
	w.watch.Reset(w.idle)
	return w.r.Read(p)
}

func (w *watchedBody) Seek(off int64, whence int) (int64, error) { return w.r.Seek(off, whence) }

// target is the key of a name that is written.
func (s *S3) target(op, name string) (string, error) {
	if err := checkName(op, name); err != nil {
		return "", err
	}
	return s.key(name)
}

// s3Object is what a server says of an object.
type s3Object struct {
	size int64
	etag string
}

// Stat implements Writer.
func (s *S3) Stat(ctx context.Context, name string) (int64, error) {
	key, err := s.target("stat", name)
	if err != nil {
		return 0, err
	}
	o, err := s.head(ctx, key)
	return o.size, s.alone(ctx, key, err)
}

// seen looks whether an object is there, for those who are about to write it: one that is denied counts as absent,
// since S3 denies absent keys to those who may not list the bucket, and what is written will say if it is not that.
func (s *S3) seen(ctx context.Context, key string) (s3Object, error) {
	o, err := s.head(ctx, key)
	if errors.Is(err, ErrDenied) {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return o, err
}

// head asks for an object's size and version. An answer to HEAD has no text that says why it is refused: that is asked
// for by a GET of one byte.
func (s *S3) head(ctx context.Context, key string) (o s3Object, err error) {
	err = s.do(ctx, key, func(c *s3Client) error {
		err := timed(ctx, s.config.Idle, func(ctx context.Context) error {
			out, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.config.Bucket, Key: &key, RequestPayer: s.payer()})
			if err == nil {
				if out.ContentLength == nil {
					return fmt.Errorf("%s%s/%s: the server does not say its size", s3Scheme, s.config.Bucket, key)
				}
				o = s3Object{*out.ContentLength, aws.ToString(out.ETag)}
			}
			return err
		})
		var response *awshttp.ResponseError
		if errors.As(err, &response) && (response.HTTPStatusCode() == http.StatusForbidden || response.HTTPStatusCode() == http.StatusBadRequest) {
			r, gerr := s.request(ctx, c, key, 0, 1, "")
			if gerr != nil {
				if errors.Is(judge(gerr).mark, errRange) {
					o, gerr = s3Object{}, nil // it is empty
				}
				return gerr
			}
			if o = (s3Object{r.size, r.etag}); o.size >= 0 {
				err = nil
			}
			r.close()
		}
		return err
	})
	if err == nil && s.good.Load() == nil {
		s.good.Store(&key)
	}
	return o, err
}

// Remove implements Writer.
func (s *S3) Remove(ctx context.Context, names ...string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for _, name := range names {
		g.Go(func() error {
			key, err := s.target("remove", name)
			if err != nil {
				return err
			}
			err = s.doing(ctx, removal, key, func(c *s3Client) error {
				return timed(ctx, s.config.Idle, func(ctx context.Context) error {
					_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.config.Bucket, Key: &key, RequestPayer: s.payer()})
					return err
				})
			})
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		})
	}
	return g.Wait()
}

// Sync implements Writer: what S3 has answered for is durable.
func (s *S3) Sync(ctx context.Context) error { return ctx.Err() }
