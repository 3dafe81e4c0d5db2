package logstash

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/narudata/naru/internal/testbed/certs"
)

func TestInspectFindsWhatARunWouldFailAtWithoutTheNetwork(t *testing.T) {
	a := certs.New(t)
	server, other := a.Issue(t, "server"), a.Issue(t, "other")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	garbage, template := write("garbage", "garbage"), write("template.json", `{"index_patterns": [}`)
	r := strings.NewReplacer("CERT", server.CertFile, "OTHERKEY", other.KeyFile, "KEY", server.KeyFile, "GARBAGE", garbage, "TEMPLATE", template, "DIR", dir)
	for _, c := range []struct{ text, want string }{
		{`input { tcp { port => 5000 ssl_enabled => true ssl_certificate => "CERT" ssl_key => "KEY" ssl_client_authentication => none } }`, ""},
		{`input { tcp { port => 5000 ssl_enabled => true ssl_certificate => "GARBAGE" ssl_key => "KEY" ssl_client_authentication => none } }`, "1:67: ssl_certificate of tcp input: with ssl_key: tls: failed to find any PEM data"},
		{`input { beats { port => 5000 ssl_enabled => true ssl_certificate => "CERT" ssl_key => "OTHERKEY" } }`, "1:69: ssl_certificate of beats input: with ssl_key: tls: private key does not match public key"},
		{`input { http { port => 5000 ssl_enabled => true ssl_certificate => "CERT" ssl_key => "GARBAGE" } }`, "ssl_certificate of http input: with ssl_key"},
		{`input { elasticsearch { hosts => "https://a" ssl_certificate_authorities => "GARBAGE" } }`, "1:77: ssl_certificate_authorities of elasticsearch input: "},
		{`input { kafka { topics => "a" security_protocol => SSL ssl_truststore_location => "GARBAGE" } }`, "1:83: ssl_truststore_location of kafka input: neither PEM nor JKS"},
		{`output { kafka { topic_id => "a" security_protocol => SSL ssl_keystore_location => "GARBAGE" } }`, "1:84: ssl_keystore_location of kafka output: neither PEM nor PKCS #12"},
		{`output { http { url => "http://a" http_method => post ssl_certificate_authorities => "GARBAGE" } }`, "1:86: ssl_certificate_authorities of http output: "},
		{`output { opensearch { hosts => "https://a" cacert => "GARBAGE" } }`, "1:54: cacert of opensearch output: "},
		{`output { opensearch { hosts => "a" template => "TEMPLATE" } }`, "1:48: template of opensearch output: "},
		{`output { opensearch { hosts => "a" template => "TEMPLATE" manage_template => false } }`, ""},
		{`output { s3 { bucket => "aaa" aws_credentials_file => "GARBAGE" } }`, "1:55: aws_credentials_file of s3 output: "},
		{`input { file { path => "/a" sincedb_path => "GARBAGE/x" } }`, "1:45: sincedb_path of file input: GARBAGE is no folder"},
		{`input { file { path => "/a" mode => read file_completed_action => log file_completed_log_path => "DIR/none/log" } }`, "1:98: file_completed_log_path of file input: there is no folder DIR/none"},
		{`input { file { path => "/a" mode => read file_completed_action => log file_completed_log_path => "DIR/log" } }`, ""},
		{`input { s3 { bucket => "aaa" backup_to_dir => "GARBAGE/a/b" } }`, "1:47: backup_to_dir of s3 input: GARBAGE is no folder"},
		{`output { s3 { bucket => "aaa" temporary_directory => "GARBAGE" } }`, "1:54: temporary_directory of s3 output: GARBAGE is no folder"},
		{`output { file { path => "GARBAGE/x" } }`, "1:25: path of file output: GARBAGE is no folder"},
		{`output { file { path => "GARBAGE/%{a}/x" } }`, "1:25: path of file output: GARBAGE is no folder"},
		{`output { file { path => "DIR" } }`, "1:25: path of file output: DIR is a folder"},
		{`output { file { path => "DIR/new/folder/x" } }`, ""},
		{`input { tcp { port => 5000 } beats { port => 5000 } }`, "1:46: port of beats input: port 5000 (tcp) is that of the tcp input at a.conf:1:9, too"},
		{`input { tcp { port => 5000 host => "127.0.0.1" } tcp { port => 5000 host => "127.0.0.2" } }`, ""},
		{`input { tcp { port => 5000 host => "localhost" } tcp { port => 5000 host => "::" } }`, "port 5000 (tcp) is that of"},
		{`input { tcp { port => 0 } tcp { port => 0 } tcp { port => 5000 mode => client } tcp { port => 5000 } udp { port => 5000 } }`, ""},
		{`input { syslog { port => 5000 } udp { port => 5000 } }`, "port 5000 (udp) is that of the syslog input"},
		{`input { tcp { port => 5000 } } output { tcp { host => "0.0.0.0" port => 5000 mode => server } }`, "1:73: port of tcp output: port 5000 (tcp) is that of the tcp input"},
		{`input { pipeline { address => "a" } pipeline { address => "a" } }`, `1:59: address of pipeline input: the address "a" is that of the pipeline input at a.conf:1:9, too`},
		{`input { file { path => "/a" } file { path => "/a" } }`, "1:46: path of file input: without a sincedb_path, the registry of these paths is that of the file input at a.conf:1:9"},
		{`input { file { path => "/a" sincedb_path => "/dev/null" } file { path => "/a" sincedb_path => "/dev/null" } }`, ""},
	} {
		p, problems := compileText(t, r.Replace(c.text))
		if err := problems.Err(); err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		wrong, _ := Inspect([]Planned{{Pipeline: p, Data: dir}})
		got := ""
		if len(wrong) > 0 {
			got = wrong.Error()
		}
		// Places depend on the length of names of folders: those before the value are compared, which do not.
		if want := r.Replace(c.want); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s\n got %q\nwant %q", c.text, got, want)
		}
		if again, _ := Inspect([]Planned{{Pipeline: p}}); len(again) > 0 && strings.Contains(again.Error(), "folder") {
			t.Errorf("%s: folders are looked at that are not this machine's: %v", c.text, again)
		}
	}
}

