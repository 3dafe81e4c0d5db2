package input

import (
	"context"
	"crypto/md5" //nolint:gosec // names of files, as Logstash has them
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/connect/objects"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/pattern/regex"
)

// S3 reads the objects of a bucket, line by line. An object is done when all of its events are delivered: then it is copied and
// deleted, if that is wanted. After a crash it is read again.
//
// Source: LogStash::Inputs::S3 of logstash-integration-aws 7.3.
//
// Differences:
//   - Which objects are done is known for each by its name and version, in a second file beside sincedb_path, not by a time
//     alone: objects that appear later than others that were changed later are not missed. The time of a sincedb of Logstash's
//     is heeded.
//   - Up to four objects are read at a time; objects are not copied to temporary_directory first.
//   - A damaged object is read as far as possible, and is neither copied nor deleted.
//   - include_object_properties gives what a listing says: last_modified, content_length, etag, storage_class.
//   - Archived objects (GLACIER, DEEP_ARCHIVE) are left alone, restored ones, too.
//   - backup_add_prefix must end with a slash; backup_to_bucket is not made if it is not there.
//   - A line of more than 16 MiB is cut.
type S3 struct {
	Options
	AWS
	Bucket             string  `ls:"bucket,required" doc:"the bucket"`
	Prefix             string  `ls:"prefix" doc:"what names of objects begin with"`
	SincedbPath        string  `ls:"sincedb_path" doc:"the file that says what is done; one in path.data, if not given"`
	BackupToBucket     string  `ls:"backup_to_bucket" doc:"a bucket that objects that are done are copied to"`
	BackupAddPrefix    string  `ls:"backup_add_prefix" doc:"what names of these copies begin with"`
	BackupToDir        string  `ls:"backup_to_dir" doc:"a folder that objects that are done are copied into"`
	Delete             bool    `ls:"delete" default:"false" doc:"whether objects that are done are deleted"`
	Interval           float64 `ls:"interval" default:"60" doc:"after how many seconds it is looked for new objects"`
	Watch              bool    `ls:"watch_for_new_files" default:"true" doc:"whether it is looked for new objects at all"`
	ExcludePattern     string  `ls:"exclude_pattern" doc:"names that match this regular expression are left out"`
	TemporaryDirectory string  `ls:"temporary_directory" doc:"it has no meaning here: objects are read where they are"`
	Properties         bool    `ls:"include_object_properties" default:"false" doc:"whether [@metadata][s3] says more of the object than its key"`
	GzipPattern        string  `ls:"gzip_pattern" default:".gz(ip)?$" doc:"objects whose names match this regular expression are decompressed"`
	Cutoff             int64   `ls:"cutoff_second" default:"3" doc:"objects that were changed in the last seconds are left for the next time"`
	ECSCompatibility   string  `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"which names of fields are used; without it, those of the pipeline"`
}

// Traits implements Plugin.
func (*S3) Traits() Traits { return Traits{Codec: "plain"} }

// Setup implements Plugin.
func (i *S3) Setup(s *Setup) (Input, error) {
	if err := i.CheckAWS(); err != nil {
		return nil, err
	}
	schema := s.schema(i.ECSCompatibility)
	in := &s3Input{
		S3: i, dir: s.Dir, key: named(false, "[@metadata][s3][key]", ""), all: named(false, "[@metadata][s3]", ""),
		version: named(schema, "cloudfront_version", "[@metadata][s3][cloudfront][version]"),
		fields:  named(schema, "cloudfront_fields", "[@metadata][s3][cloudfront][fields]"),
	}
	if !(i.Interval > 0 && i.Interval < 1e9) {
		return nil, option.Errorf("interval", "expected seconds, found %v", i.Interval)
	}
	for _, b := range []struct{ name, bucket string }{{"bucket", i.Bucket}, {"backup_to_bucket", i.BackupToBucket}} {
		if err := (&blob.S3Config{Bucket: b.bucket}).Validate(); err != nil && (b.bucket != "" || b.name == "bucket") {
			return nil, option.Errorf(b.name, "%w", err)
		}
	}
	if i.BackupAddPrefix != "" && !strings.HasSuffix(i.BackupAddPrefix, "/") {
		return nil, option.Errorf("backup_add_prefix", "naru needs a slash at its end: %q", i.BackupAddPrefix+"/")
	}
	if i.BackupToBucket == i.Bucket && i.BackupAddPrefix == "" {
		return nil, option.Errorf("backup_to_bucket", "it is the bucket itself: it needs backup_add_prefix")
	}
	var err error
	if in.gzip, err = regex.Compile(i.GzipPattern, regex.Options{}); err != nil {
		return nil, option.Errorf("gzip_pattern", "%w", err)
	}
	if i.ExcludePattern != "" {
		if in.exclude, err = regex.Compile(i.ExcludePattern, regex.Options{}); err != nil {
			return nil, option.Errorf("exclude_pattern", "%w", err)
		}
	}
	return in, nil
}

