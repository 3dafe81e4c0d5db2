package opensearch_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch"
)

func TestARecordWithoutABodyAndOneThatIsLargerThanAPieceGoOutWhole(t *testing.T) {
	got := make(chan []byte, 1)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || int64(len(body)) != r.ContentLength {
			t.Errorf("%d bytes of %d: %v", len(body), r.ContentLength, err)
		}
		got <- body
		fmt.Fprint(w, `{"took":1,"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}},{"create":{"status":201}}]}`) //nolint:errcheck // the test sees it
	})}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)   //nolint:errcheck // it is closed
	defer server.Close() //nolint:errcheck // the test is over
	s := dialEvents(t, opensearch.Endpoint{URLs: []string{"http://" + l.Addr().String()}}, opensearch.EventsOptions{})
	recs := lines(`{"create":{}}`, "", string(bytes.Repeat([]byte("b"), 300<<10)))
	recs[1].Body = nil
	var want []byte
	for _, r := range recs {
		want = append(want, r.Body...)
	}
	if err := s.Write(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(<-got, want) {
		t.Error("other bytes have arrived")
	}
}
