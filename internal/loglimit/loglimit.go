// Package loglimit keeps a log readable and cheap where each of a million events has something to complain about: of messages that
// are alike some pass in each period, the others are counted, and the count is said.
package loglimit

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// New gives a handler that passes at most burst messages that are alike in each period on to h: of the same level and text, and the
// same value of the attribute by. What was left out is said with the next message that passes after the period: left_out=N. Whatever
// is below Warn passes always; who asked for it wants it.
func New(h slog.Handler, by string, burst int, period time.Duration) slog.Handler {
	return &handler{Handler: h, by: by, book: &book{burst: burst, period: period, seen: map[key]*count{}}}
}

type handler struct {
	slog.Handler
	by   string
	own  string // the value of by that With gave
	book *book
}

type key struct {
	level   slog.Level
	message string
	by      string
}

type count struct {
	since        time.Time
	passed, left int
}

// A book counts, for a handler and those derived from it.
type book struct {
	burst  int
	period time.Duration

	mu   sync.Mutex
	seen map[key]*count
}

// largest is how many kinds of messages are told apart. Texts are the program's own, so there are few.
const largest = 10_000

// take says whether a message passes, and how many like it did not in the period before.
func (b *book) take(k key, now time.Time) (passes bool, left int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.seen[k]
	if c == nil {
		if len(b.seen) >= largest {
			clear(b.seen)
		}
		c = &count{since: now}
		b.seen[k] = c
	}
	if now.Sub(c.since) >= b.period {
		left = c.left
		*c = count{since: now}
	}
	if c.passed == b.burst {
		c.left++
		return false, 0
	}
	c.passed++
	return true, left
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		return h.Handler.Handle(ctx, r)
	}
	k := key{r.Level, r.Message, h.own}
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == h.by {
			k.by = a.Value.String()
		}
		return a.Key != h.by
	})
	passes, left := h.book.take(k, r.Time)
	if !passes {
		return nil
	}
	if left > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("left_out", left))
	}
	return h.Handler.Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	derived := *h
	for _, a := range attrs {
		if a.Key == h.by {
			derived.own = a.Value.String()
		}
	}
	derived.Handler = h.Handler.WithAttrs(attrs)
	return &derived
}

func (h *handler) WithGroup(name string) slog.Handler {
	derived := *h
	derived.Handler = h.Handler.WithGroup(name)
	return &derived
}
