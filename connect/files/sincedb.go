package files

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseSincedb gives what a sincedb, the file in which Logstash's file input keeps its positions, knows of files, and how many
// lines of it are not understood. A line is
//
//	INODE MAJOR MINOR POSITION                        version 1
//	INODE MAJOR MINOR POSITION UNIX_SECONDS PATH      version 2; the seconds have a fraction, the path may have blanks
//
// JRuby gives the upper bits of st_dev, from the 25th on, for MAJOR, and the others for MINOR. Of a compressed file, which is
// read whole in the mode read, POSITION is its size once it was read; archives says that there are such.
//
// Source: FileWatch::SincedbRecordSerializer, FileWatch::SincedbCollection, FileWatch::ReadMode::Handlers::ReadZipFile.
func ParseSincedb(text []byte, archives bool) (entries []Entry, bad int) {
	at := map[ID]int{}
	for l := range strings.Lines(string(text)) {
		l = strings.TrimRight(l, "\r\n")
		if strings.TrimSpace(l) == "" {
			continue
		}
		e, ok := parseSincedbLine(l, archives)
		if !ok {
			bad++
			continue
		}
		if i, there := at[e.ID]; there {
			entries[i] = e // the last one counts
			continue
		}
		at[e.ID] = len(entries)
		entries = append(entries, e)
	}
	return entries, bad
}

func parseSincedbLine(l string, archives bool) (Entry, bool) {
	var f [5]string
	n := 0
	for ; n < len(f); n++ {
		l = strings.TrimLeft(l, " \t")
		if l == "" {
			break
		}
		end := strings.IndexAny(l, " \t")
		if end < 0 {
			end = len(l)
		}
		f[n], l = l[:end], l[end:]
	}
	if n < 4 {
		return Entry{}, false
	}
	var inode, major, minor uint64
	var position int64
	if !numbers(f[:3], &inode, &major, &minor) || !signed(f[3:4], &position) || inode == 0 || major > math.MaxUint32 || minor > math.MaxUint32 {
		return Entry{}, false
	}
	e := Entry{ID: ID{Device: major<<24 | minor, Inode: inode}, Position: Position{Offset: position}}
	if n == len(f) {
		seconds, err := strconv.ParseFloat(f[4], 64)
		if err != nil || !(seconds >= 0 && seconds < 1<<40) {
			return Entry{}, false
		}
		whole, part := math.Modf(seconds)
		e.Seen = time.Unix(int64(whole), int64(part*1e9))
		e.Path = strings.TrimLeft(l, " \t")
	}
	if archives && (strings.HasSuffix(e.Path, ".gz") || strings.HasSuffix(e.Path, ".gzip")) {
		e.Archive, e.Position = true, Position{}
		if position > 0 {
			e.Done, e.Noted, e.Size = true, true, position
		}
	}
	return e, true
}
