package blob_test

import (
	"testing"
	"time"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/internal/testbed/bucket"
)

// BenchmarkS3InOrder reads 64 MiB in windows of 1 MiB from a server whose every answer takes 30 ms.
func BenchmarkS3InOrder(b *testing.B) {
	bucket.Credentials(b, "")
	s := bucket.Start(b, nil)
	const size, window = 64 << 20, 1 << 20
	s.Put(b, "p", map[string][]byte{"x": noise(1, size)})
	s.Latency(30 * time.Millisecond)
	store := openS3(b, s, "p", nil)
	for name, open := range map[string]func() blob.Closer{
		"plain": func() blob.Closer { return blob.InOrder(store) },
		"ahead": func() blob.Closer { return blob.InOrder(blob.NewAhead(store, blob.AheadConfig{})) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			p := make([]byte, window)
			for b.Loop() {
				v := open()
				for off := int64(0); off < size; off += window {
					if err := blob.ReadAt(b.Context(), v, "x", p, off); err != nil {
						b.Fatal(err)
					}
				}
				if err := v.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
