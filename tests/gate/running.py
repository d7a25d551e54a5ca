# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run one gate: its commands in order, output kept in a log, tests counted from the JUnit files that pytest writes."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from stage import BUILD, ROOT, STAGED

# The integration tests take some 40 minutes on two quiet cores, and twice that on a slow day.
TIMEOUT = 4800
# How pytest lists what failed at first and was run again.
AGAIN = "RERUN "
# What says why a gate failed: of Ansible, molecule, pytest and linters.
REASON = re.compile(r"^(fatal|failed): |^\[?(ERROR|CRITICAL)\b|^(E  |FAILED |ERROR )|^\S+:\d+(:\d+)?: ")
REASONS, LAST, WIDTH = 8, 8, 600
_running: set[subprocess.Popen] = set()
# What was interrupted is not tried again.
_interrupted = threading.Event()


@dataclass(frozen=True)
class Gate:
    """One check. `lock` names what no other gate may use meanwhile, `shares` what others may use that share it too;
    `reports` are the JUnit files it leaves, `skips_with` what stands before the reason in the output of one that could
    not do its work here, or a part of it unless `skips_whole`, `weight` about how many seconds it takes, `needs_tools`
    whether it runs programs of tests/tools, `tries` how often it is run before it counts as failed.
    """

    name: str
    commands: Sequence[Sequence[str]]
    groups: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = STAGED
    lock: str = ""
    shares: str = ""
    reports: tuple[Path, ...] = ()
    skips_with: str = ""
    skips_whole: bool = True
    weight: int = 0
    only_on_request: bool = False
    needs_tools: bool = False
    tries: int = 1

    def keeps_out(self, other: Gate) -> bool:
        """Whether the other gate must wait for this one."""
        holds = self.lock != "" and self.lock in (other.lock, other.shares)
        return holds or (self.shares != "" and self.shares == other.lock)

    def shown(self) -> str:
        """The commands as a person would type them, without this machine's paths."""
        text = " && ".join(shlex.join(command) for command in self.commands)
        return text.replace(f"{ROOT}/.venv/bin/", "").replace(f"{ROOT}/", "")


@dataclass
class Result:
    """What came of a gate. `skipped` holds (test, reason), `ran` the tests that passed or failed, `again` what passed
    only when it was run again.
    """

    gate: Gate
    ok: bool
    seconds: float
    log: Path
    passed: int = 0
    failed: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    ran: set[str] = field(default_factory=set)
    has_tests: bool = False
    again: list[str] = field(default_factory=list)

    @property
    def word(self) -> str:
        """The result in the table: a gate that proved nothing does not count as passed."""
        if not self.ok:
            return "FAILED"
        return "skipped" if self.skipped and self.gate.skips_with and self.gate.skips_whole else "ok"

    def gist(self) -> list[str]:
        """Return the lines of the log that say why the gate failed, and its last ones: whoever has only the end of a
        run's output must find the reason there."""
        lines = [line.rstrip()[:WIDTH] for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines()]
        lines = [line for line in lines if line]
        reasons = [line for line in lines[:-LAST] if REASON.search(line)]
        return [*reasons[-REASONS:], *lines[-LAST:]]

    def show(self) -> None:
        """Print the command, and the last line of its output, or all of it when the gate failed."""
        text = self.log.read_text(encoding="utf-8", errors="replace").rstrip()
        print(f"== {self.gate.name}: {self.gate.shown()}")
        if self.ok:
            print(
                f"   {self.word} in {self.seconds:.1f} s: {text.splitlines()[-1] if text else 'no output'}", flush=True
            )
        else:
            print(f"{text}\n   FAILED {self.gate.name} after {self.seconds:.1f} s", flush=True)


def _end(process: subprocess.Popen) -> None:
    """End a command with everything it started. An interrupt lets tests take their namespaces down first."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def _run(command: Sequence[str], gate: Gate, log: Path) -> int:
    with log.open("ab") as output:
        environment = {**os.environ, **gate.environment}
        process = subprocess.Popen(
            command,
            cwd=gate.cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        _running.add(process)
        try:
            return process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            output.write(f"\nended after {TIMEOUT} s without a result\n".encode())
            _end(process)
            return 124
        finally:
            _running.discard(process)


def _count(result: Result) -> None:
    for pattern in result.gate.reports:
        files = sorted(pattern.parent.glob(pattern.name))
        if not files:
            result.ok = False
        for file in files:
            cases = ET.parse(file).iter("testcase")
            # Of a test that was run again the last result counts.
            for name, case in {f"{case.get('classname', '')}.{case.get('name', '')}": case for case in cases}.items():
                test, skip = name.removeprefix("tests."), case.find("skipped")
                if skip is not None:
                    result.skipped.append((test, " ".join(skip.get("message", "no reason given").split())))
                    continue
                result.ran.add(test)
                if case.find("failure") is not None or case.find("error") is not None:
                    result.failed += 1
                else:
                    result.passed += 1
    result.has_tests = bool(result.gate.reports)
    # A gate made of tests that ran none proves nothing.
    if result.has_tests and not result.passed + result.failed + len(result.skipped):
        result.ok = False


def run_gate(gate: Gate) -> Result:
    """Run the gate's commands until one fails."""
    log = BUILD / "logs" / f"{gate.name}.log"
    begin = time.monotonic()
    ok, tries = False, 0
    while not ok and tries < gate.tries and not _interrupted.is_set():
        if tries:
            with log.open("a", encoding="utf-8") as output:
                output.write("\n== it failed; once more\n")
        tries += 1
        ok = all(_run(command, gate, log) == 0 for command in gate.commands)
    result = Result(gate, ok, time.monotonic() - begin, log)
    _count(result)
    if ok:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        result.again = ["all of it"] * (tries > 1) + [line[len(AGAIN) :] for line in lines if line.startswith(AGAIN)]
    if gate.skips_with and ok:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            _before, found, reason = line.partition(gate.skips_with)
            if found:
                result.skipped.append(
                    ("all of it" if gate.skips_whole else "a part of it", f"{gate.skips_with}{reason}")
                )
                break
    return result


def run_gates(gates: Sequence[Gate], workers: int) -> Iterator[Result]:
    """Run the gates, `workers` at a time and never two that keep each other out; yields each result as it comes.

    Long gates go first, so that no worker is left alone with one of them at the end.
    """
    waiting = sorted(gates, key=lambda gate: -gate.weight)
    running: dict[Future[Result], Gate] = {}
    with ThreadPoolExecutor(workers) as pool:
        while waiting or running:
            for gate in list(waiting):
                if len(running) < workers and not any(each.keeps_out(gate) for each in running.values()):
                    waiting.remove(gate)
                    running[pool.submit(run_gate, gate)] = gate
            try:
                done, _rest = wait(running, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:
                _interrupted.set()
                for process in list(_running):
                    _end(process)
                raise
            for future in done:
                del running[future]
                yield future.result()
