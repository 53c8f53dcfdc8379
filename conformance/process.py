"""A server process: started, waited for, and stopped by its own pid.

Nothing is looked up or ended by name. `stop` sends SIGTERM, waits, and returns the exit code; a
process that does not end in time is killed, and that is an error of the run.
"""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request


def end_on_signals():
    """Makes SIGTERM end the run as an exit does, so that children are stopped on the way out."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def absolute(path):
    """A path that stays good when a child process works elsewhere."""
    return pathlib.Path(path).absolute()


def free_port():
    """A port of the loopback address that nobody listened on a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, seconds, poll):
    """Calls `poll` until it returns something true, which is the result."""
    end = time.monotonic() + seconds
    while True:
        result = poll()
        if result:
            return result
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not after {seconds} s")
        time.sleep(0.1)


def answers(url):
    """Whether an HTTP server answers there, whatever it says."""
    try:
        urllib.request.urlopen(url, timeout=10).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


class Process:
    """One child with its output in a log file; as a context manager it is stopped at the end."""

    def __init__(self, name, argv, log, env=None):
        self.name, self.log = name, log
        # a cloud that the caller has sourced is not the one under test
        clean = {k: v for k, v in os.environ.items() if not k.startswith("OS_")}
        with open(log, "wb") as out:
            self.child = subprocess.Popen(
                [str(a) for a in argv], env={**clean, **(env or {})},
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.stop()

    def must_live(self):
        """Raises with the end of the log when the process has ended."""
        if self.child.poll() is not None:
            with open(self.log, errors="replace") as f:
                tail = f.read()[-2000:]
            raise RuntimeError(f"{self.name} ended with {self.child.returncode}: {tail}")

    def wait_ready(self, seconds, poll):
        """Waits for `poll`, and no longer than the process lives."""
        def once():
            self.must_live()
            return poll()
        return wait_until(f"{self.name} ready (log: {self.log})", seconds, once)

    def stop(self, seconds=30):
        """Sends SIGTERM and returns the exit code."""
        self.child.terminate()
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise RuntimeError(f"{self.name} did not end {seconds} s after SIGTERM") from None
