# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run an upgrade and press Ctrl-C when its second wave begins.

Usage: interrupt.py READS_LEASE COMMAND [ARGUMENT ...], with a command that prints the Lease's state, as words in JSON.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time


def main() -> None:
    """Fails when the upgrade ends before that."""
    look = json.loads(sys.argv[1])
    with subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL) as process:
        while process.poll() is None:
            state = subprocess.run(look, check=False, capture_output=True, text=True).stdout
            if state and json.loads(state)["record"]["done"] == 1:
                process.send_signal(signal.SIGINT)
                process.wait(60)
                return
            time.sleep(0.05)
    sys.exit(f"the upgrade ended by itself, with status {process.returncode}")


if __name__ == "__main__":
    main()
