package loglimit_test

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/narudata/naru/internal/loglimit"
)

func TestOfMessagesThatAreAlikeSomePassAndTheOthersAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		log := slog.New(loglimit.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}), "filter", 3, 10*time.Second))
		for i := range 100 {
			log.Warn("it failed", "filter", "grok", "n", i)
		}
		if n := strings.Count(out.String(), "it failed"); n != 3 {
			t.Errorf("%d messages passed:\n%s", n, out.String())
		}
		time.Sleep(10 * time.Second)
		log.Warn("it failed", "filter", "grok")
		log.Warn("it failed", "filter", "grok")
		if n := strings.Count(out.String(), "left_out=97"); n != 1 {
			t.Errorf("what was left out is said %d times:\n%s", n, out.String())
		}
	})
}

func TestMessagesOfOtherPlacesTextsAndLevelsHaveTheirOwnCounts(t *testing.T) {
	var out strings.Builder
	log := slog.New(loglimit.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}), "filter", 1, time.Hour))
	for range 5 {
		log.Warn("a", "filter", "1")
		log.Warn("a", "filter", "2")
		log.With("filter", "3").Warn("a")
		log.WithGroup("g").Warn("b")
		log.Error("a", "filter", "1")
	}
	if n := strings.Count(out.String(), "\n"); n != 5 {
		t.Errorf("%d messages passed, want 5:\n%s", n, out.String())
	}
	out.Reset()
	for range 5 {
		log.Debug("asked for")
		log.Info("asked for")
	}
	if n := strings.Count(out.String(), "\n"); n != 10 {
		t.Errorf("%d of 10 messages below Warn passed", n)
	}
}

func TestManyAtOnceAreCountedRightly(t *testing.T) {
	var mu sync.Mutex
	var out strings.Builder
	write := writerFunc(func(p []byte) (int, error) { mu.Lock(); defer mu.Unlock(); return out.Write(p) })
	log := slog.New(loglimit.New(slog.NewTextHandler(write, nil), "filter", 7, time.Hour))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				log.Warn("x")
			}
		})
	}
	wg.Wait()
	if n := strings.Count(out.String(), "\n"); n != 7 {
		t.Errorf("%d passed, want 7", n)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
