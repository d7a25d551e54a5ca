# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The processes that a lab keeps running in its hosts.

Private to podnet.cni: may change in any release.

A process is known by its number and its start time together, so that no other process is ever taken for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import Any, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run
from ansible_collections.podnet.cni.plugins.module_utils._host.process import start_time
from ansible_collections.podnet.cni.plugins.module_utils._lab.plan import Process

READY_SECONDS = 30.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.05
LOG_LINES = 5

PROBE = "import sys, urllib.request; urllib.request.build_opener().open(sys.argv[1], timeout=1)"


class ProcessTable:
    """Starts and stops processes; C(folder)/HOST/NAME.json records each, C(folder)/HOST/NAME.log has its output."""

    def __init__(self, folder: str, run: Run) -> None:
        self.folder = folder
        self.run = run

    def _path(self, host: str, name: str, ending: str) -> str:
        return os.path.join(self.folder, host, f"{name}.{ending}")

    def _record(self, host: str, name: str) -> dict[str, Any] | None:
        """Return the record of a process that runs; None when there is none or the process has ended."""
        try:
            with open(self._path(host, name, "json"), encoding="utf-8") as file:
                record: dict[str, Any] = json.load(file)
        except (OSError, ValueError):
            return None
        return record if start_time(record["pid"]) == record["start_time"] else None

    def names(self, host: str) -> list[str]:
        """Return the names of the processes that were started in the host, also of those that have ended since."""
        try:
            entries = os.listdir(os.path.join(self.folder, host))
        except OSError:
            return []
        return sorted(entry[: -len(".json")] for entry in entries if entry.endswith(".json"))

    def revision(self, host: str, name: str) -> str | None:
        """Return the revision that the process was started with; None when it does not run."""
        record = self._record(host, name)
        return None if record is None else str(record.get("revision", ""))

    def log_tail(self, host: str, name: str) -> str:
        """Return the end of what the process has written, in one line."""
        try:
            with open(self._path(host, name, "log"), encoding="utf-8", errors="replace") as log:
                return " | ".join(log.read().splitlines()[-LOG_LINES:])
        except OSError:
            return ""

    def running(self, host: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return name and command line of each process that runs in the host."""
        found = []
        for name in self.names(host):
            record = self._record(host, name)
            if record is not None:
                found.append((name, tuple(record["argv"])))
        return tuple(found)

    def start(self, host: str, process: Process, enter: Sequence[str]) -> None:
        """Start the process behind the command prefix C(enter) and wait until it serves.

        Raises PodnetError with the end of its log when it ends early or does not answer in time.
        """
        os.makedirs(os.path.join(self.folder, host), exist_ok=True)
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **dict(process.environment)}
        with open(self._path(host, process.name, "log"), "ab") as log:
            # each program of the prefix becomes the next one: the number of the child is that of the process
            child = subprocess.Popen(
                [shutil.which(enter[0]) or enter[0], *enter[1:], *process.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=environment,
                start_new_session=True,
            )
        record = {
            "pid": child.pid,
            "start_time": start_time(child.pid),
            "argv": list(process.argv),
            "revision": process.revision,
        }
        with open(self._path(host, process.name, "json"), "w", encoding="utf-8") as file:
            json.dump(record, file)
        if process.ready_url:
            self._await(host, process, child, enter)

    def _await(self, host: str, process: Process, child: subprocess.Popen[bytes], enter: Sequence[str]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while child.poll() is None and time.monotonic() < deadline:
            code, _out, _err = self.run([*enter, sys.executable, "-c", PROBE, process.ready_url], None)
            if code == 0:
                return
            time.sleep(POLL_SECONDS)
        what = (
            f"does not answer at {process.ready_url}"
            if child.poll() is None
            else f"ended with status {child.returncode}"
        )
        self.stop(host, process.name)
        tail = self.log_tail(host, process.name)
        raise PodnetError(f"The process {process.name} ({process.argv[0]}) of the host {host} {what}: {tail}")

    def stop(self, host: str, name: str) -> None:
        """End the process, with SIGKILL when it does not end on SIGTERM, and forget it."""
        record = self._record(host, name)
        if record is not None:
            self._signal(record, signal.SIGTERM)
            if self._record(host, name) is not None:
                self._signal(record, signal.SIGKILL)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(host, name, "json"))

    def stop_all(self, host: str) -> None:
        """End all processes of the host."""
        for name in self.names(host):
            self.stop(host, name)

    def _signal(self, record: dict[str, Any], number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(record["pid"], number)
        deadline = time.monotonic() + STOP_SECONDS
        while start_time(record["pid"]) == record["start_time"] and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
