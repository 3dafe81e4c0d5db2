//go:build !unix

package proc

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Group does nothing: there are no groups.
func Group(*exec.Cmd) {}

// SignalGroup ends the leader alone, whatever the signal.
func SignalGroup(leader int, _ syscall.Signal) error {
	p, err := os.FindProcess(leader)
	if err != nil {
		return syscall.ESRCH
	}
	return p.Kill()
}

// CPU does not know.
func CPU() time.Duration { return 0 }

// Inode says that there is none.
func Inode(os.FileInfo) (inode, device uint64, ok bool) { return 0, 0, false }

// Fifo gives errors.ErrUnsupported.
func Fifo(string) error { return errors.ErrUnsupported }
