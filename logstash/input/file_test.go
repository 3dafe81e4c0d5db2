package input

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/internal/testbed/proc"
)

func appendFile(t *testing.T, path, text string) {
	t.Helper()
	if err := appendTo(path, text); err != nil {
		t.Fatal(err)
	}
}

func quoted(t *testing.T, text string) string {
	t.Helper()
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFileSaysWhereAnEventComesFrom(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for ecs, want := range map[string]string{
		"disabled": `{"message":"one\r","@version":"1","host":HOST,"path":PATH}`,
		"v8":       `{"message":"one\r","@version":"1","host":{"name":HOST},"log":{"file":{"path":PATH}},"event":{"original":"one\r"}}`,
	} {
		p := filepath.Join(t.TempDir(), "a.log")
		appendFile(t, p, "one\r\n")
		r := runInput(t, fmt.Sprintf(`file { path => %q sincedb_path => "/dev/null" start_position => beginning stat_interval => "5 ms" }`, p), setting{ecs: ecs})
		events, meta := r.got(1)
		fill := func(s string) string {
			return strings.NewReplacer("HOST", quoted(t, host), "PATH", quoted(t, p)).Replace(s)
		}
		var got, wanted map[string]any
		if err := errors.Join(json.Unmarshal([]byte(without(events[0], "@timestamp")), &got), json.Unmarshal([]byte(fill(want)), &wanted)); err != nil {
			t.Fatal(err)
		}
		delete(got, "event") // the codec's business
		delete(wanted, "event")
		if fmt.Sprint(got) != fmt.Sprint(wanted) {
			t.Errorf("%s: %v, want %v", ecs, got, wanted)
		}
		if meta[0] != fill(`{"path":PATH,"host":HOST}`) {
			t.Errorf("metadata %s", meta[0])
		}
	}
}

func TestFileDoesNotReplaceWhatAnEventSays(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log")
	appendFile(t, p, `{"host":null,"path":"/mine"}`+"\n")
	r := runInput(t, fmt.Sprintf(`file { path => %q codec => json sincedb_path => "/dev/null" start_position => beginning }`, p), setting{})
	events, _ := r.got(1)
	if got := without(events[0], "@timestamp"); !strings.Contains(got, `"host":null`) || !strings.Contains(got, `"path":"/mine"`) {
		t.Error(got)
	}
}

func TestFileBeginsAtTheEndOfWhatIsThereAndReadsWhatIsNew(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.log")
	appendFile(t, p, "old\n")
	r := runInput(t, fmt.Sprintf(`file { path => ["%s/*.log"] exclude => ["b.*"] sincedb_path => %q stat_interval => 0.005 discover_interval => 2 }`, dir, filepath.Join(dir, "sincedb")), setting{})
	for { // until the first look is over, which the registry tells
		if text, err := os.ReadFile(filepath.Join(dir, "sincedb.naru")); err == nil && bytes.Contains(text, []byte("a.log")) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	appendFile(t, filepath.Join(dir, "b.log"), "excluded\n")
	appendFile(t, p, "new\n")
	appendFile(t, filepath.Join(dir, "c.log"), "c\n")
	events, _ := r.got(2)
	all := strings.Join(events, "")
	if !strings.Contains(all, `"new"`) || !strings.Contains(all, `"c"`) || strings.Contains(all, "excluded") || strings.Contains(all, "old") {
		t.Error(all)
	}
}

// bodies runs an input with its own folder of data for a while: until it has given n messages, and what is acknowledged is
// saved.
func bodies(t *testing.T, text, data string, n int) []string {
	t.Helper()
	_, in, err := setUp(t, text, setting{})
	if err != nil {
		t.Fatal(err)
	}
	source, err := in.Open(&Run{Port: 3, Data: data, Log: slog.New(slog.DiscardHandler), Pipeline: "main"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	var got []string
	done := make(chan error, 1)
	read := make(chan struct{})
	go func() {
		done <- source.Run(ctx, func(s stream.Stream) {
			go func() {
				defer close(read)
				for {
					var b flow.Batch
					if s.Wait(ctx) != nil {
						break
					}
					if err := s.Read(ctx, &b); err != nil {
						t.Error(err)
					}
					for _, r := range b.Records {
						got = append(got, string(r.Body))
					}
					if err := s.Ack(ctx, b.Next); err != nil {
						t.Error(err)
					}
					if len(got) >= n {
						stop()
					}
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
		})
	}()
	select {
	case err = <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("the input does not stop")
	}
	<-read
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestFileGoesOnWhereLogstashWas(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	p := filepath.Join(dir, "a.log")
	appendFile(t, p, "one\ntwo\n")
	info, err := os.Stat(p)
	if err != nil {
		t.Fatal(err)
	}
	inode, device, ok := proc.Inode(info)
	if !ok {
		t.Skip("this system has no inodes")
	}
	line := fmt.Sprintf("%d %d %d 4 1795000000.1 %s\n", inode, device>>24, device&0xffffff, p)
	text := fmt.Sprintf(`file { path => [%q, "/none/*.log"] stat_interval => "5ms" }`, p)
	folder := filepath.Join(data, "plugins", "inputs", "file")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	sincedb := filepath.Join(folder, fmt.Sprintf(".sincedb_%x", md5.Sum([]byte(p+",/none/*.log"))))
	appendFile(t, sincedb, line)
	if got := bodies(t, text, data, 1); !slices.Equal(got, []string{"two"}) {
		t.Errorf("%q", got)
	}
	appendFile(t, p, "three\n")
	if got := bodies(t, text, data, 1); !slices.Equal(got, []string{"three"}) { // from the registry now
		t.Errorf("%q", got)
	}
	if after, err := os.ReadFile(sincedb); err != nil || string(after) != line {
		t.Errorf("the sincedb was changed: %q, %v", after, err)
	}

	own := filepath.Join(dir, "own")
	appendFile(t, own, strings.Replace(line, " 4 ", " 8 ", 1))
	if got := bodies(t, fmt.Sprintf(`file { path => %q stat_interval => "5ms" sincedb_path => %q }`, p, own), data, 1); !slices.Equal(got, []string{"three"}) {
		t.Errorf("%q", got)
	}
}

func TestFileReadsCompleteFilesAndDeletesOrLogsThem(t *testing.T) {
	for action, want := range map[string]struct{ deleted, logged bool }{"delete": {true, false}, "log": {false, true}, "log_and_delete": {true, true}} {
		dir := t.TempDir()
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, err := w.Write([]byte("packed 1\r\npacked 2"))
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, "in"), 0o755); err != nil {
			t.Fatal(err)
		}
		appendFile(t, filepath.Join(dir, "in", "a.gz"), packed.String())
		appendFile(t, filepath.Join(dir, "in", "b.csv"), "b 1\nb 2")
		text := fmt.Sprintf(`file { path => "%s/in/*" mode => read exit_after_read => true stat_interval => "5 ms" check_archive_validity => true
			file_completed_action => %s file_completed_log_path => "%s/done" sincedb_path => "%s/sincedb" }`, dir, action, dir, dir)
		got := bodies(t, text, dir, 1000)
		slices.Sort(got)
		if !slices.Equal(got, []string{"b 1", "b 2", "packed 1", "packed 2"}) {
			t.Errorf("%s: %q", action, got)
		}
		left, err := filepath.Glob(dir + "/in/*")
		if err != nil || (len(left) == 0) != want.deleted {
			t.Errorf("%s: left %q, %v", action, left, err)
		}
		logged, err := os.ReadFile(filepath.Join(dir, "done"))
		if (err == nil) != want.logged || want.logged && (!bytes.Contains(logged, []byte("/in/a.gz\n")) || !bytes.Contains(logged, []byte("/in/b.csv\n"))) {
			t.Errorf("%s: logged %q, %v", action, logged, err)
		}
	}
}

func TestFileChecksItsOptions(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		`file { path => "a.log" }`:                                             "path: expected absolute paths",
		`file { path => "/a[" }`:                                               "path: ",
		`file { path => "/a" stat_interval => "soon" }`:                        "stat_interval: expected a length of time",
		`file { path => "/a" sincedb_clean_after => "1 fortnight" }`:           "sincedb_clean_after: expected a length of time",
		`file { path => "/a" discover_interval => 0 }`:                         "discover_interval: expected 1",
		`file { path => "/a" file_chunk_size => 0 }`:                           "file_chunk_size: expected 1",
		`file { path => "/a" delimiter => "" }`:                                "delimiter: expected",
		`file { path => "/a" exit_after_read => true }`:                        "exit_after_read: it is for mode => read",
		`file { path => "/a" mode => read file_completed_action => log }`:      "file_completed_log_path: file_completed_action => log needs it",
		fmt.Sprintf(`file { path => "/a" sincedb_path => %q }`, dir):           "sincedb_path: ",
		`file { path => "/a" delimiter => "` + strings.Repeat("x", 65) + `" }`: "delimiter",
	} {
		if got := wrong(t, text, setting{}); !strings.Contains(got, want) {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func TestFriendlyDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1": time.Second, "0.5": 500 * time.Millisecond, "200 usec": 200 * time.Microsecond, "250ms": 250 * time.Millisecond, "60 sec": time.Minute,
		"18h": 18 * time.Hour, "21.5d": 516 * time.Hour, "1 day": 24 * time.Hour, "2w": 336 * time.Hour, "6 weeks": 1008 * time.Hour, " 1 hour ": time.Hour,
		"5 minutes": 5 * time.Minute, "3m": 3 * time.Minute,
	} {
		if got, ok := friendlyDuration(text, time.Second); !ok || got != want {
			t.Errorf("%q: %s, %v, want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", " ", "x", "1  h", "1 hh", ".5", "1.", "-1", "1 h 2"} {
		if got, ok := friendlyDuration(text, time.Second); ok {
			t.Errorf("%q: %s, want none", text, got)
		}
	}
}

func TestFileTurnsOptionsIntoAConfiguration(t *testing.T) {
	_, in, err := setUp(t, `file { path => ["/var/log/**", "/x/**/*.log"] stat_interval => "500 ms" discover_interval => 15 file_chunk_count => 32 ignore_older => 60
		sincedb_clean_after => 2 close_older => "1 hour" max_open_files => 7 file_sort_by => path file_sort_direction => desc delimiter => "|" }`, setting{})
	if err != nil {
		t.Fatal(err)
	}
	c := in.(*fileInput).config
	if !slices.Equal(c.Paths, []string{"/var/log/*", "/x/**/*.log"}) || c.DiscoverInterval != 7500*time.Millisecond || c.TurnBytes != 1<<20 || c.IgnoreOlder != time.Minute ||
		c.Expire != 48*time.Hour || c.CloseInactive != time.Hour || c.MaxOpen != 7 || c.SortBy != "by-path" || !c.Descending || c.Delimiter != "|" || c.StartAt != "end" || c.SaveInterval != 15*time.Second {
		t.Errorf("%+v", c)
	}
}
