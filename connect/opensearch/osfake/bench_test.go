package osfake_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"github.com/narudata/naru/connect/opensearch/osfake"
)

// BenchmarkBulk says how much a test can send to the fake.
func BenchmarkBulk(b *testing.B) {
	s := osfake.Start(b, osfake.Options{})
	var body bytes.Buffer
	const docs = 5000
	for i := range docs {
		fmt.Fprintf(&body, `{"index":{"_index":"x","_id":"%d"}}`+"\n"+`{"n":%d,"host":"web-%d.example.com","message":"a request of some length that was answered in %d ms","tags":["a","b"],"o":{"at":"2024-01-02T03:04:05Z"}}`+"\n", i, i, i%50, i)
	}
	b.SetBytes(int64(body.Len()))
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.URL()+"/_bulk", bytes.NewReader(body.Bytes()))
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-ndjson")
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
	b.ReportMetric(float64(docs*b.N)/b.Elapsed().Seconds(), "docs/s")
}
