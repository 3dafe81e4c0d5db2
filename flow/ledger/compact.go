package ledger

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/narudata/naru/flow"
)

// compactAt is the size in bytes below which a file is never compacted.
const compactAt = 1 << 20

// compact replaces the file by one that has the last checkpoint of each part only. When that fails the old
// file does, and it is tried again when the file has doubled. l.writing is held.
func (l *File) compact() {
	f, err := os.CreateTemp(filepath.Dir(l.path), filepath.Base(l.path)+".*.tmp")
	if err != nil {
		l.patience = 2 * l.size
		return
	}
	size, lines, err := l.copyTo(f)
	if err == nil {
		err = os.Rename(f.Name(), l.path)
	}
	if err != nil {
		l.patience = 2 * l.size
		_ = errors.Join(f.Close(), os.Remove(f.Name())) // nothing depends on it
		return
	}
	old := l.file
	l.file, l.size = f, size
	l.mu.Lock()
	l.lines, l.live = lines, size
	l.mu.Unlock()
	if err := syncDir(filepath.Dir(l.path)); err != nil {
		// After a crash the name may lead to the old file, which later lines are not in.
		l.broken = flow.Permanent(fmt.Errorf("compact %s: %w", l.path, err))
	}
	_ = old.Close() // everything in it is synced
}

// copyTo writes the table to f, durably, and locks it.
func (l *File) copyTo(f *os.File) (size int64, lines map[string]int, err error) {
	if err := lock(f); err != nil {
		return 0, nil, err
	}
	if info, err := os.Stat(l.path); err == nil {
		if err := f.Chmod(info.Mode().Perm()); err != nil {
			return 0, nil, err
		}
	}
	l.mu.Lock()
	cs := l.list()
	l.mu.Unlock()
	w := bufio.NewWriterSize(f, 256<<10)
	line, err := appendLine(nil, header{magic, version, l.subject})
	lines = make(map[string]int, len(cs))
	for i := 0; err == nil; i++ {
		if _, err = w.Write(line); err != nil {
			break
		}
		size += int64(len(line))
		if i == len(cs) {
			break
		}
		line, err = appendLine(line[:0], cs[i:i+1])
		lines[cs[i].Part] = len(line)
	}
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	return size, lines, err
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
