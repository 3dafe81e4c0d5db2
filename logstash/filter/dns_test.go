package filter

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/narudata/naru/logstash/event"
)

// A nameServer answers from a table. A name that is not there does not exist, one whose answer is "silence" gets none.
type nameServer struct {
	address string
	records map[string][]string // "a.test. A": values; "servfail" and "empty" are answers without records

	mu    sync.Mutex // guards asked
	asked []string
}

// onOnePort listens at a port that is free for both protocols: what is free for one may be taken for the other.
func onOnePort(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	var last error
	for range 100 {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err == nil {
			return udp, tcp
		}
		last = errors.Join(err, udp.Close())
	}
	t.Fatal(last)
	return nil, nil
}

func newNameServer(t *testing.T, records map[string][]string) *nameServer {
	t.Helper()
	udp, tcp := onOnePort(t)
	s := &nameServer{address: udp.LocalAddr().String(), records: records}
	var running sync.WaitGroup
	running.Go(func() {
		buf := make([]byte, 1<<12)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, out := range s.answer(t, buf[:n], true) {
				if _, err := udp.WriteTo(out, from); err != nil {
					return
				}
			}
		}
	})
	running.Go(func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			var size [2]byte
			if _, err := io.ReadFull(conn, size[:]); err == nil {
				in := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(conn, in); err == nil {
					for _, out := range s.answer(t, in, false) {
						if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
							break
						}
					}
				}
			}
			if err := conn.Close(); err != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		if err := errors.Join(udp.Close(), tcp.Close()); err != nil {
			t.Error(err)
		}
		running.Wait()
	})
	return s
}

func (s *nameServer) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// answer gives the messages that are sent for a question.
func (s *nameServer) answer(t *testing.T, in []byte, udp bool) [][]byte {
	var m dnsmessage.Message
	if err := m.Unpack(in); err != nil || len(m.Questions) != 1 {
		t.Errorf("the question cannot be read: %v", err)
		return nil
	}
	q := m.Questions[0]
	key := q.Name.String() + " " + strings.TrimPrefix(q.Type.String(), "Type")
	s.mu.Lock()
	s.asked = append(s.asked, key)
	s.mu.Unlock()
	m.Response = true
	values, known := s.records[key]
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
	var out [][]byte
	for _, v := range values {
		h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: dnsmessage.ClassINET}
		switch {
		case v == "silence":
			return nil
		case v == "servfail":
			m.RCode = dnsmessage.RCodeServerFailure
		case v == "empty":
		case v == "long" && udp:
			m.Truncated = true
		case v == "long":
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: [4]byte{9, 9, 9, 9}}})
		case v == "wrong": // first something that is no answer to this
			other := m
			other.ID++
			packed, err := other.Pack()
			if err != nil {
				t.Error(err)
			}
			out = append(out, []byte("no message"), packed)
		case strings.HasPrefix(v, "alias "):
			target := dnsmessage.MustNewName(strings.TrimPrefix(v, "alias "))
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: dnsmessage.TypeCNAME, Class: dnsmessage.ClassINET},
				Body:   &dnsmessage.CNAMEResource{CNAME: target},
			})
		case q.Type == dnsmessage.TypePTR:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName(v)}})
		case q.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: [16]byte(net.ParseIP(v).To16())}})
		default:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: [4]byte(net.ParseIP(v).To4())}})
		}
	}
	packed, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return append(out, packed)
}

func testZone() map[string][]string {
	return map[string][]string{
		"carrera.test. A":                   {"199.192.228.250", "199.192.228.251"},
		"250.228.192.199.in-addr.arpa. PTR": {"carrera.test."},
		"six.test. A":                       {"empty"},
		"six.test. AAAA":                    {"2001:db8::6"},
		"6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR": {"six.test."},
		"alias.test. A":             {"alias carrera.test.", "199.192.228.250"},
		"broken.test. A":            {"servfail"},
		"broken.test. AAAA":         {"servfail"},
		"long.test. A":              {"long"},
		"wrong.test. A":             {"wrong", "7.7.7.7"},
		"silent.test. A":            {"silence"},
		"host.search.test. A":       {"8.8.8.8"},
		"xn--mller-kva.test. A":     {"6.6.6.6"},
		"6.6.6.6.in-addr.arpa. PTR": {"xn--mller-kva.test."},
	}
}

