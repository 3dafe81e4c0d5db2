"""usage.py OUTPUT COMMAND…: runs the command, with its standard output in the file OUTPUT, and prints its seconds, its CPU
seconds, its peak of resident memory in MiB, and the MB that it had written to disk. Ends with the command's status. The
command is killed when this is told to end, or the shell that started this is gone."""

import ctypes
import os
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1  # prctl(2)
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

start = time.monotonic()
with open(sys.argv[1], "wb") as output:
    child = subprocess.Popen(sys.argv[2:], stdout=output)
signal.signal(signal.SIGTERM, lambda *_: child.kill())
_, status, usage = os.wait4(child.pid, 0)
wall = time.monotonic() - start
print(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, usage.ru_oublock * 512 / 1e6)  # blocks of 512 bytes
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
