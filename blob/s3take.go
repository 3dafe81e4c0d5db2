package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

// How many parts of one object are on their way.
const (
	copiesAtATime  = 8
	uploadsAtATime = 4
)

// Take implements Writer. Between buckets of the same server, the server copies (CopyObject, UploadPartCopy for large
// objects); if it refuses to, and from another store, the blob is streamed, in parts if it is large. Metadata of the
// object are the bucket's defaults, encryption included.
func (s *S3) Take(ctx context.Context, from Store, name string, size int64) (How, error) {
	if err := checkTake(name, size); err != nil {
		return 0, err
	}
	key, err := s.key(name)
	if err != nil {
		return 0, err
	}
	how, err := s.kept(ctx, name, key, size)
	if !errors.Is(err, fs.ErrNotExist) {
		return how, err
	}
	how, err = Streamed, errRefusesCopy
	if source, ok := beneath(from).(*S3); ok && s.near(source) {
		how, err = CopiedThere, s.copy(ctx, source, name, key, size)
	}
	if errors.Is(err, errRefusesCopy) {
		how, err = Streamed, s.stream(ctx, from, name, key, size)
	}
	if errors.Is(err, fs.ErrExist) { // since we looked
		if how, kerr := s.kept(ctx, name, key, size); !errors.Is(kerr, fs.ErrNotExist) {
			return how, kerr
		}
	}
	if err != nil {
		return 0, err
	}
	return how, nil
}

// kept is what Take says of an object that is there; fs.ErrNotExist: it is not.
func (s *S3) kept(ctx context.Context, name, key string, size int64) (How, error) {
	o, err := s.seen(ctx, key)
	if err != nil {
		return 0, err
	}
	return keep(s, name, o.size, size)
}

// near reports that the server of this store is also that of another.
func (s *S3) near(other *S3) bool {
	endpoint := func(s *S3) string {
		return strings.TrimSuffix(aws.ToString(s.client.Load().Options().BaseEndpoint), "/")
	}
	return !s.copiesNothing.Load() && endpoint(s) == endpoint(other)
}

// errRefusesCopy says that a server does not copy what can be read from it all the same.
var errRefusesCopy = errors.New("the server does not copy this")

// copy has the server copy an object.
func (s *S3) copy(ctx context.Context, from *S3, name, key string, size int64) error {
	sourceKey, err := from.key(name)
	if err != nil {
		return err
	}
	o, err := from.head(ctx, sourceKey)
	if err != nil {
		return from.alone(ctx, sourceKey, err)
	}
	if o.size != size {
		return sizeError(from, name, o.size, size)
	}
	source := copySource{from.config.Bucket + "/" + escape(sourceKey), o, s.payer()}
	if from.payer() != "" {
		source.payer = from.payer()
	}
	if size > s.config.CopyBytes {
		err = s.copyParts(ctx, source, key)
	} else {
		err = s.copyWhole(ctx, source, key)
	}
	// The source could be read, though perhaps not by the same rights or from the same network.
	if unsupported := errors.Is(err, errors.ErrUnsupported); unsupported || errors.Is(err, ErrDenied) || errors.Is(err, ErrNoBucket) {
		if unsupported {
			s.copiesNothing.Store(true)
		}
		return fmt.Errorf("%w: %w", errRefusesCopy, err)
	}
	if err != nil {
		return fmt.Errorf("copy %s%s/%s: %w", s3Scheme, from.config.Bucket, sourceKey, err)
	}
	return nil
}

// copySource is an object that is copied, in the version that was seen.
type copySource struct {
	path string // bucket/key, escaped
	s3Object
	payer types.RequestPayer // of the request that copies
}

func (c copySource) version() *string {
	if c.etag == "" {
		return nil
	}
	return &c.etag
}

// escape escapes a key for x-amz-copy-source, where + is a space.
func escape(key string) string {
	return strings.ReplaceAll((&url.URL{Path: "/" + key}).EscapedPath()[1:], "+", "%2B")
}

// patience is how long a copy of that many bytes may take.
func (s *S3) patience(n int64) time.Duration {
	return s.config.Idle + time.Duration(n>>20)*time.Second/4 // 4 MiB/s
}

func (s *S3) copyWhole(ctx context.Context, source copySource, key string) error {
	return s.doing(ctx, copying, key, func(c *s3Client) error {
		return timed(ctx, s.patience(source.size), func(ctx context.Context) error {
			out, err := c.CopyObject(ctx, &s3.CopyObjectInput{
				Bucket: &s.config.Bucket, Key: &key, CopySource: &source.path, CopySourceIfMatch: source.version(), RequestPayer: source.payer,
			})
			if err == nil && (out.CopyObjectResult == nil || out.CopyObjectResult.ETag == nil) {
				err = errCut // the status came before the copy was made
			}
			return err
		})
	})
}