func TestNamesAndAddressesAreLookedUp(t *testing.T) {
	s := newNameServer(t, testZone())
	server := ` nameserver => "` + s.address + `" add_tag => "ok" `
	for _, c := range []struct{ name, options, in, want string }{
		{"a name", `resolve => "a" action => "replace"`, `{"a":"carrera.test"}`, `{"a":"199.192.228.250","tags":["ok"]}`},
		{"an address", `reverse => "a" action => "replace"`, `{"a":"199.192.228.250"}`, `{"a":"carrera.test","tags":["ok"]}`},
		{"a name of version 6", `resolve => "a" action => "replace"`, `{"a":"six.test"}`, `{"a":"2001:db8::6","tags":["ok"]}`},
		{"an address of version 6", `reverse => "a" action => "replace"`, `{"a":"2001:db8::6"}`, `{"a":"six.test","tags":["ok"]}`},
		{"append", `resolve => "a"`, `{"a":"carrera.test"}`, `{"a":["carrera.test","199.192.228.250"],"tags":["ok"]}`},
		{"append to a list", `reverse => "a"`, `{"a":["199.192.228.250"]}`, `{"a":["199.192.228.250","carrera.test"],"tags":["ok"]}`},
		{"replace in a list", `resolve => "a" action => "replace"`, `{"a":["carrera.test"]}`, `{"a":["199.192.228.250"],"tags":["ok"]}`},
		{"first resolve, then reverse", `resolve => "a" reverse => "b" action => "replace"`, `{"a":"carrera.test","b":"199.192.228.250"}`, `{"a":"199.192.228.250","b":"carrera.test","tags":["ok"]}`},
		{"an address has itself", `resolve => "a"`, `{"a":"1.2.3.4"}`, `{"a":["1.2.3.4","1.2.3.4"],"tags":["ok"]}`},
		{"an alias", `resolve => "a" action => "replace"`, `{"a":"alias.test"}`, `{"a":"199.192.228.250","tags":["ok"]}`},
		{"an answer that only fits into TCP", `resolve => "a" action => "replace"`, `{"a":"long.test"}`, `{"a":"9.9.9.9","tags":["ok"]}`},
		{"answers to other questions", `resolve => "a" action => "replace"`, `{"a":"wrong.test"}`, `{"a":"7.7.7.7","tags":["ok"]}`},
		{"a name beyond ASCII", `resolve => "a" action => "replace"`, `{"a":"Müller.test"}`, `{"a":"6.6.6.6","tags":["ok"]}`},
		{"the name beyond ASCII of an address", `reverse => "a" action => "replace"`, `{"a":"6.6.6.6"}`, `{"a":"müller.test","tags":["ok"]}`},
		{"a missing field is passed by", `resolve => ["z","a"] action => "replace"`, `{"a":"carrera.test"}`, `{"a":"199.192.228.250","tags":["ok"]}`},
		{"no such name", `resolve => ["a","b"] action => "replace"`, `{"a":"nowhere.test","b":"carrera.test"}`, `{"a":"nowhere.test","b":"carrera.test"}`},
		{"what was found before stays", `resolve => ["b","a"] action => "replace"`, `{"a":"nowhere.test","b":"carrera.test"}`, `{"a":"nowhere.test","b":"199.192.228.250"}`},
		{"a server that fails", `resolve => "a"`, `{"a":"broken.test"}`, `{"a":"broken.test"}`},
		{"no address", `reverse => "a"`, `{"a":"carrera.test"}`, `{"a":"carrera.test"}`},
		{"several texts", `resolve => "a"`, `{"a":["carrera.test","b"]}`, `{"a":["carrera.test","b"]}`},
		{"no text", `resolve => "a"`, `{"a":{"b":1}}`, `{"a":{"b":1}}`},
		{"no name", `resolve => "a"`, `{"a":"a..b"}`, `{"a":"a..b"}`},
		{"an empty text", `resolve => "a"`, `{"a":""}`, `{"a":""}`},
		{"no answer", `resolve => "a" timeout => 0.05 max_retries => 0`, `{"a":"silent.test"}`, `{"a":"silent.test","tags":["_dnstimeout"]}`},
		{"no answer, tagged otherwise", `resolve => "a" timeout => 0.05 max_retries => 0 tag_on_timeout => ["x","y"]`, `{"a":"silent.test"}`, `{"a":"silent.test","tags":["x","y"]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := filtered(t, mustFilter(t, "dns", server+c.options, ECSv8), c.in); got != c.want {
				t.Errorf("got %s, not %s", got, c.want)
			}
		})
	}
}

func TestDomainsAreSearchedForShortNames(t *testing.T) {
	s := newNameServer(t, testZone())
	f := mustFilter(t, "dns", `resolve => "a" action => "replace" nameserver => { address => ["`+s.address+`"] search => ["other.test", "search.test"] ndots => 2 }`, ECSv8)
	if got, want := filtered(t, f, `{"a":"host"}`), `{"a":"8.8.8.8"}`; got != want {
		t.Errorf("got %s, not %s", got, want)
	}
	if got, want := strings.Join(s.questions(), ", "), "host.other.test. A, host.search.test. A"; got != want {
		t.Errorf("asked for %s, not %s", got, want)
	}
	c := &dnsClient{search: []string{"x.test."}, ndots: 1}
	for name, want := range map[string]string{"a": "a.x.test. a.", "a.b": "a.b. a.b.x.test.", "a.": "a."} {
		if got := strings.Join(c.candidates(name), " "); got != want {
			t.Errorf("%s may be %s, not %s", name, got, want)
		}
	}
}

func TestAnAnswerThatDoesNotComeIsAskedForAgain(t *testing.T) {
	s := newNameServer(t, testZone())
	other := newNameServer(t, testZone())
	f := mustFilter(t, "dns", `resolve => "a" timeout => 0.05 max_retries => 2 failed_cache_size => 5 nameserver => ["`+s.address+`","`+other.address+`"]`, ECSv8)
	if got, want := filtered(t, f, `{"a":"silent.test"}`), `{"a":"silent.test","tags":["_dnstimeout"]}`; got != want {
		t.Errorf("got %s, not %s", got, want)
	}
	if a, b := len(s.questions()), len(other.questions()); a != 3 || b != 3 {
		t.Errorf("asked %d and %d times, not 3 and 3", a, b)
	}
	if got, want := filtered(t, f, `{"a":"silent.test"}`), `{"a":"silent.test"}`; got != want {
		t.Errorf("the second time: got %s, not %s", got, want)
	}
	if n := len(s.questions()); n != 3 {
		t.Errorf("asked again although it is kept that there was no answer: %d times", n)
	}
	// A port where nothing listens is no answer, either; the next server is asked.
	closed := newNameServer(t, testZone()).address
	_, port, err := net.SplitHostPort(closed)
	if err != nil {
		t.Fatal(err)
	}
	f = mustFilter(t, "dns", `resolve => "a" action => "replace" timeout => 0.2 nameserver => ["127.0.0.9:`+port+`","`+s.address+`"]`, ECSv8)
	if got, want := filtered(t, f, `{"a":"carrera.test"}`), `{"a":"199.192.228.250"}`; got != want {
		t.Errorf("got %s, not %s", got, want)
	}
}

func TestFindsAndFailuresAreKeptForTheirTime(t *testing.T) {
	s := newNameServer(t, testZone())
	f := mustFilter(t, "dns", `resolve => "a" action => "replace" hit_cache_size => 5 hit_cache_ttl => 60 failed_cache_size => 5 failed_cache_ttl => 5 nameserver => "`+s.address+`"`, ECSv8)
	now := time.Unix(0, 0)
	x := newContext()
	x.Now = func() time.Time { return now }
	for _, step := range []struct {
		after time.Duration
		name  string
		asked int
	}{{0, "carrera.test", 1}, {59 * time.Second, "carrera.test", 1}, {61 * time.Second, "carrera.test", 2}, {61 * time.Second, "nowhere.test", 4}, {65 * time.Second, "nowhere.test", 4}, {67 * time.Second, "nowhere.test", 6}} {
		now = time.Unix(0, 0).Add(step.after)
		e := event.NewAt(now)
		if err := e.SetField("a", event.StringValue(step.name)); err != nil {
			t.Fatal(err)
		}
		f.Filter(x, e)
		if n := len(s.questions()); n != step.asked {
			t.Errorf("%s after %s: asked %d times, not %d", step.name, step.after, n, step.asked)
		}
	}
}

func TestHostsAreLookedUpInFilesFirst(t *testing.T) {
	name := filepath.Join(t.TempDir(), "hosts")
	const text = "# a comment\n10.10.0.1\txn--d1acpjx3f.xn--p1ai alias1 # Яндекс.рф\n10.10.0.2 xn--mller-kva.com\n10.10.0.3 alias1\n\n10.10.0.4\n10.10.0.2 second.com\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newNameServer(t, testZone())
	for _, c := range []struct{ options, in, want string }{
		{`resolve => "a"`, "Яндекс.рф", "10.10.0.1"},
		{`resolve => "a"`, "alias1", "10.10.0.3"},
		{`reverse => "a"`, "10.10.0.2", "müller.com"},
		{`reverse => "a"`, "10.10.0.1", "яндекс.рф"},
		{`reverse => "a"`, "10.10.0.4", "10.10.0.4"},
		{`resolve => "a"`, "carrera.test", "carrera.test"},
		{`resolve => "a" nameserver => "` + s.address + `"`, "carrera.test", "199.192.228.250"},
		{`resolve => "a" nameserver => "` + s.address + `"`, "second.com", "10.10.0.2"},
	} {
		f := mustFilter(t, "dns", `action => "replace" hostsfile => "`+name+`" `+c.options, ECSv8)
		if got, want := filtered(t, f, `{"a":"`+c.in+`"}`), `{"a":"`+c.want+`"}`; got != want {
			t.Errorf("%s %s: %s, not %s", c.options, c.in, got, want)
		}
	}
}

func TestTheNameServersOfAMachineAreRead(t *testing.T) {
	const text = "; comment\nnameserver 192.0.2.1\nnameserver 2001:db8::1 # second\ndomain a.test\nsearch b.test c.test\noptions rotate ndots:3\n"
	c := &dnsClient{}
	if err := readResolvConf(strings.NewReader(text), c); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(c.servers, " "), "192.0.2.1:53 [2001:db8::1]:53"; got != want {
		t.Errorf("servers %s, not %s", got, want)
	}
	if got := strings.Join(c.search, " "); got != "b.test c.test" || c.ndots != 3 {
		t.Errorf("search %s, ndots %d", got, c.ndots)
	}
}

func TestDNSRefusesOptionsThatCannotWork(t *testing.T) {
	refused(t, "dns", `resolve => "a" timeout => 0`, ECSv8, "timeout")
	refused(t, "dns", `resolve => "a" action => "add"`, ECSv8, "action", "append")
	refused(t, "dns", `resolve => "a" hostsfile => "/nowhere/hosts"`, ECSv8, "hostsfile", "nowhere")
	refused(t, "dns", `resolve => "a" nameserver => "dns.example.org"`, ECSv8, "nameserver", "dns.example.org")
	refused(t, "dns", `resolve => "a" nameserver => { search => "x" }`, ECSv8, "nameserver", "address")
	refused(t, "dns", `resolve => "a" nameserver => { address => "127.0.0.1" ndots => 0 }`, ECSv8, "ndots")
	refused(t, "dns", `resolve => "a" nameserver => { address => "127.0.0.1" port => 5 }`, ECSv8, "port", "ndots")
	refused(t, "dns", `resolve => "a" nameserver => { address => "127.0.0.1" search => ["a","b","c","d","e","f","g"] }`, ECSv8, "7")
}