// s3Input is an S3 that is set up.
type s3Input struct {
	*S3
	dir                       string
	gzip, exclude             *regex.Regexp // exclude may be nil
	key, all, version, fields *event.Ref
	delimited                 bool // the codec reads lines
}

// Decoder implements Decoder: it only tells how lines are to be given.
func (i *s3Input) Decoder(of codec.Decoder) codec.Decoder {
	i.delimited = of.Delimiter() != ""
	return of
}

// Inspect implements Inspector.
func (i *s3Input) Inspect(in *Inspection) {
	in.AWS(&i.AWS, i.dir)
	in.File("sincedb_path", resolve(i.dir, i.SincedbPath), true)
	in.Folder("backup_to_dir", resolve(i.dir, i.BackupToDir))
}

// Open implements Input.
func (i *s3Input) Open(r *Run) (_ stream.Source, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	store, err := i.OpenBucket(ctx, blob.S3Config{Bucket: i.Bucket}, i.dir)
	if err != nil {
		return nil, err
	}
	c := objects.Read{
		Store: store, Begin: i.Prefix, Gzip: matcher(i.gzip), Ledger: resolve(i.dir, i.SincedbPath), Settle: time.Duration(i.Cutoff) * time.Second,
		BackupTo: resolve(i.dir, i.BackupToDir), Delete: i.Delete, KeepEnds: !i.delimited, Port: r.Port, Log: r.Log,
	}
	if i.Watch {
		c.Every = time.Duration(i.Interval * float64(time.Second))
	}
	if c.Ledger == "" {
		sum := md5.Sum([]byte(i.Bucket + "+" + i.Prefix)) //nolint:gosec // see above
		c.Ledger = filepath.Join(r.Data, "plugins", "inputs", "s3", fmt.Sprintf("sincedb_%x", sum))
	}
	own := i.BackupAddPrefix
	if i.BackupToBucket != i.Bucket {
		own = ""
	}
	if exclude := i.exclude; exclude != nil || own != "" {
		excluded := matcher(exclude)
		c.Skip = func(name string) bool {
			return own != "" && strings.HasPrefix(name, own) || exclude != nil && excluded(name)
		}
	}
	if i.BackupToBucket != "" {
		c.Backup, err = i.OpenBucket(ctx, blob.S3Config{Bucket: i.BackupToBucket, Prefix: strings.TrimSuffix(i.BackupAddPrefix, "/")}, i.dir)
		if err != nil {
			return nil, errors.Join(err, store.Close())
		}
	}
	return c.Open()
}

// matcher tells whether a name matches. One that takes too many steps does not.
func matcher(r *regex.Regexp) func(string) bool {
	return func(name string) bool {
		var m regex.Match
		ok, err := r.Match([]byte(name), 0, &m)
		return ok && err == nil
	}
}

// Describe implements Describer.
func (i *s3Input) Describe(e *event.Event, r *flow.Record) {
	o, err := objects.ParseOrigin(r.Meta)
	if err != nil {
		return
	}
	if i.Properties {
		all := event.MapValue()
		all.Map().Set("last_modified", event.TimeValue(o.Modified))
		all.Map().Set("content_length", event.IntValue(o.Size))
		all.Map().Set("etag", event.StringValue(o.ETag))
		if o.Class != "" {
			all.Map().Set("storage_class", event.StringValue(o.Class))
		}
		setField(e, i.all, all)
	}
	setField(e, i.key, event.StringValue(o.Name))
	if o.Version != "" {
		setField(e, i.version, event.StringValue(o.Version))
	}
	if o.Fields != "" {
		setField(e, i.fields, event.StringValue(o.Fields))
	}
}

var (
	_ Describer = (*s3Input)(nil)
	_ Decoder   = (*s3Input)(nil)
)
