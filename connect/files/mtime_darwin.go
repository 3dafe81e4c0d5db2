package files

import "syscall"

func mtimeOf(st *syscall.Stat_t) syscall.Timespec { return st.Mtimespec }
