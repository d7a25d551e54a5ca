# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The quality gate: run every check on a staged copy of the tree, two at a time, and say what each did.

run.py                      all gates
run.py --only fast,molecule gates by name or group
run.py --list               what there is
run.py --stage-only         only make the copy

The last line counts tests and gates: `N passed, N failed, N skipped`.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import groupby

from gates import all_gates, base_environment
from kubernetes_core import provide
from rescues import CALLBACKS, never_run
from running import Gate, Result, run_gates
from skips import absent, remaining, unexpected
from stage import BUILD, ROOT, STAGED, stage

WORKERS = 2
# Where the callback plugin notes the rescue sections that ran.
NOTES = BUILD / "rescues"
# Of the tests that are skipped for one reason, so many are named.
NAMED = 3


def select(gates: list, wanted: str) -> list:
    """The gates whose name or group is in the comma-separated `wanted`; all when it is empty."""
    if not wanted:
        return [gate for gate in gates if not gate.only_on_request]
    words = set(wanted.split(","))
    known = {word for gate in gates for word in (gate.name, *gate.groups)}
    if words - known:
        sys.exit(f"no such gate or group: {', '.join(sorted(words - known))}; there are: {', '.join(sorted(known))}")
    return [gate for gate in gates if words & {gate.name, *gate.groups}]


def report(results: list[Result], seconds: float) -> int:
    """Print the table, the skipped tests with their reasons and the totals; returns the exit code."""
    print(f"\n{'gate':<24} {'result':<7} {'seconds':>8}  tests")
    for result in sorted(results, key=lambda each: each.gate.name):
        counts = (
            f"{result.passed} passed, {result.failed} failed, {len(result.skipped)} skipped" if result.has_tests else ""
        )
        print(f"{result.gate.name:<24} {result.word:<7} {result.seconds:8.1f}  {counts}".rstrip())
    skipped = [(result.gate.name, reason, test) for result in results for test, reason in result.skipped]
    if skipped:
        print(f"\nskipped tests ({len(skipped)}), by reason:")
        for (gate, reason), group in groupby(sorted(skipped), key=lambda skip: skip[:2]):
            tests = [test for _gate, _reason, test in group]
            more = f" and {len(tests) - NAMED} more" if len(tests) > NAMED else ""
            print(f"  {gate}: {len(tests)}: {reason}: {', '.join(tests[:NAMED])}{more}")
    again = [f"{result.gate.name}: {test}" for result in results for test in result.again]
    if again:
        print(f"\npassed only when run again ({len(again)}):", *again, sep="\n  ")
    failed_gates = [result for result in results if not result.ok]
    for result in failed_gates:
        print(f"\nFAILED {result.gate.name}: {result.log}")
        for line in result.gist():
            print(f"   {line}")
    passed = sum(result.passed + (result.word == "ok") for result in results)
    failed = sum(result.failed for result in results) + len(failed_gates)
    print(f"\n{len(results)} gates in {seconds:.0f} s; a gate counts as one below, as does each pytest test")
    print(f"{passed} passed, {failed} failed, {len(skipped)} skipped")
    return 1 if failed else 0


def provide_tools() -> bool:
    """Build the programs that the tests run (tests/tools). Where CI=true, all of them are there or the run ends."""
    complete = subprocess.run([sys.executable, str(ROOT / "tests" / "tools" / "build.py")], check=False).returncode == 0
    required = os.environ.get("CI") == "true"
    if required:
        os.environ["PODNET_REQUIRE_KUBE"] = "1"
        if not complete:
            print("CI=true: a run without these programs would leave out half of the tests, so it ends here.")
    return complete or not required


def rescues() -> Result:
    """Whether the gates that ran entered every rescue section of the roles."""
    begin = time.monotonic()
    log = BUILD / "logs" / "rescues.log"
    missing = never_run(STAGED, NOTES)
    log.write_text(
        "".join(f"FAILED no test enters this rescue section: {each}\n" for each in missing), encoding="utf-8"
    )
    return Result(Gate("rescues", []), not missing, time.monotonic() - begin, log)


def both_kernels(integration: Result, guest: Result) -> Result:
    """Whether each integration test ran on one of the two kernels, or may be skipped on both. What ran in the guest is
    no longer counted as skipped.
    """
    begin = time.monotonic()
    log = BUILD / "logs" / "skips.log"
    integration.skipped = remaining(integration.skipped, guest.ran)
    # Where there is no guest, the count says so.
    left = [f"skipped on both kernels: {each}" for each in (unexpected(integration.skipped) if guest.ran else [])]
    if os.environ.get("CI") == "true":
        left += [f"skipped where all is installed: {each}" for each in absent([*integration.skipped, *guest.skipped])]
    log.write_text("".join(f"FAILED {each}\n" for each in left), encoding="utf-8")
    return Result(Gate("skips", []), not left, time.monotonic() - begin, log)


def main() -> int:
    """Stage, run, report; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="comma-separated names or groups")
    parser.add_argument("--list", action="store_true", help="list gates and groups, run nothing")
    parser.add_argument("--stage-only", action="store_true", help="only make the staged copy")
    options = parser.parse_args()

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("another run of the gate uses this checkout's .build; wait for it, or work in a clone")
        begin = time.monotonic()
        print(f"== stage: {stage()}", flush=True)
        if options.stage_only:
            return 0
        gates = select(all_gates(), options.only)
        if options.list:
            for gate in gates:
                print(f"{gate.name:<24} {','.join(gate.groups):<12} {gate.shown()}")
            return 0
        for directory in ("logs", "reports"):
            shutil.rmtree(BUILD / directory, ignore_errors=True)
            (BUILD / directory).mkdir()
        if any(gate.needs_tools for gate in gates) and not provide_tools():
            return 1
        os.environ.update(base_environment())
        NOTES.unlink(missing_ok=True)
        os.environ.update(
            ANSIBLE_CALLBACKS_ENABLED="rescues", ANSIBLE_CALLBACK_PLUGINS=str(CALLBACKS), PODNET_RESCUES=str(NOTES)
        )
        print(f"== dependencies: {provide()}", flush=True)
        results = []
        for result in run_gates(gates, WORKERS):
            results.append(result)
            result.show()
        # Some are entered by playbooks of the integration tests, some by scenarios, so only a run of both can tell.
        if {"integration", "molecule"} <= {group for gate in gates for group in gate.groups}:
            results.append(rescues())
            results[-1].show()
        by_name = {result.gate.name: result for result in results}
        if {"integration", "guest"} <= by_name.keys():
            results.append(both_kernels(by_name["integration"], by_name["guest"]))
            results[-1].show()
        return report(results, time.monotonic() - begin)


if __name__ == "__main__":
    sys.exit(main())
