package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// What cuts a read short, beside the errors of the network.
var (
	errSilent = errors.New("the connection gave nothing for too long")
	errCut    = errors.New("the connection ended early")
)

// errRange is the server's answer to a range that begins at or behind the end of the object.
var errRange = errors.New("the range lies behind the end")

// A verdict is what to make of a request's error.
type verdict struct {
	mark       error  // what errors.Is finds in it; nil: nothing in particular
	again      bool   // another attempt may succeed
	unknown    bool   // the server does not know such requests
	unlistable bool   // of a listing: it is not to be had, though objects may be
	region     string // where the bucket is, if the server says so
	code       string // S3's, or the status
	cause      error  // what the server says, in short
}

const codeSkewed = "RequestTimeTooSkewed"

// Codes of S3 by what they mean. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
var (
	codesExpired = []string{
		"ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired", "RequestExpired", codeSkewed,
	}
	codesDenied = []string{
		"AccessDenied", "AccountProblem", "AllAccessDisabled", "InvalidAccessKeyId", "InvalidPayer", "InvalidSecurity",
		"NotSignedUp", "SignatureDoesNotMatch", "UnauthorizedAccess",
	}
	codesAgain = []string{
		"Busy", "ConditionalRequestConflict", "InternalError", "OperationAborted", "RequestLimitExceeded", "RequestThrottled", "RequestTimeout", "ServiceUnavailable",
		"SlowDown", "Throttling", "ThrottlingException", "TooManyRequests", "TooManyRequestsException",
	}
	codesFrozen = []string{"InvalidObjectState"}
)

// judge says what to make of an error. Whatever is no answer of the server's is worth another attempt.
func judge(err error) verdict {
	v := verdict{again: true, cause: err}
	var response *awshttp.ResponseError
	status := 0
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
		if response.Response != nil && response.Response.Response != nil {
			v.region = response.Response.Header.Get("X-Amz-Bucket-Region")
		}
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		v.code = api.ErrorCode()
		v.cause = errors.New(v.code)
		if m := api.ErrorMessage(); m != "" && m != v.code {
			v.cause = fmt.Errorf("%s: %s", v.code, m)
		}
	} else if status != 0 {
		v.code = http.StatusText(status)
		v.cause = fmt.Errorf("status %d %s", status, v.code)
	} else if u, ok := errors.AsType[*url.Error](err); ok {
		v.cause = u.Err // without what the SDK says around it
	}
	is := func(codes []string) bool { return slices.Contains(codes, v.code) }
	var keeper *keeperError
	var garbled *smithy.DeserializationError
	switch {
	case errors.As(err, &keeper):
		// Of whoever gives the credentials, not of S3. The network may be down; an answer is final.
		v.mark, v.cause = ErrExpired, keeper.error
		v.again = !errors.As(err, &api) || api.ErrorFault() == smithy.FaultServer || is(codesAgain)
	case errors.Is(err, ErrChanged), errors.Is(err, errNoRanges):
		v.again = false
	case errors.As(err, &garbled), v.code == "" && status == 0, status == http.StatusTooManyRequests, is(codesAgain):
		v.again = true
	case is(codesExpired):
		v.mark, v.again = ErrExpired, false
	case is(codesFrozen):
		v.mark, v.again = ErrArchived, false
	case v.code == "NoSuchBucket":
		v.mark, v.again = ErrNoBucket, false
	case is(codesDenied), status == http.StatusUnauthorized, status == http.StatusForbidden:
		v.mark, v.again = ErrDenied, false
		v.unlistable = v.code == "AccessDenied" || v.code == http.StatusText(http.StatusForbidden)
	case status == http.StatusNotImplemented, status == http.StatusMethodNotAllowed, v.code == "NotImplemented":
		v.again, v.unlistable, v.unknown = false, true, true
	case status == http.StatusNotFound:
		v.mark, v.again = fs.ErrNotExist, false
	case status == http.StatusPreconditionFailed:
		v.mark, v.again = ErrChanged, false
	case status == http.StatusRequestedRangeNotSatisfiable:
		v.mark, v.again = errRange, false
	default:
		// A success that is an error is a body that ended early.
		v.again = status >= 500 || status == http.StatusRequestTimeout || status < 300
	}
	return v
}

