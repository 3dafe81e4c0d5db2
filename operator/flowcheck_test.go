package operator

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/logstash"
	"github.com/narudata/naru/logstash/syntax"
	"github.com/narudata/naru/operator/v1alpha1"
)

func specOf(env ...corev1.EnvVar) *v1alpha1.FlowSpec {
	s := &v1alpha1.FlowSpec{Pipeline: &v1alpha1.Pipeline{}}
	s.Env = env
	return s
}

func TestAPipelineIsCheckedAsFarAsItsPodsAreKnown(t *testing.T) {
	secret := corev1.EnvVar{Name: "PORT", ValueFrom: secretKey("s", "k")}
	from := specOf()
	from.EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{}}}
	for _, c := range []struct {
		name, text string
		spec       *v1alpha1.FlowSpec
		want       string // part of the message; "": right
	}{
		{"right", `input { heartbeat {} } output { stdout {} }`, specOf(), ""},
		{"no file is looked for", `input { file { path => "/var/log/*.log" } } filter { translate { source => 'aa' dictionary_path => "/etc/x.yml" } }`, specOf(), ""},
		{"nor one that is there and no dictionary", `input { heartbeat {} } filter { translate { source => 'aa' dictionary_path => "/etc/passwd" } }`, specOf(), ""},
		{"nor one without an end", `input { heartbeat {} } filter { translate { source => 'aa' dictionary_path => "/dev/zero" } }`, specOf(), ""},
		{"nor one by way of a variable", `input { heartbeat {} } filter { translate { source => 'aa' dictionary_path => "${D}" } }`, specOf(corev1.EnvVar{Name: "D", Value: "/dev/zero"}), ""},
		{"nor in a codec", `input { stdin { codec => multiline { pattern => 'x' what => next patterns_dir => "/dev" } } }`, specOf(), "standard input"},
		{"nor certificates", `input { beats { port => 5044 ssl_enabled => true ssl_certificate => "/tls/tls.crt" ssl_key => "/tls/tls.key" } }`, specOf(), ""},
		{"a syntax error", "input {\n  heartbeat {\n", specOf(), "pipeline.conf:3:1"},
		{"an unknown option", `input { heartbeat { intervall => 1 } }`, specOf(), "interval"},
		{"an unknown plugin", `input { heartbeat {} } filter { mutte {} }`, specOf(), "mutate"},
		{"a mistake beside a plugin with files", `input { file { path => "/x" } } filter { grok { match => [] nosuch => 1 } }`, specOf(), "nosuch"},
		{"in a branch", `input { heartbeat {} } filter { if [a] { grok { nosuch => 1 } } else { mutate { nosuch => 1 } } }`, specOf(), "pipeline.conf:1:81: "},
		{"a variable that nobody sets", `input { tcp { port => "${PORT}" } }`, specOf(), "PORT"},
		{"one with a default", `input { tcp { port => "${PORT:5000}" } }`, specOf(), ""},
		{"one that is written out", `input { tcp { port => "${PORT}" } }`, specOf(corev1.EnvVar{Name: "PORT", Value: "5000"}), ""},
		{"and wrong", `input { tcp { port => "${PORT}" } }`, specOf(corev1.EnvVar{Name: "PORT", Value: "many"}), "many"},
		{"one of a secret", `input { tcp { port => "${PORT}" codec => "${CODEC:line}" } }`, specOf(secret), ""},
		{"a mistake that may be its value", `input { tcp { port => "${PORT}" mode => "${PORT}" } }`, specOf(secret), ""},
		{"one that may be in a secret", `input { tcp { port => "${ANY}" } }`, from, ""},
		{"none of the operator's", `input { tcp { port => "${HOSTTYPE_OF_THE_OPERATOR}" } }`, specOf(), "HOSTTYPE_OF_THE_OPERATOR"},
	} {
		t.Setenv("HOSTTYPE_OF_THE_OPERATOR", "5000")
		got := checkPipeline(c.text, c.spec)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestNoPipelineThatRunsIsRefused holds the check against the examples of all filters and codecs.
func TestNoPipelineThatRunsIsRefused(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testbed.Root(t), "logstash/testdata/examples/*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for part := range strings.SplitSeq(string(text), "-- config --\n") {
			config, _, ok := strings.Cut(part, "\n-- input --")
			if !ok {
				continue
			}
			if !strings.Contains(config, "input {") {
				config = "input { heartbeat {} }\n" + config
			}
			config = strings.ReplaceAll(config, "stdin", "tcp")
			if strings.Contains(config, "tcp {") {
				config = strings.ReplaceAll(config, "tcp {", "tcp { port => 5000 ")
			}
			p, problems := logstash.Read([]syntax.File{{Name: pipelineFile, Text: []byte(config)}}, syntax.Options{}, logstash.Options{Dir: filepath.Dir(name)})
			if len(problems.Errors) > 0 {
				continue
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			n++
			if wrong := checkPipeline(config, specOf()); wrong != "" {
				t.Errorf("%s: %s\n%s", filepath.Base(name), wrong, config)
			}
		}
	}
	t.Logf("%d configurations of %d files", n, len(files))
	if n < 30 {
		t.Errorf("only %d configurations were checked", n)
	}
}

// TestNoTextEndsTheOperator cuts and spoils pipelines at every byte. (The parser and the plugins have fuzz targets of their own.)
func TestNoTextEndsTheOperator(t *testing.T) {
	spec := specOf(corev1.EnvVar{Name: "P", Value: "x"})
	for _, s := range []string{
		`input { heartbeat {} } filter { grok { match => { "message" => "%{WORD:a}" } } } output { stdout {} }`,
		`input { file { path => "/x" codec => multiline { pattern => "${P}" what => next } } }`, `input { if [a] { tcp {} } }`, `filter { ruby { code => "event" } }`,
	} {
		for i := range len(s) {
			checkPipeline(s[:i], spec)
			for _, c := range []string{"", "{", "}", "\"", "$", "\x00", "\xff", "=> ["} {
				checkPipeline(s[:i]+c+s[i+1:], spec)
			}
		}
	}
}

func TestSecretsAreKnownByTheirNames(t *testing.T) {
	for name, want := range map[string]bool{
		"PASSWORD": true, "KAFKA_PASSWORD": true, "AWS_SECRET_ACCESS_KEY": true, "token": true, "api.ssl.keystore.password": true, "NARU_MASK_KEY": true,
		"KAFKA_PASSWORD_FILE": false, "AWS_ACCESS_KEY_ID": false, "PASSWORDLESS": false, "LEVEL": false,
	} {
		if got := secretName(name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestARevisionIsThatOfWhatAFlowSays(t *testing.T) {
	a, err := canonical([]byte(`{"sink": {"b": 1, "a": 12345678901234567890}, "source": "<x>"}`))
	if err != nil {
		t.Fatal(err)
	}
	b, err := canonical([]byte("{\"source\":\"<x>\",\n\"sink\":{\"a\":12345678901234567890,\"b\":1}}"))
	if err != nil || string(a) != string(b) || !strings.Contains(string(a), "12345678901234567890") || !strings.Contains(string(a), "<x>") {
		t.Errorf("%s\n%s\n%v", a, b, err)
	}
}
