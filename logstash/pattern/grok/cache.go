package grok

import (
	"runtime"
	"sync"
	"weak"

	"github.com/narudata/naru/logstash/pattern/regex"
)

// compiled keeps the expressions that are in use, so that many pipelines with the same pattern compile it once. An expression
// goes when no pattern has it any more.
var compiled = cache{known: map[cacheKey]weak.Pointer[regex.Regexp]{}}

type cache struct {
	mu    sync.Mutex
	known map[cacheKey]weak.Pointer[regex.Regexp] // guarded by mu
}

type cacheKey struct {
	expression string
	steps      int
}

// get compiles an expression, or gives the one that is there.
func (c *cache) get(expression string, steps int) (*regex.Regexp, error) {
	key := cacheKey{expression, steps}
	c.mu.Lock()
	re := c.known[key].Value()
	c.mu.Unlock()
	if re != nil {
		return re, nil
	}
	re, err := regex.Compile(expression, regex.Options{Multiline: true, Steps: steps})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.known[key].Value(); other != nil {
		return other, nil // compiled at the same time
	}
	c.known[key] = weak.Make(re)
	runtime.AddCleanup(re, c.forget, key)
	return re, nil
}

// forget removes an expression that is gone.
func (c *cache) forget(key cacheKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[key].Value() == nil {
		delete(c.known, key)
	}
}
