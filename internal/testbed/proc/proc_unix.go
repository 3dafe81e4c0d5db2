//go:build unix

package proc

import (
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Group makes a command that is not started yet the leader of a group, which SignalGroup reaches.
func Group(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// SignalGroup sends a signal to a group by its leader's number. syscall.ESRCH: all of it has ended.
func SignalGroup(leader int, s syscall.Signal) error { return syscall.Kill(-leader, s) }

// CPU is how much time of processors this process has taken so far; 0 where it is not known.
func CPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Inode gives the numbers by which a file's system and its device know it; ok says that there are such.
func Inode(info os.FileInfo) (inode, device uint64, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return st.Ino, uint64(st.Dev), true //nolint:unconvert,gosec // of another size elsewhere
}

// Fifo makes a named pipe. errors.ErrUnsupported: there is no such thing.
func Fifo(path string) error { return syscall.Mkfifo(path, 0o644) }
