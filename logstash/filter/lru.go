package filter

import (
	"container/list"
	"sync"
	"time"
)

// An lru keeps what was found out of keys, the size last used of them, each for some time. It is safe for concurrent use.
type lru[V any] struct {
	size int
	ttl  time.Duration // 0: for ever

	mu    sync.Mutex // guards what follows
	known map[string]*list.Element
	order *list.List // of *lruEntry[V], the last used first
}

type lruEntry[V any] struct {
	key   string
	value V
	until time.Time
}

// newLRU gives a cache; one of size 0 keeps nothing.
func newLRU[V any](size int, ttl time.Duration) *lru[V] {
	return &lru[V]{size: size, ttl: ttl, known: map[string]*list.Element{}, order: list.New()}
}

// get gives what is known of a key.
func (c *lru[V]) get(key string, now time.Time) (value V, ok bool) {
	if c.size <= 0 {
		return value, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.known[key]
	if !ok {
		return value, false
	}
	entry, _ := at.Value.(*lruEntry[V])
	if c.ttl > 0 && now.After(entry.until) {
		c.order.Remove(at)
		delete(c.known, key)
		return value, false
	}
	c.order.MoveToFront(at)
	return entry.value, true
}

// put keeps a value. The key must not refer to a batch.
func (c *lru[V]) put(key string, value V, now time.Time) {
	if c.size <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	entry := &lruEntry[V]{key, value, now.Add(c.ttl)}
	if at, ok := c.known[key]; ok {
		at.Value = entry
		c.order.MoveToFront(at)
		return
	}
	c.known[key] = c.order.PushFront(entry)
	if c.order.Len() > c.size {
		last := c.order.Back()
		oldest, _ := c.order.Remove(last).(*lruEntry[V])
		delete(c.known, oldest.key)
	}
}
