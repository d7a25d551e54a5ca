# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run an upgrade and press Ctrl-C when its second wave begins.

Usage: interrupt.py UPGRADE_DIRECTORY COMMAND [ARGUMENT ...]
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    """Fails when the upgrade ends before that."""
    note = Path(sys.argv[1]) / "unfinished.json"
    with subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if note.exists() and json.loads(note.read_text())["done"] == 1:
                process.send_signal(signal.SIGINT)
                process.wait(60)
                return
            time.sleep(0.05)
    sys.exit(f"the upgrade ended by itself, with status {process.returncode}")


if __name__ == "__main__":
    main()