func TestInspectSeesPipelinesTogether(t *testing.T) {
	var plans []Planned
	for _, text := range []string{
		`input { tcp { port => 5000 } } output { pipeline { send_to => ["b", "nobody"] } }`,
		`input { pipeline { address => "b" } tcp { port => 5000 } }`,
	} {
		p, problems := compileText(t, text)
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		plans = append(plans, Planned{Pipeline: p, ID: "p"})
	}
	wrong, warnings := Inspect(plans)
	if len(wrong) != 1 || !strings.Contains(wrong.Error(), "1:51: port of tcp input: port 5000 (tcp) is that of the tcp input at a.conf:1:9, too") {
		t.Errorf("wrong: %v", wrong)
	}
	if len(warnings) != 1 || !strings.Contains(warnings.Error(), `1:63: send_to of pipeline output: no pipeline has the address "nobody"`) {
		t.Errorf("warnings: %v", warnings)
	}
}

func TestWhatCanBeNoNameOrAddressIsAnErrorOfTheOption(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`input { tcp { port => 1 host => "999.1.1.1" } }`, `1:33: host of tcp input: "999.1.1.1" is no address`},
		{`input { udp { port => 1 host => "a b" } }`, `1:33: host of udp input: "a b" is no name of a host: it has a ' '`},
		{`input { tcp { port => 1 host => "fe80::1%eth0" } }`, ""},
		{`input { kafka { topics => ["a", "b c"] } }`, `1:27: topics of kafka input: "b c" is no name of a topic: it has a ' '`},
		{`input { kafka { topics_pattern => "a(" } }`, "1:35: topics_pattern of kafka input: error parsing regexp"},
		{`input { kafka { group_id => "" } }`, "1:29: group_id of kafka input: expected the name of the consumer group"},
		{`input { kafka { bootstrap_servers => "a:1,b:99999" } }`, `1:38: bootstrap_servers of kafka input: b:99999: expected a port from 1 to 65535, found "99999"`},
		{`input { kafka { schema_registry_url => "http://a:0" } }`, `1:40: schema_registry_url of kafka input: http://a:0: expected a port`},
		{`input { opensearch { hosts => "a:99999" } }`, `1:31: hosts of opensearch input: http://a:99999: expected a port`},
		{`input { s3 { bucket => "aaa" endpoint => "http://a:70000" } }`, `1:42: endpoint of s3 input: http://a:70000: expected a port`},
		{`output { kafka { topic_id => "a/b" } }`, `1:30: topic_id of kafka output: "a/b" is no name of a topic`},
		{`output { kafka { topic_id => "a-%{b}" } }`, ""},
		{`output { elasticsearch { hosts => ["https://a:9200", "b:99999"] } }`, `1:35: hosts of elasticsearch output: `},
		{`output { opensearch { index => "a b" } }`, `1:32: index of opensearch output: "a b" is no name of an index: it has a ' '`},
		{`output { opensearch { index => "_a" } }`, `1:32: index of opensearch output: "_a" is no name of an index`},
		{`output { opensearch { index => "Alias" } opensearch { index => "<a-{now/d}>" } opensearch { index => "a-%{b}" } }`, ""},
		{`output { http { http_method => post url => "http://a:99999/b" } }`, `1:44: url of http output: http://a:99999/b: expected a port`},
		{`output { tcp { port => 1 host => "a/b" } }`, `1:34: host of tcp output: "a/b" is no name of a host`},
		{`output { file { path => "" } }`, `1:25: path of file output: expected the name of a file, found ""`},
	} {
		_, problems := compileText(t, c.text)
		got := ""
		if err := problems.Err(); err != nil {
			got = err.Error()
		}
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}
