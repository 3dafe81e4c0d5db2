package blob

import (
	"context"
	"fmt"
	"strings"
)

// Remote reports that a place is the URL of a remote store, s3://…, rather than a path or a file:// URL.
func Remote(place string) bool { return strings.HasPrefix(place, s3Scheme) }

// A Closer is a Store that holds on to something until it is closed.
type Closer interface {
	Store
	Close() error
}

// Open opens the store at a path, a file:// URL or an s3:// URL (see ParseS3). A remote one reads ahead: see InOrder.
func Open(ctx context.Context, place string) (Closer, error) {
	if Remote(place) {
		c, err := ParseS3(place)
		if err != nil {
			return nil, err
		}
		s, err := c.Open(ctx)
		if err != nil {
			return nil, err
		}
		return NewAhead(s, AheadConfig{}), nil
	}
	path, err := localPath(place)
	if err != nil {
		return nil, err
	}
	return OpenDir(path)
}

// localPath is the path of a place that is not remote.
func localPath(place string) (string, error) {
	path, ok := strings.CutPrefix(place, "file://")
	if !ok && strings.Contains(place, "://") {
		return "", fmt.Errorf("%s: give a path, a file:// URL or an s3:// URL", place)
	}
	return path, nil
}
