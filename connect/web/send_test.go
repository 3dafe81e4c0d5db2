package web

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
)

// taker is a server that answers by the path: /503 with that status.
type taker struct {
	*httptest.Server
	mu   sync.Mutex // guards got
	got  []string
	cuts atomic.Int32 // connections to cut before an answer
}

func newTaker(t *testing.T) *taker {
	t.Helper()
	s := &taker{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.cuts.Add(-1) >= 0 {
			panic(http.ErrAbortHandler)
		}
		src := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			src, _ = gzip.NewReader(src)
		}
		body, err := io.ReadAll(src)
		if err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		s.got = append(s.got, fmt.Sprintf("%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("X"), body))
		s.mu.Unlock()
		status := 200
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.Repeat("why ", 1000))
	}))
	t.Cleanup(s.Close)
	return s
}

func TestEachRecordIsARequestOfItsOwn(t *testing.T) {
	s := newTaker(t)
	sink := Send{Client: s.Client(), Method: "PUT", Header: http.Header{"X": {"all"}}, Gzip: true}.Open()
	err := sink.Write(t.Context(), []flow.Record{
		{Key: []byte(s.URL + "/a?b=c"), Body: []byte("one")},
		{Key: []byte(s.URL + "/503"), Body: []byte("two")},
		{Key: []byte(s.URL + "/404?token=secret"), Body: []byte("three")},
		{Key: []byte("ftp://x/"), Body: []byte("four")},
		{Key: []byte(s.URL + "/d"), Meta: AppendHeader(nil, "X", "own"), Body: []byte("five")},
		{Key: []byte(s.URL + "/d"), Meta: []byte{200}, Body: []byte("six")},
	})
	failed, ok := errors.AsType[flow.Failures](err)
	if !ok || len(failed) != 4 {
		t.Fatal(err)
	}
	for i, want := range []struct {
		index     int
		permanent bool
		text      string
	}{{1, false, "503"}, {2, true, "404 Not Found: why why"}, {3, true, "no URL"}, {5, true, "cut off"}} {
		f := failed[i]
		if f.Index != want.index || flow.IsPermanent(f.Err) != want.permanent || !strings.Contains(f.Err.Error(), want.text) || len(f.Err.Error()) > 1000 {
			t.Errorf("%d: %v", f.Index, f.Err)
		}
	}
	if diff := cmp.Diff([]string{"PUT /a?b=c all one", "PUT /503 all two", "PUT /404?token=secret all three", "PUT /d own five"}, s.got); diff != "" {
		t.Error(diff)
	}
	if err := sink.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRecordsAreSentTogether(t *testing.T) {
	s := newTaker(t)
	recs := []flow.Record{{Body: []byte("1")}, {Body: []byte("2")}, {Body: []byte("3")}}
	if err := (Send{Client: s.Client(), Method: "POST", Together: 2, URL: s.URL + "/x"}).Open().Write(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"POST /x  [1,2]", "POST /x  [3]"}, s.got); diff != "" {
		t.Error(diff)
	}
	err := Send{Client: s.Client(), Method: "POST", Together: 2, URL: s.URL + "/503", Once: true}.Open().Write(t.Context(), recs)
	if failed, ok := errors.AsType[flow.Failures](err); !ok || len(failed) != 3 || !flow.IsPermanent(failed[0].Err) {
		t.Errorf("%v", err)
	}
}

func TestARequestWithoutAnAnswerIsMadeAgain(t *testing.T) {
	s := newTaker(t)
	sink := Send{Client: s.Client(), Method: "POST", AtOnce: 2}.Open()
	recs := []flow.Record{{Key: []byte(s.URL + "/?token=secret"), Body: []byte("x")}}
	s.cuts.Store(2)
	if err := sink.Write(t.Context(), recs); err != nil {
		t.Error(err)
	}
	s.cuts.Store(3)
	err := sink.Write(t.Context(), recs)
	failed, ok := errors.AsType[flow.Failures](err)
	if !ok || flow.IsPermanent(failed[0].Err) || strings.Contains(failed[0].Err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	s.Close()
	if err := sink.Write(t.Context(), recs); err == nil || flow.IsPermanent(err) {
		t.Errorf("without a server: %v", err)
	}
}

func TestAServerThatStallsIsGivenUp(t *testing.T) {
	hold := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer s.Close()
	defer close(hold)
	client := s.Client()
	client.Timeout = 50 * time.Millisecond
	err := Send{Client: client, Method: "POST"}.Open().Write(t.Context(), []flow.Record{{Key: []byte(s.URL)}})
	if failed, ok := errors.AsType[flow.Failures](err); !ok || flow.IsPermanent(failed[0].Err) {
		t.Errorf("%v", err)
	}
}
