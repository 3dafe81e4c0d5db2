package regex

import (
	"testing"
	"unsafe"
)

func TestAnInstructionFitsALineOfTheCache(t *testing.T) {
	if n := unsafe.Sizeof(instruction{}); n != 64 {
		t.Errorf("it has %d bytes", n)
	}
}
