package opensearch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
)

func TestADeadLetterIsTheDocumentOfItsLines(t *testing.T) {
	for _, c := range []struct {
		lines string
		want  flow.Record
	}{
		{`{"index":{"_index":"a","_id":"1","routing":"r"}}` + "\n" + `{"v":1}` + "\n", flow.Record{Index: "a", Key: []byte("1"), Routing: []byte("r"), Body: []byte(`{"v":1}`)}},
		{`{"create":{"_index":"a"}}` + "\n" + `{"v":1}` + "\n", flow.Record{Index: "a", Body: []byte(`{"v":1}`)}},
		{`{"index":{"_index":"a","_id":"1","version":"7","version_type":"external"}}` + "\n" + `{}` + "\n", flow.Record{Index: "a", Key: []byte("1"), Version: 7, Body: []byte(`{}`)}},
		{`{"update":{"_index":"a","_id":"1"}}` + "\n" + `{"doc":{"v":1},"upsert":{"w":1}}` + "\n", flow.Record{Index: "a", Key: []byte("1"), Body: []byte(`{"v":1}`)}},
		{`{"update":{"_index":"a","_id":"1"}}` + "\n" + `{"script":{"params":{"event":{"v":1}},"source":"x"}}` + "\n", flow.Record{Index: "a", Key: []byte("1"), Body: []byte(`{"v":1}`)}},
		{`{"delete":{"_index":"a","_id":"1"}}` + "\n", flow.Record{Index: "a", Key: []byte("1")}},
		{`{"index":{"_index":1}}` + "\n{}\n", flow.Record{Body: []byte(`{"message":"{\"index\":{\"_index\":1}}\u000a{}\u000a"}`)}},
	} {
		if diff := cmp.Diff(c.want, DocumentOf(flow.Record{Body: []byte(c.lines)})); diff != "" {
			t.Errorf("%s%s", c.lines, diff)
		}
	}
}

func FuzzItemsOfEvents(f *testing.F) {
	f.Add([]byte(`{"took":1,"errors":true,"items":[{"create":{"status":201}},{"index":{"_id":"\"status\":2","status":409,"error":{"type":"t","reason":"r"}}}]}`))
	f.Add([]byte(`{"errors":false,"items":[{"index":{"status":201}}]}`))
	f.Add([]byte(` {"items" : [ { "delete" : { "status" : 404, "error" : null } } ] } `))
	f.Fuzz(func(t *testing.T, answer []byte) {
		var got []int
		err := eachItem(answer, func(it itemSaid) {
			got = append(got, it.status)
			_ = it.err()
		})
		if allWell(answer, len(got)) && err == nil {
			for _, s := range got {
				if s < 200 || s > 299 && s < 2000 {
					t.Errorf("%q: all is said to be well, and there is status %d", answer, s)
				}
			}
		}
	})
}

func TestAnAnswerThatSaysThatAllIsWellIsReadWithoutAllocations(t *testing.T) {
	answer := []byte(`{"took":12,"errors":false,"items":[{"index":{"status":201}},{"create":{"status":200}}]}`)
	if !allWell(answer, 2) || allWell(answer, 1) || allWell(answer, 3) {
		t.Error("it is not understood")
	}
	if n := testing.AllocsPerRun(100, func() { allWell(answer, 2) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestARefusalSaysWhetherWhatWasSentCanEverBeTaken(t *testing.T) {
	for reason, want := range map[string]bool{
		"rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0, all_bytes=0, coordinating_operation_bytes=2000472, max_coordinating_and_primary_bytes=1048576]":                                   true,
		"rejected execution of coordinating operation [coordinating_and_primary_bytes=900000, replica_bytes=0, all_bytes=0, coordinating_operation_bytes=200472, max_coordinating_and_primary_bytes=1048576]":                               false,
		"rejected execution of primary operation [coordinating_and_primary_bytes=0, replica_bytes=0, all_bytes=0, primary_operation_bytes=2000472, max_coordinating_and_primary_bytes=1048576]":                                             true,
		"rejected execution of replica operation [coordinating_and_primary_bytes=0, replica_bytes=0, all_bytes=0, replica_operation_bytes=2000472, max_replica_bytes=1572864]":                                                              true,
		"[parent] Data too large, data for [<http_request>] would be [262164468/250mb], which is larger than the limit of [255013683/243.1mb], real usage: [202164468/192mb], new bytes reserved: [60000000/57mb], usages [request=0/0b]":   false,
		"[parent] Data too large, data for [<http_request>] would be [462164468/440mb], which is larger than the limit of [255013683/243.1mb], real usage: [162164468/154mb], new bytes reserved: [300000000/286mb], usages [request=0/0b]": true,
		"index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];":                                                                                                   false,
		"": false,
	} {
		if got := oversize(fmt.Errorf("bulk: %w", &StatusError{Status: http.StatusTooManyRequests, Reason: reason})); got != want {
			t.Errorf("%t: %s", got, reason)
		}
	}
	if oversize(&StatusError{Status: http.StatusBadRequest, Reason: "coordinating_operation_bytes=2, max_coordinating_and_primary_bytes=1"}) {
		t.Error("a refusal for another reason")
	}
}

func TestRecordsAreTakenBackOnceNobodyReadsThem(t *testing.T) {
	recs := []flow.Record{{Body: bytes.Repeat([]byte("a"), 10_000)}, {Body: bytes.Repeat([]byte("b"), 10_000)}}
	want := append(bytes.Clone(recs[0].Body), recs[1].Body...)
	of := &lent{recs: recs}
	body := &lentBody{of: of}
	near, far := net.Pipe()
	written := make(chan error, 1)
	go func() {
		_, err := body.writeTo(near)
		written <- errors.Join(err, near.Close())
	}()
	got := make([]byte, 1)
	if _, err := io.ReadFull(far, got); err != nil { // it has begun
		t.Fatal(err)
	}
	back := make(chan struct{})
	go func() {
		of.takeBack()
		for _, r := range recs {
			copy(r.Body, bytes.Repeat([]byte("X"), len(r.Body))) // another batch's
		}
		close(back)
	}()
	select {
	case <-back:
		t.Error("they are taken back while they are written")
	case <-time.After(50 * time.Millisecond):
	}
	rest, err := io.ReadAll(far)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	<-back
	if !bytes.Equal(slices.Concat(got, rest), want) {
		t.Error("bytes of another batch were sent")
	}
	for _, b := range []*lentBody{body, {of: of}} {
		if n, err := b.Read(make([]byte, 10)); n > 0 || !errors.Is(err, errTakenBack) {
			t.Errorf("then %d bytes can be read: %v", n, err)
		}
		if n, err := b.writeTo(near); n > 0 || !errors.Is(err, errTakenBack) {
			t.Errorf("then %d bytes can be written: %v", n, err)
		}
	}
}

func TestABodyIsReadInPiecesOfAnySize(t *testing.T) {
	recs := []flow.Record{{Body: []byte("abc")}, {}, {Body: []byte("de")}, {Body: []byte("fghijklm")}}
	for size := 1; size < 20; size++ {
		b := &lentBody{of: &lent{recs: recs}}
		var got []byte
		piece := make([]byte, size)
		for {
			n, err := b.Read(piece)
			got = append(got, piece[:n]...)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || n == 0 {
				t.Fatalf("%d bytes: %v", n, err)
			}
		}
		if string(got) != "abcdefghijklm" {
			t.Errorf("in pieces of %d: %q", size, got)
		}
	}
}
