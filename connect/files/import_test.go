package files

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestASincedbIsRead(t *testing.T) {
	const text = "2977152 1 4 94\n" +
		"271016 0 64768 1046 1519319662.852678 /var/log/a b  c.log\n" +
		"271017 0 2049 7 1519319662.5 /var/log/x.gz\n" +
		"271018 0 2049 0 1519319662.5 /var/log/y.gz\r\n" +
		"\n" +
		"what is this\n" +
		"1 2 3\n" +
		"5 0 2049 -4 1.5 /x\n" +
		"2977152 1 4 95\n"
	seen := time.Unix(1519319662, 500000000)
	want := []Entry{
		{ID: ID{1<<24 | 4, 2977152}, Position: Position{Offset: 95}},
		{ID: ID{64768, 271016}, Path: "/var/log/a b  c.log", Position: Position{Offset: 1046}, Seen: time.Unix(1519319662, 852678000)},
		{ID: ID{2049, 271017}, Path: "/var/log/x.gz", Archive: true, Done: true, Noted: true, Size: 7, Seen: seen},
		{ID: ID{2049, 271018}, Path: "/var/log/y.gz", Archive: true, Seen: seen},
	}
	got, bad := ParseSincedb([]byte(text), true)
	for i := range got {
		got[i].Seen = got[i].Seen.Truncate(time.Microsecond).Add(0)
		want[i].Seen = want[i].Seen.Truncate(time.Microsecond)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b time.Time) bool { return a.Sub(b).Abs() < 10*time.Microsecond })); diff != "" || bad != 3 {
		t.Errorf("%d bad lines, want 3\n%s", bad, diff)
	}
}

// idOf gives what the system knows a file by.
func idOf(t *testing.T, path string) ID {
	t.Helper()
	st, _, err := statPath(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.id
}

func TestFilesGoOnWhereTheSincedbSays(t *testing.T) {
	for _, version := range []int{1, 2} {
		dir := t.TempDir()
		a, b := filepath.Join(dir, "a.log"), filepath.Join(dir, "b.log")
		write(t, a, "one\ntwo\n")
		write(t, b, "b one\nb two\n")
		id := idOf(t, a)
		sincedb := fmt.Sprintf("%d %d %d 4", id.Inode, id.Device>>24, id.Device&0xffffff)
		if version == 2 {
			sincedb += " 1795000000.25 " + a
		}
		// Of b there is an entry that cannot be its: it is shorter. It is read from its beginning, even if files begin at their end.
		other := idOf(t, b)
		sincedb += fmt.Sprintf("\n%d %d %d 4000\n", other.Inode, other.Device>>24, other.Device&0xffffff)
		c := quick(filepath.Join(dir, "*.log"))
		c.StartAt = End
		c.Registry = filepath.Join(dir, "registry")
		asked := 0
		o := Options{Import: func() ([]Entry, error) {
			asked++
			entries, bad := ParseSincedb([]byte(sincedb), false)
			if bad > 0 {
				t.Errorf("%d bad lines", bad)
			}
			return entries, nil
		}}
		d := start(t, c, o)
		d.expect("two", "b one", "b two")
		d.stop()
		d = start(t, c, o)
		d.still()
		write(t, a, "three\n")
		d.expect("three")
		d.stop()
		if asked != 1 {
			t.Errorf("asked %d times, want once", asked)
		}
	}
}

func TestAnImportThatFailsStopsTheSource(t *testing.T) {
	c := quick("/nowhere/*")
	d := start(t, c, Options{Import: func() ([]Entry, error) { return nil, os.ErrPermission }})
	if err := <-d.ran; err == nil || !strings.Contains(err.Error(), "take over") {
		t.Errorf("error %v", err)
	}
}

func TestWhatMakesNoSenseIsNotTakenOver(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.log")
	write(t, p, "one\n")
	c := quick(p)
	c.Registry = filepath.Join(dir, "registry")
	d := start(t, c, Options{Import: func() ([]Entry, error) {
		return []Entry{{Path: p, Position: Position{Offset: -3}}, {Path: strings.Repeat("x", maxPath+1)}, {Path: "/good"}}, nil
	}})
	d.expect("one")
	d.stop()
	if got, err := ReadRegistry(c.Registry); err != nil || len(got) != 2 || got[0].Path != "/good" || got[1].Path != p {
		t.Errorf("%+v, %v", got, err)
	}
}

// filebeatRegistry writes a registry as Filebeat lays it out.
func filebeatRegistry(t *testing.T, checkpoint, log string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "registry", "filebeat")
	write(t, filepath.Join(dir, "meta.json"), `{"version":"1"}`)
	write(t, filepath.Join(dir, "90.json"), `[{"_key":"filestream::old::path::/x","cursor":{"offset":1}}]`)
	write(t, filepath.Join(dir, "100.json"), checkpoint)
	write(t, filepath.Join(dir, "active.dat"), "/var/lib/filebeat/registry/filebeat/100.json")
	write(t, filepath.Join(dir, "log.json"), log)
	return dir
}

