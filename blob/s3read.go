package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// s3Read is a range of an object that is read through as many responses as it takes.
type s3Read struct {
	s   *S3
	ctx context.Context // of the Open
	key string

	off, end int64  // what is still to be read; end < 0: to where the response ends
	size     int64  // of the object; -1: the server does not say
	etag     string // of the version that is read

	now      *s3Response // nil: to be asked for
	failures int         // in a row, without getting on
	reached  int64       // where off was when failures was last reset
	err      error       // what all further reads give
}

// getsOn is how many bytes must come before failures are forgotten, so that a server that gives a byte at a time
// and breaks is not asked for ever.
const getsOn = 64 << 10

// open asks for the first response, so that an absent blob is known at once.
func (s *S3) open(ctx context.Context, key string, off, n int64) (*s3Read, error) {
	r := &s3Read{s: s, ctx: ctx, key: key, off: off, end: -1, size: -1, reached: off}
	if n >= 0 && n <= math.MaxInt64-off {
		r.end = off + n
	}
	err := r.ask()
	if errors.Is(err, errRange) {
		r.end, err = off, nil // nothing is there
	}
	if err != nil {
		return nil, s.alone(ctx, key, err)
	}
	if s.good.Load() == nil {
		s.good.Store(&key)
	}
	return r, nil
}

// ask makes a request for what is still to be read.
func (r *s3Read) ask() error {
	return r.s.do(r.ctx, r.key, func(c *s3Client) error {
		// One byte tells whether the blob is there; none cannot be asked for.
		end := r.end
		if end == r.off {
			end++
		}
		response, err := r.s.request(r.ctx, c, r.key, r.off, end, r.etag)
		if err != nil {
			if r.etag != "" && errors.Is(judge(err).mark, errRange) {
				if r.size >= 0 {
					return ErrChanged // it was longer before
				}
				r.end, err = r.off, nil // what ended was not the connection
			}
			return err
		}
		if r.etag != "" && response.etag != r.etag || r.size >= 0 && response.size >= 0 && response.size != r.size {
			response.close()
			return ErrChanged
		}
		r.etag, r.now = response.etag, response
		if response.size >= 0 {
			r.size = response.size
			if r.end < 0 || r.end > r.size {
				r.end = r.size
			}
		}
		return nil
	})
}

// Read implements io.Reader.
func (r *s3Read) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	for r.end < 0 || r.off < r.end {
		if r.now == nil {
			if r.err = r.ask(); r.err != nil {
				return 0, r.err
			}
			if r.now == nil {
				break
			}
		}
		if rest := r.end - r.off; r.end >= 0 && int64(len(p)) > rest {
			p = p[:rest]
		}
		n, err := r.now.read(p)
		r.off += int64(n)
		if r.off-r.reached >= getsOn {
			r.reached, r.failures = r.off, 0
		}
		if errors.Is(err, io.EOF) && r.end < 0 {
			r.end = r.off
		}
		if err != nil && r.off != r.end {
			r.err = r.again(err)
		}
		if n > 0 || r.err != nil {
			return n, r.err
		}
	}
	r.drop()
	r.err = io.EOF
	return 0, io.EOF
}

// again waits before the read is resumed, or gives the error it ends with.
func (r *s3Read) again(err error) error {
	r.drop()
	if ctxErr := r.ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	if errors.Is(err, io.EOF) {
		err = errCut
	}
	r.failures++
	if r.s.backoff.spent(r.failures) {
		return fmt.Errorf("%s%s/%s: %w at byte %d (tried %d times)", s3Scheme, r.s.config.Bucket, r.key, err, r.off, r.failures)
	}
	return r.s.backoff.wait(r.ctx, r.failures)
}

// drop lets go of the response. One that is read to its end leaves its connection for others.
func (r *s3Read) drop() {
	if r.now != nil {
		if r.off == r.end {
			_, _ = r.now.read(make([]byte, 1)) // the end itself
		}
		r.now.close()
		r.now = nil
	}
}

// Size is how long the whole blob is; -1: not known.
func (r *s3Read) Size() int64 { return r.size }

// Close implements io.Closer.
func (r *s3Read) Close() error {
	r.drop()
	if r.err == nil {
		r.err = errors.New("the blob's reader is closed")
	}
	return nil
}

// s3Response is one response, watched so that it does not fall silent.
type s3Response struct {
	body   io.ReadCloser
	etag   string
	size   int64 // of the whole object; -1: not said
	idle   time.Duration
	watch  *time.Timer // ends the request
	ctx    context.Context
	cancel context.CancelCauseFunc
}

var errNoRanges = errors.New("the server ignores ranges")

// request asks for the bytes from off to end (excluded; < 0: all) of the version etag, or of any.
func (s *S3) request(ctx context.Context, c *s3Client, key string, off, end int64, etag string) (*s3Response, error) {
	r := &s3Response{idle: s.config.Idle, size: -1}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.watch = time.AfterFunc(r.idle, func() { r.cancel(errSilent) })
	in := &s3.GetObjectInput{Bucket: &s.config.Bucket, Key: &key, RequestPayer: s.payer()}
	span := "bytes=" + strconv.FormatInt(off, 10) + "-"
	if end >= 0 {
		span += strconv.FormatInt(end-1, 10)
	}
	in.Range = &span
	if etag != "" {
		in.IfMatch = &etag
	}
	out, err := c.GetObject(r.ctx, in)
	r.watch.Stop()
	if err != nil {
		return nil, r.failed(err)
	}
	r.body, r.etag = out.Body, aws.ToString(out.ETag)
	from := int64(0)
	if out.ContentRange != nil {
		from, r.size, err = contentRange(*out.ContentRange)
	} else if out.ContentLength != nil {
		r.size = *out.ContentLength // the whole object
	}
	if err == nil && from != off {
		err = fmt.Errorf("%w: asked for bytes from %d on, it sends them from %d on", errNoRanges, off, from)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// contentRange reads "bytes 5-9/100": from 5, size 100. A size that is not known is "*".
func contentRange(header string) (from, size int64, err error) {
	span, ok := strings.CutPrefix(header, "bytes ")
	span, total, ok2 := strings.Cut(span, "/")
	first, _, ok3 := strings.Cut(span, "-")
	from, err = strconv.ParseInt(first, 10, 64)
	size = -1
	if err == nil && total != "*" {
		size, err = strconv.ParseInt(total, 10, 64)
	}
	if !ok || !ok2 || !ok3 || err != nil || from < 0 || size < -1 {
		return 0, 0, fmt.Errorf("%w: Content-Range is %q", errNoRanges, header)
	}
	return from, size, nil
}

func (r *s3Response) read(p []byte) (int, error) {
	r.watch.Reset(r.idle)
	n, err := r.body.Read(p)
	r.watch.Stop()
	if err != nil && errors.Is(context.Cause(r.ctx), errSilent) {
		err = errSilent
	}
	return n, err
}

// failed ends a request that gave no response.
func (r *s3Response) failed(err error) error {
	if errors.Is(context.Cause(r.ctx), errSilent) {
		err = errSilent
	}
	r.cancel(nil)
	return err
}

// close ends the request. What is left of the body is not read.
func (r *s3Response) close() {
	r.cancel(nil)
	r.watch.Stop()
	_ = r.body.Close() // it was read, or is not wanted
}
