package blob

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// maxParts is how many parts an object may have. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const maxParts = 10_000

// A part is a piece of an object.
type part struct {
	number int32 // from 1 on
	off, n int64
}

// split cuts an object into parts of some size, or larger ones if these were too many.
func split(size, each int64) []part {
	each = max(each, (size+maxParts-1)/maxParts)
	var out []part
	for off := int64(0); off < size; off += each {
		out = append(out, part{int32(len(out) + 1), off, min(each, size-off)})
	}
	return out
}

// An upload is an object that is being made of parts. It appears once all are there.
type upload struct {
	id string

	mu    sync.Mutex
	parts map[int32]types.CompletedPart // guarded by mu: those that are there
}

// done notes a part.
func (u *upload) done(p types.CompletedPart) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts[*p.PartNumber] = p
}

// inParts makes an object of parts that fill uploads. If it cannot, no part stays. fs.ErrExist: the key is taken.
func (s *S3) inParts(ctx context.Context, d deed, key string, size int64, sum types.ChecksumAlgorithm, fill func(context.Context, *upload) error) error {
	u := &upload{parts: make(map[int32]types.CompletedPart)}
	err := s.doing(ctx, d, key, func(c *s3Client) error {
		return timed(ctx, s.config.Idle, func(ctx context.Context) error {
			in := &s3.CreateMultipartUploadInput{Bucket: &s.config.Bucket, Key: &key, ChecksumAlgorithm: sum, RequestPayer: s.payer()}
			s.config.Written.parts(in)
			out, err := c.CreateMultipartUpload(ctx, in)
			if err == nil {
				if u.id = aws.ToString(out.UploadId); u.id == "" {
					err = errCut
				}
			}
			return err
		})
	})
	if err != nil {
		return err
	}
	if err = fill(ctx, u); err == nil {
		err = s.complete(ctx, d, key, size, u)
	}
	if err != nil {
		err = errors.Join(err, s.abort(ctx, key, u.id))
	}
	return err
}

// complete has the object appear, unless its key is taken.
func (s *S3) complete(ctx context.Context, d deed, key string, size int64, u *upload) error {
	parts := make([]types.CompletedPart, len(u.parts))
	for n, p := range u.parts {
		parts[n-1] = p
	}
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &s.config.Bucket, Key: &key, UploadId: &u.id, RequestPayer: s.payer(),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}
	tries, taken := 0, false
	err := s.doing(ctx, d, key, func(c *s3Client) error {
		in.IfNoneMatch = nil
		if !s.unconditional.Load() {
			in.IfNoneMatch = aws.String("*")
		}
		attempt := func() error {
			return timed(ctx, 20*s.config.Idle, func(ctx context.Context) error { // it takes minutes if there are thousands
				out, err := c.CompleteMultipartUpload(ctx, in)
				if err == nil && out.ETag == nil {
					err = errCut
				}
				return err
			})
		}
		err := attempt()
		v := judge(err)
		switch {
		case err != nil && v.unknown && in.IfNoneMatch != nil:
			s.unconditional.Store(true)
			in.IfNoneMatch = nil
			err = attempt()
		case err != nil && errors.Is(v.mark, ErrChanged): // its condition does not hold
			taken = true
			return nil
		case err != nil && v.code == "NoSuchUpload" && tries > 0: // it was completed, and the answer was lost
			taken = true
			return nil
		}
		tries++
		return err
	})
	if err != nil || !taken {
		return err
	}
	if tries > 0 {
		if o, err := s.seen(ctx, key); err == nil && o.size == size {
			return nil
		}
	}
	return s.taken("put", key)
}

// abort has the server forget an upload, even if the context is done.
func (s *S3) abort(ctx context.Context, key, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	err := s.doing(ctx, abortal, key, func(c *s3Client) error {
		return timed(ctx, s.config.Idle, func(ctx context.Context) error {
			_, err := c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.config.Bucket, Key: &key, UploadId: &id, RequestPayer: s.payer()})
			if v := judge(err); err != nil && v.code == "NoSuchUpload" {
				err = nil
			}
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("the parts of upload %s are left, and cost until they are aborted: %w", id, err)
	}
	return nil
}
