package opensearch

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
)

// explain adds what to do to errors that people meet.
func explain(err error) error {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		if _, other := errors.AsType[x509.HostnameError](err); other {
			return fmt.Errorf("%w; ask the cluster by a name that its certificate has", err)
		}
		if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown {
			return fmt.Errorf("%w; give the certificate of the authority that vouches for it as caFile (--ca-file)", err)
		}
		return err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" { // an alert of TLS
		return fmt.Errorf("%w; the node ended the TLS connection: certFile and keyFile (--cert-file, --key-file) are to be a certificate that it knows, or left out", err)
	}
	if strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return fmt.Errorf("%w; the node does not speak TLS: use http://", err)
	}
	return err
}

// refusal decodes an answer that is an error.
func (c *Client) refusal(resp *http.Response) error {
	e := &StatusError{Status: resp.StatusCode}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorAnswer))
	if err != nil {
		return e
	}
	var answer struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"` // of Dashboards, whose error is a text
	}
	if json.Unmarshal(b, &answer) == nil && len(answer.Error) > 0 {
		var cause reason
		if json.Unmarshal(answer.Error, &cause) == nil {
			e.Type, e.Reason = cause.Type, cause.text()
		} else {
			var text string
			if json.Unmarshal(answer.Error, &text) == nil {
				e.Reason = text
				if answer.Message != "" {
					e.Reason += ": " + answer.Message
				}
			}
		}
	} else if e.Reason = ofSecurity(b); e.Reason == "" {
		e.Reason = strings.TrimSpace(string(b[:min(len(b), 300)]))
	}
	switch {
	case e.Status == http.StatusUnauthorized:
		e.hint(c.hint)
	case e.Status != http.StatusForbidden:
	case e.Type == "security_exception", e.Type == "" && e.Reason == "":
		e.hint("this user may not do that: a role with the permission is to be mapped to them")
	case strings.HasPrefix(e.Reason, noAccess):
		e.hint("the nodes' setting plugins.security.restapi.roles_enabled lists the roles that may")
	}
	return e
}

// hint adds to the reason what to do.
func (e *StatusError) hint(what string) {
	switch {
	case what == "":
	case e.Reason == "":
		e.Reason = what
	default:
		e.Reason += "; " + what
	}
}

// noAccess begins what the security plugin says to who may not use its API.
const noAccess = "No permission to access REST API"

// ofSecurity gives the reason out of what the API of the security plugin answers, which has no error; "": it is no such answer.
//
//	{"status":"FORBIDDEN","message":"Resource 'x' is reserved."}
//	{"status":"error","reason":"Invalid configuration","invalid_keys":{"keys":"x"}}
//	{"status":"error","reason":"Wrong datatype","users":"Array expected"}
//
// Source: what the plugin 2.19.1.0 answered.
func ofSecurity(b []byte) string {
	var answer map[string]any
	if json.Unmarshal(b, &answer) != nil {
		return ""
	}
	reason, ok := answer["message"].(string)
	if !ok {
		reason, ok = answer["reason"].(string)
	}
	if _, named := answer["status"].(string); !named || !ok {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(answer)) {
		switch value := answer[name].(type) {
		case string:
			if name != "status" && name != "message" && name != "reason" {
				reason += ": " + name + ": " + value
			}
		case map[string]any:
			if keys, ok := value["keys"].(string); ok {
				reason += ": " + strings.ReplaceAll(name, "_", " ") + ": " + keys
			}
		}
	}
	return strings.TrimSuffix(reason, ".")
}

// reason is why something failed, as OpenSearch says it.
type reason struct {
	Type     string  `json:"type"`
	Reason   string  `json:"reason"`
	CausedBy *reason `json:"caused_by"`
}

// text is the reason with its deepest cause.
func (r *reason) text() string {
	deepest := r.CausedBy
	for deepest != nil && deepest.CausedBy != nil {
		deepest = deepest.CausedBy
	}
	if deepest == nil || deepest.Reason == "" || deepest.Reason == r.Reason {
		return r.Reason
	}
	return r.Reason + ": " + deepest.Reason
}
