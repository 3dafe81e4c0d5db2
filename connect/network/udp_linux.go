package network

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// inode is what the kernel calls the socket of a connection in its lists.
func inode(conn *net.UDPConn) string {
	var link string
	control(conn, func(fd int) { link, _ = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)) })
	if id, ok := strings.CutPrefix(link, "socket:["); ok {
		return strings.TrimSuffix(id, "]")
	}
	return ""
}

// receiveBuffer is how many bytes the socket can be asked to keep; 0: not known. The kernel counts its own use, too: it says
// twice as much.
func receiveBuffer(conn *net.UDPConn) int {
	n := 0
	control(conn, func(fd int) { n, _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF) })
	return n / 2
}

func control(conn *net.UDPConn, f func(fd int)) {
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { f(int(fd)) }) //nolint:gosec // descriptors are small
	}
}

// kernelDrops is how many packets the kernel dropped of a socket, as /proc/net/udp says in the last column; 0: not known.
func kernelDrops(inode string) int64 {
	if inode == "" {
		return 0
	}
	for _, name := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		if n, ok := dropsIn(name, inode); ok {
			return n
		}
	}
	return 0
}

// dropsIn reads one list: sl, local, remote, st, queues, tr tm->when, retrnsmt, uid, timeout, inode, ref, pointer, drops.
func dropsIn(name, inode string) (int64, bool) {
	f, err := os.Open(name)
	if err != nil {
		return 0, false
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 13 && fields[9] == inode {
			n, err := strconv.ParseInt(fields[12], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