func TestAFilebeatRegistryIsRead(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	dir := filebeatRegistry(t, `[
{"_key":"filebeat::logs::native::2023885830-2065","identifier_name":"native","source":"/var/log/a.log","offset":1.101769e+06,"prev_id":"","timestamp":[2.81471359971532e+14,1.594952678e+09],"type":"container","ttl":-2,"FileStateOS":{"device":2065,"inode":2.02388583e+09},"id":"native::2023885830-2065"},
{"_key":"filebeat::logs::1b59052b95e61943-native::104711-40","source":"/var/log/s.log","offset":7,"timestamp":[1,1594952678],"ttl":-1,"meta":{"stream":"stdout"},"FileStateOS":{"device":40,"inode":104711}},
{"_key":"filestream::my-log-file::native::1041043-66305","meta":{"source":"/tmp/foo.log","identifier_name":"native"},"ttl":1800000000000,"updated":[502979742,1696416120],"cursor":{"offset":458}},
{"_key":"filestream::gone::native::1-2","meta":{"source":"/tmp/gone.log","identifier_name":"native"},"ttl":0,"updated":[1,1696416120],"cursor":{"offset":458}},
{"_key":"filestream::removed::native::1-3","cursor":{"offset":458},"ttl":-1},
{"_key":"winlogbeat::something","checkpoint":[1]},
{"_key":"journald::x","cursor":"text"}
]`, `{"op":"set","id":99}
{"k":"filestream::my-log-file::native::1041043-66305","v":{"cursor":{"offset":1}}}
{"op":"set","id":101}
{"k":"filestream::fp::fingerprint::`+sum+`","v":{"ttl":-1,"updated":[507500968,1701686520],"cursor":{"offset":914},"meta":{"source":"/tmp/bar.log","identifier_name":"fingerprint"}}}
{"op":"set","id":102}
{"k":"filestream::new::path::/tmp/p::q.log","v":{"ttl":-1,"updated":[1,1701686520],"cursor":null,"meta":{"source":"/tmp/p::q.log","identifier_name":"path"}}}
{"op":"remove","id":103}
{"k":"filestream::removed::native::1-3"}
{"op":"set","id":104}
{"k":"filestream::fp::finge`)
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	want := []FilebeatState{
		{Key: "filebeat::logs::1b59052b95e61943-native::104711-40", Input: "log", InputID: "1b59052b95e61943", Identity: "native", Source: "/var/log/s.log", ID: ID{40, 104711}, Offset: 7, Updated: at(1594952678)},
		{Key: "filebeat::logs::native::2023885830-2065", Input: "log", Identity: "native", Source: "/var/log/a.log", ID: ID{2065, 2023885830}, Offset: 1101769, Updated: at(1594952678)},
		{Key: "filestream::fp::fingerprint::" + sum, Input: "filestream", InputID: "fp", Identity: "fingerprint", Source: "/tmp/bar.log", Sum: sum, Offset: 914, Updated: at(1701686520)},
		{Key: "filestream::my-log-file::native::1041043-66305", Input: "filestream", InputID: "my-log-file", Identity: "native", Source: "/tmp/foo.log", ID: ID{66305, 1041043}, Offset: 458, Updated: at(1696416120)},
		{Key: "filestream::new::path::/tmp/p::q.log", Input: "filestream", InputID: "new", Identity: "path", Source: "/tmp/p::q.log", Updated: at(1701686520)},
	}
	for _, path := range []string{dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir))} {
		got, torn, err := ReadFilebeat(path)
		if diff := cmp.Diff(want, got); diff != "" || err != nil || !torn {
			t.Errorf("%s: torn %v, error %v\n%s", path, torn, err, diff)
		}
	}
	if _, _, err := ReadFilebeat(t.TempDir()); err == nil {
		t.Error("an empty folder is taken for a registry")
	}
}

func TestAnOldFilebeatRegistryIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.json")
	write(t, path, `[{"source":"/a.log","offset":18,"timestamp":"2020-07-17T02:24:38Z","ttl":-1,"type":"log","meta":null,"FileStateOS":{"inode":5,"device":2065}}]`)
	got, _, err := ReadFilebeat(path)
	if err != nil || len(got) != 1 || got[0].ID != (ID{2065, 5}) || got[0].Offset != 18 || got[0].Identity != "native" || got[0].Updated.Unix() != 1594952678 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFilesGoOnWhereFilebeatWas(t *testing.T) {
	dir := t.TempDir()
	native, content, byPath := filepath.Join(dir, "n.log"), filepath.Join(dir, "f.log"), filepath.Join(dir, "p.log")
	long, lines := numbered("a line of a file that is known by its content", 0, 60)
	write(t, native, "one\ntwo\n")
	write(t, content, long)
	write(t, byPath, "three\nfour\n")
	sum := sha256.Sum256([]byte(long[:1024]))
	id := idOf(t, native)
	states := filebeatRegistry(t, "[]", fmt.Sprintf(`{"op":"set","id":101}
{"k":"filebeat::logs::native::%d-%d","v":{"source":%q,"offset":4,"ttl":-1}}
{"op":"set","id":102}
{"k":"filestream::i::fingerprint::%s","v":{"cursor":{"offset":%d},"ttl":-1,"meta":{"source":"/elsewhere","identifier_name":"fingerprint"}}}
{"op":"set","id":103}
{"k":"filestream::i::path::%s","v":{"cursor":{"offset":6},"ttl":-1,"meta":{"source":%q,"identifier_name":"path"}}}
`, id.Inode, id.Device, native, hex.EncodeToString(sum[:]), len(strings.Join(lines[:50], "\n"))+1, byPath, byPath))
	for _, identity := range []string{ByInode, ByContent} {
		c := quick(filepath.Join(dir, "*.log"))
		c.Identity = identity
		if identity == ByContent {
			c.FingerprintBytes = 8
		}
		d := start(t, c, Options{Import: func() ([]Entry, error) {
			all, torn, err := ReadFilebeat(states)
			var entries []Entry
			for _, s := range all {
				e, ok := s.Entry(0, 0)
				if !ok {
					t.Errorf("no entry for %+v", s)
				}
				entries = append(entries, e)
			}
			if torn {
				t.Error("torn")
			}
			return entries, err
		}})
		d.expect(append([]string{"two", "four"}, lines[50:]...)...)
		d.still()
		d.stop()
	}
}

func FuzzSincedb(f *testing.F) {
	f.Add("2977152 1 4 94\n271016 0 64768 1046 1519319662.852678 /var/log/a b.gz\n")
	f.Add("1 0 1 1 NaN x\n1 0 1 1 1e300 x\n18446744073709551616 0 0 0")
	f.Fuzz(func(t *testing.T, text string) {
		entries, _ := ParseSincedb([]byte(text), true)
		for _, e := range entries {
			if e.Offset < 0 || e.ID.Inode == 0 || e.Size < 0 {
				t.Fatalf("%+v", e)
			}
		}
	})
}

func FuzzFilebeatRegistries(f *testing.F) {
	f.Add(`[{"_key":"filebeat::logs::native::1-2","offset":1e3,"source":"/a","ttl":-1,"FileStateOS":{"inode":1,"device":2}}]`,
		`{"op":"set","id":1}`+"\n"+`{"k":"filestream::a::native::1-2","v":{"cursor":{"offset":9},"updated":[1,2],"meta":{"source":"/b"}}}`)
	f.Add(`[{"_key":"filestream::a::fingerprint::00","cursor":null}]`, `{"op":"remove","id":1e3}{"k":1}`)
	f.Fuzz(func(t *testing.T, checkpoint, log string) {
		all := map[string]filebeatValue{}
		if err := parseFilebeatCheckpoint(strings.NewReader(checkpoint), all); err != nil {
			return
		}
		parseFilebeatLog(strings.NewReader(log), 0, all)
		for _, s := range filebeatStates(all) {
			e, ok := s.Entry(0, 0)
			if s.Offset < 0 || ok && e.ID == (ID{}) && e.Head.Bytes == 0 && e.Path == "" {
				t.Fatalf("%+v %+v", s, e)
			}
		}
	})
}
