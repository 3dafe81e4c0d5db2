package opensearch

import (
	"errors"
	"os"
	"strings"
	"syscall"
)

// An origin is where a process runs, as far as another one beside it can tell whether it still does: PIDs mean the
// same to both when the boot and the PID namespace are.
type origin struct {
	place string // "": not known
	pid   int
}

func thisProcess() origin {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return origin{}
	}
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return origin{}
	}
	return origin{strings.TrimSpace(string(boot)) + " " + namespace, os.Getpid()}
}

// sawDie reports that the process with that PID at that place is surely no more. One whose PID another has now counts
// as alive.
func (o origin) sawDie(place string, pid int) bool {
	return o.place != "" && o.place == place && pid > 0 && pid != o.pid && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
