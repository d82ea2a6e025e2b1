"""Runs a command and ends it, with all it started, when standard input closes.

The harness holds the other end of standard input: however it goes (return, panic, signal, kill), the pipe closes
and nothing that it started is left behind.

    python leash.py COMMAND [ARGUMENT ...]
"""

import os
import signal
import subprocess
import sys
import threading

GRACE = 4.0  # seconds between asking and forcing


def main() -> int:
    # A ctrl-c reaches the whole foreground group: the harness dies of it, and the pipe tells us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)

    def signal_group(number: int) -> None:
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            pass

    def end() -> None:
        signal_group(signal.SIGTERM)
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            signal_group(signal.SIGKILL)

    def watch() -> None:
        while os.read(0, 1):
            pass
        end()

    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=end).start())
    threading.Thread(target=watch, daemon=True).start()
    code = child.wait()
    signal_group(signal.SIGKILL)  # what the child left behind
    return code


if __name__ == "__main__":
    sys.exit(main())
