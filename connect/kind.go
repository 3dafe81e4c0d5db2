package connect

import (
	"fmt"
	"reflect"
	"strings"
)

// exactlyOne checks that one of the kinds in a table's struct is given; where names it in the message.
func exactlyOne(where string, table any) error {
	v := reflect.ValueOf(table)
	var known, given []string
	for _, f := range Fields(v.Type()) {
		known = append(known, f.Name)
		if !v.FieldByIndex(f.Index).IsNil() {
			given = append(given, f.Name)
		}
	}
	if where != "" {
		where += " is missing; "
	}
	switch len(given) {
	case 0:
		return fmt.Errorf("%sgive one of %s", where, strings.Join(known, ", "))
	case 1:
		return nil
	}
	return fmt.Errorf("%s are given; give one of them", strings.Join(given, " and "))
}
