package output

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/connect/objects"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/option"
)

// S3 writes events into objects of a bucket. An event is delivered once it is in a file in temporary_directory, on the disk; that
// becomes an object when it is large or old enough. After a crash the files that are left are uploaded by the next run: nothing is
// lost as long as the folder is there.
//
// Source: LogStash::Outputs::S3 of logstash-integration-aws 7.3.
//
// Differences:
//   - temporary_directory is a folder in path.data, if not given; it must outlive the process. Files in it that another process
//     writes are left alone, and those that Logstash has left are uploaded, too.
//   - With encoding => gzip, a file is flushed after every batch, so that it can be read after a crash.
//   - An upload that has failed retry_count times is tried again by the next run.
//   - A prefix begins without a slash; one that cannot be the name of a folder makes a dead letter.
//   - There are no more than 512 files at a time: the oldest becomes an object when there are more.
type S3 struct {
	Options
	input.AWS
	Bucket             string        `ls:"bucket,required" doc:"the bucket"`
	SizeFile           *int64        `ls:"size_file" doc:"a file that has so many bytes becomes an object; 5 MiB, if not given"`
	TimeFile           *float64      `ls:"time_file" doc:"a file that is so many minutes old becomes an object; 15, if not given"`
	Restore            bool          `ls:"restore" default:"true" doc:"whether files that another run has left are uploaded"`
	CannedACL          string        `ls:"canned_acl" enum:"private|public-read|public-read-write|authenticated-read|aws-exec-read|bucket-owner-read|bucket-owner-full-control|log-delivery-write" default:"private" doc:"who may read objects"`
	Encryption         bool          `ls:"server_side_encryption" default:"false" doc:"whether the server encrypts objects"`
	EncryptionKind     string        `ls:"server_side_encryption_algorithm" enum:"AES256|aws:kms" default:"AES256" doc:"how it encrypts them"`
	KMSKey             string        `ls:"ssekms_key_id" doc:"the key of aws:kms"`
	StorageClass       string        `ls:"storage_class" enum:"STANDARD|REDUCED_REDUNDANCY|STANDARD_IA|ONEZONE_IA|INTELLIGENT_TIERING|GLACIER|DEEP_ARCHIVE|OUTPOSTS|GLACIER_IR|SNOW|EXPRESS_ONEZONE" default:"STANDARD" doc:"the class of storage of objects"`
	TemporaryDirectory string        `ls:"temporary_directory" doc:"the folder of files that are no objects yet; one in path.data, if not given"`
	Prefix             *event.Format `ls:"prefix" doc:"what names of objects begin with, which may have references to fields"`
	UploadWorkers      *int64        `ls:"upload_workers_count" doc:"how many uploads there are at a time; 2, if not given"`
	UploadQueue        *int64        `ls:"upload_queue_size" doc:"how many files wait for their upload before no more events are taken; 16, if not given"`
	MultipartThreshold int64         `ls:"upload_multipart_threshold" default:"15728640" doc:"files that are larger, in bytes, are uploaded in parts of this size, which are 5 MiB at least"`
	SignatureVersion   string        `ls:"signature_version" enum:"v2|v4" doc:"v4; v2 is refused by Amazon, and by naru"`
	Tags               []string      `ls:"tags" doc:"texts that names of objects have in them"`
	Encoding           string        `ls:"encoding" enum:"none|gzip" default:"none" doc:"whether objects are compressed"`
	RotationStrategy   string        `ls:"rotation_strategy" enum:"size_and_time|size|time" default:"size_and_time" doc:"what makes an object of a file"`
	Validate           bool          `ls:"validate_credentials_on_root_bucket" default:"true" doc:"whether a small object is written and removed when the pipeline starts, to see that it may"`
	RetryCount         *int64        `ls:"retry_count" doc:"how often an upload is tried again; without an end, if not given"`
	RetryDelay         float64       `ls:"retry_delay" default:"1" doc:"how many seconds lie between two tries"`
}

// DefaultCodec implements Plugin.
func (*S3) DefaultCodec() string { return "line" }

// badPrefix are characters that names of objects do not have.
const badPrefix = "^`><"

// Setup implements Plugin.
func (o *S3) Setup(s *Setup) (Output, error) {
	if err := o.CheckAWS(); err != nil {
		return nil, err
	}
	if err := (&blob.S3Config{Bucket: o.Bucket}).Validate(); err != nil {
		return nil, option.Errorf("bucket", "%w", err)
	}
	out := &s3Output{S3: o, dir: s.Dir, now: s.Now, size: 5 << 20, age: 15 * time.Minute}
	if o.SizeFile != nil {
		out.size = *o.SizeFile
	}
	if o.TimeFile != nil {
		out.age = time.Duration(*o.TimeFile * float64(time.Minute))
	}
	switch {
	case o.Prefix != nil && strings.ContainsAny(o.Prefix.String(), badPrefix):
		return nil, option.Errorf("prefix", "it must not have any of %s", badPrefix)
	case out.size < 0 || o.RotationStrategy != "time" && out.size == 0 && (o.RotationStrategy == "size" || out.age == 0):
		return nil, option.Errorf("size_file", "expected more than 0, found %d", out.size)
	case out.age < 0 || o.RotationStrategy == "time" && out.age == 0:
		return nil, option.Errorf("time_file", "expected more than 0")
	case o.SignatureVersion == "v2":
		return nil, option.Errorf("signature_version", "naru signs by v4 only")
	case !(o.RetryDelay >= 0 && o.RetryDelay < 1e6):
		return nil, option.Errorf("retry_delay", "expected seconds, found %v", o.RetryDelay)
	}
	for name, n := range map[string]*int64{"upload_workers_count": o.UploadWorkers, "upload_queue_size": o.UploadQueue, "retry_count": o.RetryCount} {
		if n != nil && (*n < 0 || *n > 10000) {
			return nil, option.Errorf(name, "expected 0 to 10000, found %d", *n)
		}
	}
	switch o.RotationStrategy {
	case "size":
		out.age = 0
	case "time":
		out.size = 0
	}
	return out, nil
}

