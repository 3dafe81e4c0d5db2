package network

import "bytes"

// A Framing says where messages end in what a connection gives. The zero value takes all that is read at a time for one
// message.
type Framing struct {
	// Delimiter ends messages, and is no part of them.
	Delimiter []byte
	// Counted: messages may also begin with their length in bytes ("47 <34>1 …"), as RFC 6587 says. A length is known by the
	// "<" of a syslog message behind it; what does not begin so ends at the delimiter, or at a line feed if there is none.
	Counted bool
	// KeepDelimiter: the delimiter is the end of its message.
	KeepDelimiter bool
}

// mostDigits is how long a length may be: less than a gigabyte.
const mostDigits = 9

// A splitter cuts messages out of bytes. Messages that are longer than max are cut into pieces of that length.
type splitter struct {
	Framing
	max     int  // above 0
	left    int  // of a counted message of which a piece was given
	within  bool // a piece of a message that is not counted was given
	scanned int  // bytes of what was given that have no delimiter
}

// next gives the first message of data, and how many bytes it takes with its frame; 0: there is no whole one. end says that no
// more bytes will come: what is there is a message then. A message may be empty; nil: there is none in these bytes.
func (s *splitter) next(data []byte, end bool) (message []byte, n int) {
	if len(data) == 0 {
		return nil, 0
	}
	if s.left > 0 {
		return s.counted(data, 0, end)
	}
	if s.Counted && s.scanned == 0 && !s.within {
		if data[0] == '\n' {
			return nil, 1 // some send one after a counted message
		}
		count, size, more := messageLength(data)
		switch {
		case more && !end:
			return nil, 0
		case size > 0:
			s.left = count
			return s.counted(data, size, end)
		}
	}
	delimiter := s.Delimiter
	if len(delimiter) == 0 {
		if !s.Counted {
			n = min(len(data), s.max)
			return data[:n], n
		}
		delimiter = newline
	}
	from := max(0, s.scanned-len(delimiter)+1)
	if i := bytes.Index(data[from:], delimiter); i >= 0 && from+i <= s.max {
		s.scanned, s.within = 0, false
		n = from + i + len(delimiter)
		if s.KeepDelimiter {
			return data[:n], n
		}
		return data[:from+i], n
	}
	if len(data) >= s.max+len(delimiter) || end && len(data) > s.max {
		s.scanned, s.within = 0, true
		return data[:s.max], s.max
	}
	if end {
		s.scanned, s.within = 0, false
		return data, len(data)
	}
	s.scanned = len(data)
	return nil, 0
}

var newline = []byte("\n")

// counted gives what there is of a message of s.left bytes behind a frame, once that is all of it, or max bytes.
func (s *splitter) counted(data []byte, frame int, end bool) (message []byte, n int) {
	want := min(s.left, s.max)
	have := len(data) - frame
	if have < want {
		if !end {
			if frame > 0 {
				s.left = 0 // the frame is read again with the rest
			}
			return nil, 0
		}
		want = have
		s.left = want
	}
	s.left -= want
	if want == 0 {
		return nil, frame
	}
	return data[frame : frame+want], frame + want
}

// cut gives data as a piece of a message that has not ended.
func (s *splitter) cut(data []byte) (message []byte, n int) {
	if s.left == 0 && s.Counted && s.scanned == 0 && !s.within {
		if count, size, _ := messageLength(data); size > 0 {
			s.left = count - (len(data) - size)
			return data[size:], len(data)
		}
	}
	if s.left > 0 {
		s.left -= len(data)
	} else {
		s.scanned, s.within = 0, true
	}
	return data, len(data)
}

// messageLength reads a length, a blank and the beginning of a syslog message. size is what the length and the blank take; 0:
// there is none. more: there may be one when more bytes have come.
func messageLength(data []byte) (count, size int, more bool) {
	for i, c := range data {
		switch {
		case c >= '0' && c <= '9' && (i > 0 || c > '0') && i < mostDigits:
			count = count*10 + int(c-'0')
		case c == ' ' && i > 0:
			if i+1 == len(data) {
				return 0, 0, true
			}
			if data[i+1] != '<' {
				return 0, 0, false
			}
			return count, i + 1, false
		default:
			return 0, 0, false
		}
	}
	return 0, 0, true
}
