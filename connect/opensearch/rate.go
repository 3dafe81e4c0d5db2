package opensearch

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// bucket bounds records a second. A nil bucket does not.
type bucket struct {
	mu   sync.Mutex
	rate float64
	next time.Time // when what was taken so far is paid for; guarded by mu
}

func newBucket(rate float64) *bucket {
	if rate <= 0 {
		return nil
	}
	return &bucket{rate: rate}
}

// take waits until n records may be written.
func (b *bucket) take(ctx context.Context, n int) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	now := time.Now()
	if b.next.Before(now) {
		b.next = now
	}
	wait := b.next.Sub(now)
	b.next = b.next.Add(time.Duration(float64(n) / b.rate * float64(time.Second)))
	b.mu.Unlock()
	if wait == 0 {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ParseRate reads records a second: 5k/s, 2500/s, 1.5k.
func ParseRate(s string) (float64, error) {
	number := strings.TrimSuffix(strings.TrimSpace(s), "/s")
	scale := 1.0
	if n, ok := strings.CutSuffix(strings.ToLower(number), "k"); ok {
		number, scale = n, 1000
	} else if n, ok := strings.CutSuffix(strings.ToLower(number), "m"); ok {
		number, scale = n, 1e6
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v > 0) || v > 1e12 {
		return 0, fmt.Errorf("rate %q: want documents a second, like 5k/s or 2500/s", s)
	}
	return v * scale, nil
}

// A Window is a time of day. The zero value is all day.
type Window struct {
	from, to time.Duration // since midnight; to may be before from
	zone     *time.Location
}

// ParseWindow reads a time of day: 22:00-06:00, 22:00-06:00 Asia/Seoul.
func ParseWindow(s string) (Window, error) {
	wrong := func() (Window, error) {
		return Window{}, fmt.Errorf("window %q: want a time of day like 22:00-06:00, or 22:00-06:00 Asia/Seoul", s)
	}
	times, zone, _ := strings.Cut(strings.TrimSpace(s), " ")
	from, to, ok := strings.Cut(times, "-")
	if !ok {
		return wrong()
	}
	w := Window{zone: time.Local}
	for _, side := range []struct {
		text string
		into *time.Duration
	}{{from, &w.from}, {to, &w.to}} {
		t, err := time.Parse("15:04", side.text)
		if err != nil {
			return wrong()
		}
		*side.into = time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	}
	if w.from == w.to {
		return wrong()
	}
	if zone = strings.TrimSpace(zone); zone != "" {
		z, err := time.LoadLocation(zone)
		if err != nil {
			return Window{}, fmt.Errorf("window %q: %w", s, err)
		}
		w.zone = z
	}
	return w, nil
}

// Open reports whether the window is open at t, and if not, when it will be.
func (w Window) Open(t time.Time) (open bool, next time.Time) {
	if w.from == w.to {
		return true, time.Time{}
	}
	t = t.In(w.zone)
	// The clock on the wall counts, also on days that are an hour longer or shorter.
	now := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second
	if w.from < w.to {
		open = now >= w.from && now < w.to
	} else {
		open = now >= w.from || now < w.to
	}
	if open {
		return true, time.Time{}
	}
	day := t.Day()
	if now >= w.from {
		day++
	}
	return false, time.Date(t.Year(), t.Month(), day, int(w.from/time.Hour), int(w.from/time.Minute)%60, 0, 0, w.zone)
}

func (w Window) String() string {
	if w.from == w.to {
		return "always"
	}
	clock := func(d time.Duration) string { return fmt.Sprintf("%02d:%02d", d/time.Hour, d/time.Minute%60) }
	return fmt.Sprintf("%s-%s %s", clock(w.from), clock(w.to), w.zone)
}

// loopback reports that all of the target's addresses are of this machine.
func (c *Client) loopback() bool {
	for _, raw := range c.target.URLs {
		u, err := url.Parse(raw)
		if err != nil {
			return false
		}
		if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}