// s3Output is an S3 that is set up.
type s3Output struct {
	*S3
	dir  string
	now  func() time.Time
	size int64
	age  time.Duration
}

// Former implements Output.
func (o *s3Output) Former(e codec.Encoder) Former { return &prefixed{Encoded{e}, o.Prefix} }

// prefixed gives records whose key is what the object's name begins with.
type prefixed struct {
	Encoded
	prefix *event.Format // nil: nothing
}

// Form implements Former.
func (f *prefixed) Form(dst []byte, r *flow.Record, e *event.Event) ([]byte, error) {
	dst, err := f.Encoded.Form(dst, r, e)
	if err != nil || f.prefix == nil {
		return dst, err
	}
	start := len(dst)
	if dst, err = f.prefix.Append(dst, e); err != nil {
		return dst, fmt.Errorf("prefix: %w", err)
	}
	key := dst[start:len(dst):len(dst)]
	for len(key) > 0 && key[0] == '/' {
		key = key[1:]
	}
	for i, c := range key {
		if strings.IndexByte(badPrefix, c) >= 0 {
			key[i] = '_'
		}
	}
	r.Key = key
	return dst, nil
}

// uuid is a random one (RFC 9562, version 4).
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Inspect implements input.Inspector.
func (o *s3Output) Inspect(in *input.Inspection) {
	in.AWS(&o.AWS, o.dir)
	if o.TemporaryDirectory != "" {
		in.Folder("temporary_directory", o.folder(in.Data))
	}
}

// folder gives that of files that are no objects yet. Buckets do not share one: what is left in it belongs to one.
func (o *s3Output) folder(data string) string {
	switch {
	case o.TemporaryDirectory == "":
		return filepath.Join(data, "plugins", "outputs", "s3", o.Bucket)
	case !filepath.IsAbs(o.TemporaryDirectory):
		return filepath.Join(o.dir, o.TemporaryDirectory)
	}
	return o.TemporaryDirectory
}

// Open implements Output.
func (o *s3Output) Open(r *Run) (stream.Sink, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := blob.S3Config{Bucket: o.Bucket, PartBytes: max(5<<20, o.MultipartThreshold), Written: blob.Written{Class: o.StorageClass}}
	if o.CannedACL != "private" {
		c.Written.ACL = o.CannedACL
	}
	if o.Encryption {
		c.Written.Encryption = o.EncryptionKind
		if o.EncryptionKind == "aws:kms" {
			c.Written.Key = o.KMSKey
		}
	}
	if o.StorageClass == "STANDARD" {
		c.Written.Class = ""
	}
	if o.Encoding == "gzip" {
		c.Written.Encoding = "gzip"
	}
	store, err := o.OpenBucket(ctx, c, o.dir)
	if err != nil {
		return stream.Sink{}, err
	}
	if o.Validate {
		if err := o.try(ctx, store, r); err != nil {
			return stream.Sink{}, errors.Join(err, store.Close())
		}
	}
	w := objects.Write{
		Store: store, Dir: o.folder(r.Data), Name: o.name, Size: o.size, Age: o.age, Gzip: o.Encoding == "gzip",
		Pause: max(time.Millisecond, time.Duration(o.RetryDelay*float64(time.Second))), Restore: o.Restore, Now: o.now, Log: r.Log,
	}
	if o.UploadWorkers != nil {
		w.Uploads = int(*o.UploadWorkers)
	}
	if o.UploadQueue != nil {
		w.Waiting = int(*o.UploadQueue)
	}
	if o.RetryCount != nil {
		w.Tries = max(1, int(*o.RetryCount))
	}
	sink, err := w.Open()
	if err != nil {
		return stream.Sink{}, errors.Join(err, store.Close())
	}
	return stream.Sink{Sink: &bucketSink{sink, store}, InOrder: true}, nil
}

// try writes an object and removes it. That the bucket cannot be reached now is no reason not to start.
func (o *s3Output) try(ctx context.Context, store *blob.S3, r *Run) error {
	name := "logstash-programmatic-access-test-object-" + uuid()
	err := store.Put(ctx, name, []byte("test"))
	if err == nil {
		err = store.Remove(ctx, name)
	}
	if blob.Refused(err) {
		return fmt.Errorf("the bucket %s cannot be written: give rights to it, or set validate_credentials_on_root_bucket => false: %w", o.Bucket, err)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) && r.Log != nil {
		r.Log.Warn("the bucket cannot be tried", "bucket", o.Bucket, "error", err)
	}
	return nil
}

// name is that of a new object, below its prefix.
func (o *s3Output) name(now time.Time, part int) string {
	name := "ls.s3." + uuid() + "." + now.Format("2006-01-02T15.04")
	if len(o.Tags) > 0 {
		name += ".tag_" + strings.ReplaceAll(strings.Join(o.Tags, "."), "/", "_")
	}
	name += fmt.Sprintf(".part%d.txt", part)
	if o.Encoding == "gzip" {
		name += ".gz"
	}
	return name
}

// bucketSink closes the store after the files.
type bucketSink struct {
	*objects.Files
	store *blob.S3
}

// Close implements flow.Sink.
func (b *bucketSink) Close(ctx context.Context) error {
	return errors.Join(b.Files.Close(ctx), b.store.Close())
}
