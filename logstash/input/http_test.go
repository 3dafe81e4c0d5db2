package input

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/internal/testbed/certs"
	"github.com/narudata/naru/logstash/event"
)

// post sends a body to an input, and gives the status and the answer.
func (r *running) post(client *http.Client, scheme, path, contentType, body string, prepare ...func(*http.Request)) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, scheme+"://"+r.addr().String()+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "test/1")
	for _, f := range prepare {
		f(req)
	}
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func TestHTTPDecodesByTheMediaType(t *testing.T) {
	r := runInput(t, `http { port => 0 host => "127.0.0.1" codec => line additional_codecs => { "application/json" => "json" "text/x" => "json_lines" } response_code => 202 }`, setting{})
	for _, c := range []struct {
		contentType, body string
		want              []string
	}{
		{"application/json; charset=utf-8", `[{"a":1},{"a":2}]`, []string{`"a":1`, `"a":2`}},
		{"text/x", "{\"a\":3}\n{\"a\":4}", []string{`"a":3`, `"a":4`}},
		{"text/plain", "one\ntwo\n", []string{`"message":"one"`, `"message":"two"`}},
	} {
		before, _ := r.got(0)
		if status, text := r.post(http.DefaultClient, "http", "/x", c.contentType, c.body); status != 202 || text != "ok" {
			t.Errorf("%s: %d %q", c.contentType, status, text)
		}
		events, _ := r.got(len(before) + len(c.want))
		for i, want := range c.want {
			if !strings.Contains(events[len(before)+i], want) {
				t.Errorf("%s: %s has no %s", c.contentType, events[len(before)+i], want)
			}
		}
	}
}

func TestHTTPSaysWhatTheRequestWas(t *testing.T) {
	for ecs, want := range map[string]map[string]string{
		"disabled": {
			"[message]": `"hi"`, "[@version]": `"1"`, "[host]": `"127.0.0.1"`, "[headers][content_type]": `"text/plain"`, "[headers][content_length]": `"2"`,
			"[headers][accept_encoding]": `"gzip"`, "[headers][http_accept]": "null", "[headers][http_host]": `"HOST"`, "[headers][http_user_agent]": `"test/1"`,
			"[headers][request_method]": `"POST"`, "[headers][request_path]": `"/a?b"`, "[headers][http_version]": `"HTTP/1.1"`,
		},
		"v8": {
			"[message]": `"hi"`, "[event][original]": `"hi"`, "[@version]": `"1"`, "[host][ip]": `"127.0.0.1"`, "[http][version]": `"HTTP/1.1"`, "[user_agent][original]": `"test/1"`,
			"[url][domain]": `"127.0.0.1"`, "[url][port]": "PORT", "[http][method]": `"POST"`, "[url][path]": `"/a?b"`, "[http][request][body][bytes]": `"2"`,
			"[http][request][mime_type]": `"text/plain"`,
		},
	} {
		r := runInput(t, `http { port => 0 host => "127.0.0.1" }`, setting{ecs: ecs})
		r.post(http.DefaultClient, "http", "/a?b", "text/plain", "hi")
		events, meta := r.got(1)
		var e event.Event
		if err := e.Fields().ParseJSON([]byte(events[0]), event.JSONOptions{}); err != nil {
			t.Fatal(err)
		}
		e.RemoveField("@timestamp")
		host := r.addr().String()
		for k, v := range want {
			want[k] = strings.ReplaceAll(strings.ReplaceAll(v, "HOST", host), "PORT", host[strings.LastIndexByte(host, ':')+1:])
		}
		if diff := cmp.Diff(want, members(&e)); diff != "" {
			t.Errorf("%s: %s", ecs, diff)
		}
		if ecs == "v8" && !strings.Contains(meta[0], `{"input":{"http":{"request":{"headers":{`) {
			t.Error(meta[0])
		}
	}
}

func TestEachEventOfARequestIsToldOfItAsIfItWereTheOnlyOne(t *testing.T) {
	bodies := []string{`{"a":1}`, `{"a":2}`, `{"a":3}`, `{"http":"mine","url":{"x":1}}`, `{"headers":{"z":1},"host":{"name":"h"}}`, `{"http":{"version":7},"@metadata":{"input":{"y":1}}}`, `{"a":4}`}
	for _, ecs := range []string{"disabled", "v8"} {
		r := runInput(t, `http { port => 0 host => "127.0.0.1" }`, setting{ecs: ecs})
		r.post(http.DefaultClient, "http", "/p", "application/json", "["+strings.Join(bodies, ",")+"]")
		for i, body := range bodies {
			r.got(len(bodies) + i)
			r.post(http.DefaultClient, "http", "/p", "application/json", "["+body+"]")
		}
		events, meta := r.got(2 * len(bodies))
		different := regexp.MustCompile(`"event":\{"original":"(\\.|[^"\\])*"\},|"(content_length|bytes)":"\d+"|"@timestamp":"[^"]*"`)
		plain := func(text string) string { return different.ReplaceAllString(text, "") }
		for i := range bodies {
			if one, of := plain(events[len(bodies)+i]), plain(events[i]); one != of {
				t.Errorf("%s: alone\n%s\none of several\n%s", ecs, one, of)
			}
			if one, of := plain(meta[len(bodies)+i]), plain(meta[i]); one != of {
				t.Errorf("%s: metadata alone\n%s\none of several\n%s", ecs, one, of)
			}
		}
	}
}

func TestHTTPAsksForAPasswordWithTLS(t *testing.T) {
	a := certs.New(t)
	a.Issue(t, "server")
	r := runInput(t, `http { port => 0 host => "127.0.0.1" user => "u" password => "p" ssl_enabled => true ssl_certificate => "server.pem" ssl_key => "server.key" }`, setting{dir: a.Dir})
	roots := x509.NewCertPool()
	roots.AddCert(a.Cert)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	defer client.CloseIdleConnections()
	if status, _ := r.post(client, "https", "/", "text/plain", "x"); status != 401 {
		t.Errorf("without a password: %d", status)
	}
	if status, _ := r.post(client, "https", "/", "text/plain", "x", func(r *http.Request) { r.SetBasicAuth("u", "p") }); status != 200 {
		t.Errorf("with the password: %d", status)
	}
	events, _ := r.got(1)
	if len(events) != 1 || strings.Contains(events[0], "authorization") {
		t.Error(events)
	}
}

func TestHTTPChecksItsOptions(t *testing.T) {
	for text, want := range map[string]string{
		`http { additional_codecs => { "a/b" => "nope" } }`: `additional_codecs: there is no codec "nope"`,
		`http { additional_codecs => { "a/b" => "dots" } }`: "additional_codecs: codec dots cannot read",
		`http { max_pending_requests => -1 }`:               "max_pending_requests: expected 0",
		`http { threads => 0 }`:                             "threads: expected 1",
		`http { ssl_enabled => true }`:                      "ssl_certificate: a server needs",
	} {
		if got := wrong(t, text, setting{}); !strings.Contains(got, want) {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func TestDomainsAndPortsAreToldApart(t *testing.T) {
	for host, want := range map[string]string{
		"a:80": "a 80", "a": "a -1", "[2001:db8::1]:8080": "2001:db8::1 8080", "2001:db8::1": "2001:db8::1 -1", "a:b": "a:b -1", ":80": ":80 -1", "[::1]": "[::1] -1",
	} {
		domain, port := domainPort(host)
		if got := fmt.Sprint(domain, " ", port); got != want {
			t.Errorf("%s: %s", host, got)
		}
	}
}
