package opensearch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A Cursor remembers how far a query that is run again and again has got: the largest value of a field among the last hits of its
// slices. The query has :last_value where it is to be put, and :present for half a minute ago. The value is kept in a file once all
// hits are safe.
type Cursor struct {
	File  string
	Field []string // the way to the field in a document
	Seed  string   // the value before the first run
}

// inject puts the value and the time into a query.
func (c *Cursor) inject(query string, now time.Time) (string, error) {
	value := c.Seed
	switch kept, err := os.ReadFile(c.File); {
	case err == nil:
		value = string(kept)
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("read how far the query has got: %w", err)
	}
	const behind = 30 * time.Second // what is newer may not be visible yet
	query = strings.ReplaceAll(query, ":last_value", value)
	return strings.ReplaceAll(query, ":present", now.UTC().Add(-behind).Format("2006-01-02T15:04:05.000000000Z")), nil
}

// value gives the field of a document, as JSON; nil if it has none.
func (c *Cursor) value(source []byte) json.RawMessage {
	at := json.RawMessage(source)
	for _, name := range c.Field {
		var object map[string]json.RawMessage
		if json.Unmarshal(at, &object) != nil {
			return nil
		}
		at = object[name]
	}
	if len(at) == 0 || string(at) == "null" {
		return nil
	}
	return bytes.Clone(at)
}

// save keeps the largest value of the slices.
func (c *Cursor) save(slices []*querySlice) error {
	var largest json.RawMessage
	for _, s := range slices {
		s.mu.Lock()
		v := s.cursor
		s.mu.Unlock()
		if v != nil && (largest == nil || larger(v, largest)) {
			largest = v
		}
	}
	if largest == nil {
		return nil
	}
	text := string(largest)
	var s string
	if json.Unmarshal(largest, &s) == nil {
		text = s
	}
	if err := os.MkdirAll(filepath.Dir(c.File), 0o755); err != nil { //nolint:gosec // as Logstash does
		return fmt.Errorf("keep how far the query has got: %w", err)
	}
	next := c.File + ".new"
	err := writeSynced(next, text)
	if err == nil {
		err = os.Rename(next, c.File)
	}
	if err != nil {
		return fmt.Errorf("keep how far the query has got: %w", err)
	}
	return nil
}

func writeSynced(name, text string) error {
	f, err := os.Create(name) //nolint:gosec // the user says where
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// larger compares two values: numbers as numbers, others as texts.
func larger(a, b json.RawMessage) bool {
	x, errX := strconv.ParseFloat(string(a), 64)
	y, errY := strconv.ParseFloat(string(b), 64)
	if errX == nil && errY == nil {
		return x > y
	}
	return string(a) > string(b)
}
