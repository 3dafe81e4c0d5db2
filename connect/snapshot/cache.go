package snapshot

import (
	"context"
	"slices"
	"sync"

	"github.com/narudata/naru/blob"
)

// shardCache keeps the shards that are being read, so that the parts of one share what describes it and the
// checks of its files. Its zero value is ready.
type shardCache struct {
	mu     sync.Mutex
	shards map[string]*cachedShard // guarded by mu
	used   []string                // guarded by mu; the least recently used first
}

type cachedShard struct {
	mu    sync.Mutex
	shard *shard // guarded by mu; nil: not read yet
}

// cachedShards bounds the cache. A shard's description takes some 100 kB, more if it has thousands of files.
const cachedShards = 256

func (c *shardCache) get(ctx context.Context, store blob.Store, dir, uuid string) (*shard, error) {
	key := dir + " " + uuid
	c.mu.Lock()
	if c.shards == nil {
		c.shards = make(map[string]*cachedShard)
	}
	entry := c.shards[key]
	if entry == nil {
		entry = new(cachedShard)
		c.shards[key] = entry
	}
	if i := slices.Index(c.used, key); i >= 0 {
		c.used = slices.Delete(c.used, i, i+1)
	}
	c.used = append(c.used, key)
	if len(c.used) > cachedShards {
		delete(c.shards, c.used[0])
		c.used = slices.Delete(c.used, 0, 1)
	}
	c.mu.Unlock()

	entry.mu.Lock()
	defer entry.mu.Unlock()
	if entry.shard != nil {
		return entry.shard, nil
	}
	s, err := openShard(ctx, store, dir, uuid)
	if err == nil {
		entry.shard = s
	}
	return s, err
}