func (s *S3) copyParts(ctx context.Context, source copySource, key string) error {
	return s.inParts(ctx, copying, key, source.size, "", func(ctx context.Context, u *upload) error {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(copiesAtATime)
		for _, p := range split(source.size, s.config.CopyBytes) {
			g.Go(func() error {
				span := "bytes=" + strconv.FormatInt(p.off, 10) + "-" + strconv.FormatInt(p.off+p.n-1, 10)
				return s.doing(ctx, copying, key, func(c *s3Client) error {
					return timed(ctx, s.patience(p.n), func(ctx context.Context) error {
						out, err := c.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
							Bucket: &s.config.Bucket, Key: &key, UploadId: &u.id, PartNumber: &p.number, RequestPayer: source.payer,
							CopySource: &source.path, CopySourceRange: &span, CopySourceIfMatch: source.version(),
						})
						if err == nil && (out.CopyPartResult == nil || out.CopyPartResult.ETag == nil) {
							err = errCut
						}
						if err == nil {
							u.done(types.CompletedPart{PartNumber: &p.number, ETag: out.CopyPartResult.ETag})
						}
						return err
					})
				})
			})
		}
		return g.Wait()
	})
}

// stream reads a blob and writes it.
func (s *S3) stream(ctx context.Context, from Store, name, key string, size int64) error {
	r, err := from.Open(ctx, name, 0, -1)
	if err != nil {
		return err
	}
	whole := &wholeBlob{r: r, from: from, name: name, size: size}
	if sized, ok := r.(interface{ Size() int64 }); ok && sized.Size() >= 0 && sized.Size() != size {
		err = sizeError(from, name, sized.Size(), size)
	} else if size <= s.config.PartBytes {
		err = s.streamWhole(ctx, whole, key)
	} else {
		err = s.streamParts(ctx, whole, key)
	}
	return errors.Join(err, r.Close())
}

func (s *S3) streamWhole(ctx context.Context, w *wholeBlob, key string) error {
	b, free, err := s.read(ctx, w, w.size)
	if err != nil {
		return err
	}
	defer free()
	return s.putNew(ctx, key, b)
}

func (s *S3) streamParts(ctx context.Context, w *wholeBlob, key string) error {
	return s.inParts(ctx, writing, key, w.size, types.ChecksumAlgorithmCrc32, func(ctx context.Context, u *upload) error {
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(uploadsAtATime)
		var err error
		for _, p := range split(w.size, s.config.PartBytes) {
			var b []byte
			var free func()
			if b, free, err = s.read(gctx, w, p.n); err != nil {
				break
			}
			g.Go(func() error {
				defer free()
				sum := checksum(b)
				return s.doing(gctx, writing, key, func(c *s3Client) error {
					return s.sending(gctx, b, func(ctx context.Context, body io.ReadSeeker) error {
						out, err := c.UploadPart(ctx, &s3.UploadPartInput{
							Bucket: &s.config.Bucket, Key: &key, UploadId: &u.id, PartNumber: &p.number, RequestPayer: s.payer(),
							Body: body, ContentLength: &p.n, ChecksumCRC32: sum,
						})
						if err == nil {
							u.done(types.CompletedPart{PartNumber: &p.number, ETag: out.ETag, ChecksumCRC32: sum})
						}
						return err
					})
				})
			})
		}
		if gerr := g.Wait(); gerr != nil {
			return gerr // an error of reading is its consequence
		}
		return err
	})
}

// read reads n bytes once there is room for them. free gives the room back; the bytes may not be changed even then,
// since a request that was given up may still look at them.
func (s *S3) read(ctx context.Context, w *wholeBlob, n int64) (b []byte, free func(), err error) {
	room := min(n, uploadMemory)
	if err := s.memory.Acquire(ctx, room); err != nil {
		return nil, nil, err
	}
	free = func() { s.memory.Release(room) }
	b = make([]byte, n)
	if err := w.fill(b); err != nil {
		free()
		return nil, nil, err
	}
	return b, free, nil
}

// wholeBlob reads a blob that must have a size.
type wholeBlob struct {
	r    io.Reader
	from Store
	name string
	size int64
	off  int64
}

// fill reads the next bytes. With the last ones it makes sure that there are no more.
func (w *wholeBlob) fill(b []byte) error {
	n, err := io.ReadFull(w.r, b)
	w.off += int64(n)
	switch {
	case errors.Is(err, io.EOF) && len(b) > 0, errors.Is(err, io.ErrUnexpectedEOF):
		return sizeError(w.from, w.name, w.off, w.size)
	case err != nil:
		return err
	case w.off < w.size:
		return nil
	}
	switch n, err := io.ReadFull(w.r, make([]byte, 1)); {
	case n > 0:
		return fmt.Errorf("%s: %s: %w: it has more than %d bytes", w.from, w.name, ErrSize, w.size)
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}
