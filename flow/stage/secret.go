package stage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
)

// A Secret is a key. However it is printed, it shows as ***.
type Secret struct{ b []byte }

// MaskKeyEnv is the environment variable that holds the mask key.
const MaskKeyEnv = "NARU_MASK_KEY"

// minKeyBytes is the least that is taken for a key.
const minKeyBytes = 16

// NewSecret makes a key of what it is given, without white space at its ends.
func NewSecret(key []byte) (Secret, error) {
	key = bytes.TrimSpace(key)
	if len(key) < minKeyBytes {
		return Secret{}, fmt.Errorf("it has %d bytes, want at least %d; `openssl rand -hex 32` prints a good one", len(key), minKeyBytes)
	}
	return Secret{bytes.Clone(key)}, nil
}

// LoadMaskKey reads the mask key from file, or, when file is empty, from the environment variable MaskKeyEnv.
func LoadMaskKey(file string, getenv func(string) string) (Secret, error) {
	if file == "" {
		v := getenv(MaskKeyEnv)
		if v == "" {
			return Secret{}, errors.New("there is no mask key: set " + MaskKeyEnv + ", or name a file that holds it; `openssl rand -hex 32` prints a good one")
		}
		key, err := NewSecret([]byte(v))
		if err != nil {
			return Secret{}, fmt.Errorf("mask key in %s: %w", MaskKeyEnv, err)
		}
		return key, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return Secret{}, fmt.Errorf("mask key: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	const maxBytes = 64 << 10
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return Secret{}, fmt.Errorf("mask key: %w", err)
	}
	if len(text) > maxBytes {
		return Secret{}, fmt.Errorf("mask key in %s: it has more than %d bytes", file, maxBytes)
	}
	key, err := NewSecret(text)
	if err != nil {
		return Secret{}, fmt.Errorf("mask key in %s: %w", file, err)
	}
	return key, nil
}

const hidden = "***"

func (s Secret) String() string { return hidden }

// Format hides the key from every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText hides the key from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the key from loggers.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }
