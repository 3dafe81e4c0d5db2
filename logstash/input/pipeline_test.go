package input

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// taking takes one batch of an address.
func taking(t *testing.T, s stream.Stream) *flow.Batch {
	t.Helper()
	var b flow.Batch
	if err := s.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Read(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestWhatIsSentToAnAddressIsSafeOnceItIsAcknowledgedThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a Addresses
		results := make(chan string, 3)
		send := func(text string) {
			results <- fmt.Sprintf("%s %v", text, a.Send(t.Context(), "x", []flow.Record{{Body: []byte(text)}}))
		}
		go send("early") // a moment before anybody has the address
		synctest.Wait()
		l, err := a.listen("x", 3)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.listen("x", 4); err == nil {
			t.Error("two have the address")
		}
		first := taking(t, l)
		if len(first.Records) != 1 || string(first.Records[0].Body) != "early" || first.Records[0].Port != 3 {
			t.Errorf("got %+v", first.Records)
		}
		go send("second")
		second := taking(t, l)
		synctest.Wait()
		if len(results) != 0 {
			t.Errorf("%q is said to be safe", <-results)
		}
		if err := l.Ack(t.Context(), first.Next); err != nil {
			t.Error(err)
		}
		if got := <-results; got != "early <nil>" {
			t.Errorf("got %s", got)
		}
		_ = second
		if err := l.Close(); err != nil { // the pipeline stops hard
			t.Error(err)
		}
		if got, want := <-results, "second "+errStopped.Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		began := time.Now()
		if err := a.Send(t.Context(), "x", nil); !errors.Is(err, ErrNobody) || time.Since(began) != patience {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}
