# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run in a guest what this machine's own kernel makes skip: one boot of Debian's kernel, and the tests in it.

Where no guest can be run, the one test of the report is skipped with the reason; with CI=true that is a failure.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from stage import BUILD, STAGED

from ansible_collections.podnet.cni.plugins.module_utils._errors import MissingError
from ansible_collections.podnet.cni.plugins.module_utils._lab.guest_kernel import kernel
from ansible_collections.podnet.cni.tests.guest import machine
from ansible_collections.podnet.cni.tests.integration import _kube, _kube_binaries, _old_python
from ansible_collections.podnet.cni.tests.integration._kernel import API, lacking
from ansible_collections.podnet.cni.tests.tools import cache

SHARE = BUILD / "guest"
CONSOLE = BUILD / "logs" / "guest-console.log"
FULL = os.environ.get("PODNET_FULL", "") not in ("", "0")
# On two cores of which one does other things it takes 9 minutes.
LIMIT = float(os.environ.get("PODNET_GUEST_LIMIT", "10800" if FULL else "1500"))
LAST = 30
PASSED_ON = (
    *("PATH", "HOME", "LC_ALL", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "HYPOTHESIS_STORAGE_DIRECTORY", "XDG_CACHE_HOME"),
    *(
        "ANSIBLE_COLLECTIONS_PATH",
        "ANSIBLE_INJECT_FACT_VARS",
        "PODNET_FULL",
        "PODNET_SEED",
        "KUBE",
        "KUBEBUILDER_ASSETS",
    ),
)


def skipped(report: Path, reason: str) -> None:
    """Write a report of one test that was skipped."""
    suite = ET.Element("testsuite", name="guest", tests="1", skipped="1")
    case = ET.SubElement(suite, "testcase", classname="guest", name="boot")
    ET.SubElement(case, "skipped", message=reason)
    ET.ElementTree(suite).write(report)


@contextlib.contextmanager
def api_server() -> Iterator[Path]:
    """A file with access to a real API server on this machine for clients in the guest, no file without programs."""
    access = SHARE / "api.json"
    access.unlink(missing_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(_kube.running(known_as=machine.OUTSIDE))
        except _kube_binaries.Missing as reason:
            print(f"no API server: {reason}")
            yield access
            return
        server.limited_kubeconfig("guest", [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])
        content = {
            "url": f"https://{machine.OUTSIDE}:{server.port}",
            "ca": server.authority.certificate.read_text(encoding="ascii"),
            "token": server.token("guest"),
        }
        access.touch(0o600)
        access.write_text(json.dumps(content), encoding="ascii")
        yield access
        access.unlink()


def collect(command: list[str], environment: dict[str, str]) -> list[str]:
    """The files with tests for the guest, found out here; what is compiled for that need not be compiled in there."""
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return sorted({line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line})


def run(report: Path, features: list[str]) -> int:
    """Boot, run the tests that need one of these features, and return the exit code. Raises MissingError."""
    found = kernel()
    machine.check()
    SHARE.mkdir(exist_ok=True)
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= {"PODNET_GUEST": ",".join(features), "ANSIBLE_HOME": "/run/ansible"}
    # Plugins of pytest that no test in there uses would be imported all the same.
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    if FULL:
        # In there is no network to make it with.
        with contextlib.suppress(_old_python.Missing):
            _old_python.interpreter()
        build = [sys.executable, STAGED / "tests/tools/build.py", *(tools.name for tools in cache.FULL_ONLY)]
        subprocess.run(build, check=False)
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no"]
    files = collect([*pytest, "--collect-only", "tests/integration"], {**os.environ, **environment})
    result = SHARE / "report.xml"
    result.unlink(missing_ok=True)
    print(f"for: {', '.join(features)}", flush=True)
    with api_server() as access:
        environment[API] = str(access)
        tests = [*pytest, "-rs", "--durations=0", f"--junitxml={result}", *files]
        status = machine.Guest(found, SHARE, CONSOLE).run(tests, environment, STAGED, LIMIT)
    if status is None:
        text = CONSOLE.read_text(encoding="utf-8", errors="replace") if CONSOLE.exists() else ""
        print(f"the guest did not come to its end within {LIMIT:.0f} s; the last lines of {CONSOLE}:")
        print(*text.splitlines()[-LAST:], sep="\n")
        return 1
    if result.exists():
        result.replace(report)
    return status


def main() -> int:
    """Run or skip; returns the exit code. The argument is the report to write."""
    report = Path(sys.argv[1])
    features = lacking() if os.geteuid() == 0 else []
    try:
        if os.geteuid():
            raise MissingError("a guest shares this machine's root, which root alone can read")
        if features:
            return run(report, features)
        reason = "this machine's own kernel has all that tests ask of a kernel"
    except MissingError as error:
        if os.environ.get("CI") == "true":
            print(f"CI=true, and no guest: {error}")
            return 1
        reason = f"no guest: {error}"
    skipped(report, reason)
    print(reason)
    return 0


if __name__ == "__main__":
    sys.exit(main())
