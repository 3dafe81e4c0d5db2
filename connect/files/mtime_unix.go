//go:build unix && !darwin

package files

import "syscall"

func mtimeOf(st *syscall.Stat_t) syscall.Timespec { return st.Mtim }
