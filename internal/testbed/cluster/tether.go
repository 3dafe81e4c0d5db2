package cluster

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"

	"github.com/narudata/naru/internal/testbed/proc"
)

// A tether ends processes when this one dies, however it does: a small shell reads from it which there are, and kills them when
// there is nothing to read from any more. Each process leads a group of its own, which is killed with it.
type tether struct {
	mu    sync.Mutex // guards pipe
	pipe  io.WriteCloser
	shell *exec.Cmd
}

// reaper reads lines "+ PID" and "- PID".
const reaper = `declare -A alive
while read -r what pid; do
	if [ "$what" = + ]; then alive[$pid]=1; else unset "alive[$pid]"; fi
done
for pid in "${!alive[@]}"; do kill -KILL -- "-$pid" 2>/dev/null; done
exit 0`

func newTether() (*tether, error) {
	t := &tether{shell: exec.Command("bash", "-c", reaper)} //nolint:noctx // it ends with its input
	proc.Group(t.shell)
	pipe, err := t.shell.StdinPipe()
	if err != nil {
		return nil, err
	}
	t.pipe = pipe
	return t, t.shell.Start()
}

// start starts cmd as the leader of a group. untie is called once it has ended.
func (t *tether) start(cmd *exec.Cmd) (untie func(), err error) {
	proc.Group(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	pid := cmd.Process.Pid
	if err := t.say('+', pid); err != nil {
		_ = proc.SignalGroup(pid, syscall.SIGKILL)
		_ = cmd.Wait()
		return nil, err
	}
	return func() { _ = t.say('-', pid) }, nil // it may be over
}

func (t *tether) say(what byte, pid int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, err := fmt.Fprintf(t.pipe, "%c %d\n", what, pid)
	return err
}

func (t *tether) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.pipe.Close()
	_ = t.shell.Wait()
}