// A deed is what a request does, for those whose request is refused.
type deed struct {
	op    string
	needs string // the right, and on what; %s is the keys of the store
}

var (
	reading = deed{"open", "s3:GetObject on arn:aws:s3:::%s (and kms:Decrypt where a KMS key encrypts); without s3:ListBucket, a key that does not exist is denied too"}
	writing = deed{"put", "s3:PutObject on arn:aws:s3:::%s (and kms:GenerateDataKey and kms:Decrypt where a KMS key encrypts)"}
	copying = deed{"copy", "s3:PutObject on arn:aws:s3:::%s, s3:GetObject on what is copied (and s3:GetObjectTagging and s3:PutObjectTagging where objects have tags)"}
	removal = deed{"remove", "s3:DeleteObject on arn:aws:s3:::%s"}
	abortal = deed{"abort", "s3:AbortMultipartUpload on arn:aws:s3:::%s"}
)

// explain says for people what an error means and what to do.
func (s *S3) explain(d deed, key string, v verdict, attempts int) error {
	at := s3Scheme + s.config.Bucket + "/" + key
	switch {
	case errors.Is(v.mark, ErrExpired) && v.code == codeSkewed:
		return fmt.Errorf("%s: %w: %w\n  the clock of this machine is wrong: set it, then run the same command again; it goes on where it stopped", at, v.mark, v.cause)
	case errors.Is(v.mark, ErrExpired):
		return fmt.Errorf("%s: %w: %w\n  renew them (a new session token, aws sso login, …), then run the same command again; it goes on where it stopped", at, v.mark, v.cause)
	case errors.Is(v.mark, ErrNoBucket):
		return fmt.Errorf("%s: %w: %w\n  check the name of the bucket, the endpoint and the region", at, v.mark, v.cause)
	case errors.Is(v.mark, ErrDenied) && v.code == "SignatureDoesNotMatch":
		return fmt.Errorf("%s: %w: %w\n  the secret does not belong to the access key", at, v.mark, v.cause)
	case errors.Is(v.mark, ErrDenied) && v.code == "InvalidAccessKeyId":
		return fmt.Errorf("%s: %w: %w\n  the access key is unknown here: check the credentials, and the endpoint", at, v.mark, v.cause)
	case errors.Is(v.mark, ErrDenied):
		return fmt.Errorf("%s: %w: %w\n  the credentials need "+d.needs, at, v.mark, v.cause, s.config.Bucket+"/"+under(s.config.Prefix)+"*")
	case errors.Is(v.mark, fs.ErrNotExist):
		return &fs.PathError{Op: d.op, Path: at, Err: fs.ErrNotExist}
	case errors.Is(v.mark, ErrArchived):
		return fmt.Errorf("%s: %w: %w", at, v.mark, v.cause)
	case v.mark != nil:
		return fmt.Errorf("%s: %w", at, v.mark)
	case v.unknown:
		return fmt.Errorf("%s: %w: %w", at, errors.ErrUnsupported, v.cause)
	case v.again && attempts > 1:
		return fmt.Errorf("%s: %w (tried %d times)", at, v.cause, attempts)
	}
	return fmt.Errorf("%s: %w", at, v.cause)
}

func under(prefix string) string {
	if prefix == "" {
		return ""
	}
	return prefix + "/"
}

// alone decides what a denied key means: everything is denied, or this key while others are not. S3 denies a key
// that does not exist to those who may not list the bucket.
func (s *S3) alone(ctx context.Context, key string, err error) error {
	good := s.good.Load()
	if !errors.Is(err, ErrDenied) || good == nil || *good == key {
		return err
	}
	probe := s.do(ctx, *good, func(c *s3Client) error {
		r, err := s.request(ctx, c, *good, 0, 1, "")
		if err == nil {
			r.close()
		}
		return err
	})
	if probe != nil {
		return err
	}
	return fmt.Errorf("%s%s/%s is denied while other keys are not: it is absent, or a policy is about it alone: %w",
		s3Scheme, s.config.Bucket, key, fs.ErrNotExist)
}
