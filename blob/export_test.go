package blob

import "time"

// Age makes the store's credentials older than credentials are tried for.
func Age(s *S3) {
	c := *s.client.Load()
	c.made = time.Now().Add(-2 * renewed)
	s.client.Store(&c)
}
