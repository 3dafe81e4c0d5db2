package opensearch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// allWell reports that an answer to _bulk says of n items that they went well. It may say false of one that does, if the answer
// is written in an unusual way.
func allWell(answer []byte, n int) bool {
	rest, ok := bytes.CutPrefix(answer, []byte(`{"took":`))
	if ok {
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		rest, ok = bytes.CutPrefix(rest[digits:], []byte(`,"errors":false,`))
	} else {
		rest, ok = bytes.CutPrefix(answer, []byte(`{"errors":false,`))
	}
	// The quotes of a text within a text have backslashes, so that only members are counted.
	return ok && bytes.HasSuffix(rest, []byte("]}")) && bytes.Count(rest, []byte(`"status":2`)) == n
}

// itemSaid is what an answer to _bulk says of an item.
type itemSaid struct {
	action    []byte
	status    int
	raw       []byte // the error as it is written; nil: none
	errorType []byte // nil: none
}

// eachItem gives the items of an answer to _bulk, in their order. It is an error if the answer is none of _bulk.
func eachItem(answer []byte, item func(it itemSaid)) error {
	found := false
	end := eachMember(answer, max(0, skipSpace(answer, 0)), func(key []byte, at int) int {
		if string(key) != "items" || found {
			return skipValueAfterSpace(answer, at, false)
		}
		found = true
		return eachElement(answer, at, func(at int) int {
			members := 0
			end := eachMember(answer, at, func(action []byte, at int) int {
				members++
				return parseItem(answer, at, action, item)
			})
			if end >= 0 && members != 1 {
				return malformed
			}
			return end
		})
	})
	switch {
	case end == needMore:
		return errors.New("answer to _bulk: it is cut")
	case end < 0:
		return fmt.Errorf("answer to _bulk: it cannot be read: %.200q", answer)
	case !found:
		return fmt.Errorf("answer to _bulk: there are no items: %.200q", answer)
	}
	return nil
}

func parseItem(b []byte, at int, action []byte, item func(it itemSaid)) int {
	it := itemSaid{action: action}
	if at = skipSpace(b, at); at < 0 {
		return at
	}
	end := eachMember(b, at, func(key []byte, at int) int {
		end := skipValueAfterSpace(b, at, false)
		if end < 0 {
			return end
		}
		value := trimSpace(b[at:end])
		switch string(key) {
		case "status":
			it.status = 0
			for _, c := range value {
				if c < '0' || c > '9' || it.status > 999 {
					return malformed
				}
				it.status = 10*it.status + int(c-'0')
			}
		case "error":
			if string(value) != "null" {
				it.raw, it.errorType = value, errorTypeOf(value)
			}
		}
		return end
	})
	switch {
	case end < 0:
		return end
	case it.status < 100:
		return malformed
	}
	item(it)
	return end
}

// errorTypeOf gives the type of an error; nil if it is a text.
func errorTypeOf(raw []byte) []byte {
	var typ []byte
	eachMember(raw, 0, func(key []byte, at int) int {
		end := skipValueAfterSpace(raw, at, false)
		if end < 0 {
			return end
		}
		if v := trimSpace(raw[at:end]); string(key) == "type" && len(v) >= 2 && v[0] == '"' {
			typ = v[1 : len(v)-1]
		}
		return end
	})
	return typ
}

// eachElement walks the array that comes after white space and gives the place after it. element gives the place after the
// element that begins at b[at].
func eachElement(b []byte, i int, element func(at int) int) int {
	next := func(i int) int {
		if i = skipSpace(b, i); i >= len(b) {
			return needMore
		}
		return i
	}
	if i = next(i); i < 0 {
		return i
	}
	if b[i] != '[' {
		return malformed
	}
	if i = next(i + 1); i < 0 {
		return i
	}
	if b[i] == ']' {
		return i + 1
	}
	for {
		if i = element(i); i < 0 {
			return i
		}
		if i = next(i); i < 0 {
			return i
		}
		switch b[i] {
		case ']':
			return i + 1
		case ',':
			if i = next(i + 1); i < 0 {
				return i
			}
		default:
			return malformed
		}
	}
}

// err is why the item failed.
func (it *itemSaid) err() error {
	e := &StatusError{Status: it.status}
	var r reason
	if it.raw != nil {
		if json.Unmarshal(it.raw, &r) == nil {
			e.Type, e.Reason = r.Type, r.text()
		} else {
			e.Reason = string(it.raw)
		}
	}
	return e
}
