package bucket

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// checkSignature checks a request's signature at a time (AWS Signature Version 4, in the Authorization header), as
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html describes it.
func checkSignature(r *http.Request, now time.Time) *Error {
	bad := &Error{http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.", ""}
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return &Error{http.StatusForbidden, "AccessDenied", "Anonymous access is forbidden", ""}
	}
	fields := map[string]string{}
	for _, f := range strings.Split(rest, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(f), "=")
		fields[k] = v
	}
	scope := strings.Split(fields["Credential"], "/") // key/date/region/s3/aws4_request
	if len(scope) != 5 || scope[3] != "s3" || scope[4] != "aws4_request" {
		return bad
	}
	if scope[0] != AccessKey {
		return &Error{http.StatusForbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", ""}
	}
	if scope[2] != Region {
		return &Error{http.StatusBadRequest, "AuthorizationHeaderMalformed", "The authorization header is malformed; the region is wrong", Region}
	}
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", date)
	if err != nil || !strings.HasPrefix(date, scope[1]) {
		return bad
	}
	if d := now.Sub(at); d > 15*time.Minute || d < -15*time.Minute {
		return &Error{http.StatusForbidden, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", ""}
	}
	signed := strings.Split(fields["SignedHeaders"], ";")
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !slices.Contains(signed, lower) {
			return bad
		}
	}
	if !slices.Contains(signed, "host") || !slices.IsSorted(signed) {
		return bad
	}
	var canonical strings.Builder
	canonical.WriteString(r.Method + "\n" + encode(r.URL.Path, true) + "\n" + canonicalQuery(r) + "\n")
	for _, name := range signed {
		value := r.Host
		if name != "host" {
			value = strings.Join(r.Header.Values(name), ",")
		}
		canonical.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	canonical.WriteString("\n" + fields["SignedHeaders"] + "\n" + r.Header.Get("X-Amz-Content-Sha256"))
	hash := sha256.Sum256([]byte(canonical.String()))
	text := "AWS4-HMAC-SHA256\n" + date + "\n" + strings.Join(scope[1:], "/") + "\n" + hex.EncodeToString(hash[:])
	key := []byte("AWS4" + secretKey)
	for _, part := range scope[1:] {
		key = mac(key, part)
	}
	if hex.EncodeToString(mac(key, text)) != fields["Signature"] {
		return bad
	}
	return nil
}

func canonicalQuery(r *http.Request) string {
	var pairs []string
	for k, values := range r.URL.Query() {
		for _, v := range values {
			pairs = append(pairs, encode(k, false)+"="+encode(v, false))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// encode percent-encodes all but the unreserved characters of RFC 3986.
func encode(s string, path bool) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-_.~", c) >= 0, path && c == '/':
			b.WriteByte(c)
		default:
			b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return b.String()
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
