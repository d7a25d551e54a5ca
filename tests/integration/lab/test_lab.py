# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Labs on the real kernel: made, made again, damaged, changed and removed without a trace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _warm

STORE = {
    "name": "store",
    "offset": 10,
    "processes": [
        {
            "name": "web",
            "argv": [sys.executable, "-m", "http.server", "--bind", "{address}", "--directory", "/sys/class", "8000"],
            "ready_url": "http://{address}:8000/",
        }
    ],
}


class Labs:
    """Runs the module netns_lab for one lab and tells what is left of it on the machine."""

    def __init__(self, state_dir: Path, name: str) -> None:
        self.state_dir = state_dir
        self.name = name

    def run(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        """Run the module through ansible and return its result."""
        arguments = {"name": self.name, "state_dir": str(self.state_dir), **options}
        done = _warm.ansible(
            "adhoc",
            *("localhost", "--one-line", "-c", "local", *(["--check"] if check else [])),
            *("-e", f"ansible_python_interpreter={_warm.interpreter()}", "-m", "podnet.cni.netns_lab"),
            *("-a", json.dumps(arguments)),
            environment={**os.environ, "ANSIBLE_NOCOLOR": "true"},
        )
        line = next(line for line in done.stdout.splitlines() if line.startswith("localhost |"))
        result: dict[str, Any] = json.loads(line[line.index("=>") + 2 :])
        result["failed"] = "FAILED!" in line[: line.index("=>")]
        return result

    def inside(self, host: str, *command: str) -> str:
        """Run a command in a host and return its output."""
        pins = self.state_dir / self.name / "hosts" / host
        enter = ["nsenter", f"--net={pins / 'net'}", f"--mount={pins / 'mnt'}", f"--uts={pins / 'uts'}", "--"]
        return subprocess.run([*enter, *command], capture_output=True, text=True, check=True).stdout

    def namespaces(self) -> set[int]:
        """The network namespaces that a process or a pin of this lab holds."""
        return {pin.stat().st_ino for pin in (self.state_dir / self.name / "hosts").glob("*/net")}


@pytest.fixture(name="labs")
def fixture_labs() -> Iterator[Labs]:
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    labs = Labs(Path(f"/run/podnet-test-lab-{os.getpid()}"), "first")
    yield labs
    for folder in labs.state_dir.glob("*"):
        Labs(labs.state_dir, folder.name).run(state="absent")


def test_a_lab_is_made_once_and_removed_without_a_trace(labs: Labs) -> None:
    hosts = [STORE, {"name": "a"}, {"name": "b"}]

    predicted = labs.run(hosts=hosts, check=True)
    assert predicted["changed"]
    assert not labs.state_dir.exists()

    made = labs.run(hosts=hosts)
    assert made["actions"] == predicted["actions"]
    assert [host["address"] for host in made["lab"]["hosts"]] == ["198.18.0.10", "198.18.0.11", "198.18.0.12"]
    assert labs.run(hosts=hosts)["actions"] == []

    for target in ("b", "198.18.0.12", "fd00:18::c"):
        assert " 0% packet loss" in labs.inside("a", "ping", "-c", "1", "-W", "2", target)
    assert labs.inside("a", "hostname").strip() == "a"
    assert labs.inside("a", "ls", "/sys/class/net").split() == ["eth0", "lo"]
    assert not {"to-a", "to-b", "underlay"} & set(os.listdir("/sys/class/net"))

    assert labs.run(state="absent", check=True)["changed"]
    assert labs.run(state="absent")["changed"]
    assert not labs.run(state="absent")["changed"]
    assert not labs.state_dir.exists()
    assert labs.state_dir.name not in Path("/proc/self/mountinfo").read_text()


def test_what_a_host_writes_stays_in_the_host(labs: Labs) -> None:
    labs.run(hosts=[{"name": "a"}, {"name": "b"}])
    for path in ("/etc", "/opt", "/var/lib", "/run"):
        labs.inside("a", "sh", "-c", f"mkdir -p {path}/podnet-test && hostname > {path}/podnet-test/who")
        assert labs.inside("a", "cat", f"{path}/podnet-test/who").strip() == "a"
        assert not Path(path, "podnet-test").exists()
        assert labs.inside("b", "sh", "-c", f"ls -d {path}/podnet-test || echo none").strip().endswith("none")
    assert Path("/etc/hostname").read_text().strip() != "a"


def test_a_damaged_lab_is_repaired_where_it_is_damaged(labs: Labs) -> None:
    hosts = [STORE, {"name": "a"}, {"name": "b"}]
    labs.run(hosts=hosts)
    b_before = (labs.state_dir / "first/hosts/b/net").stat().st_ino
    labs.inside("a", "ip", "addr", "del", "198.18.0.11/24", "dev", "eth0")
    record = json.loads((labs.state_dir / "first/processes/store/web.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)

    repaired = labs.run(hosts=hosts)
    assert repaired["actions"] == [
        "remove host a: eth0 has no address 198.18.0.11/24",
        "create host a",
        "write /etc/hosts in a",
        "start web in store",
    ]
    assert (labs.state_dir / "first/hosts/b/net").stat().st_ino == b_before
    assert " 0% packet loss" in labs.inside("a", "ping", "-c", "1", "-W", "2", "b")
    assert not labs.run(hosts=hosts)["changed"]


def test_hosts_come_and_go(labs: Labs) -> None:
    labs.run(hosts=[{"name": "a"}, {"name": "b"}])
    changed = labs.run(hosts=[{"name": "b", "offset": 12}, {"name": "c", "offset": 13}])
    assert changed["actions"] == [
        "remove host a: it is not wanted",
        "create host c",
        "write /etc/hosts in b",
        "write /etc/hosts in c",
    ]
    assert " 0% packet loss" in labs.inside("c", "ping", "-c", "1", "-W", "2", "b")


def test_two_labs_with_the_same_addresses_do_not_meet(labs: Labs) -> None:
    second = Labs(labs.state_dir, "second")
    labs.run(hosts=[{"name": "a"}])
    second.run(hosts=[{"name": "a"}, {"name": "b"}])
    assert labs.inside("a", "sh", "-c", "ping -c 1 -W 1 198.18.0.12 >/dev/null || echo silence").strip() == "silence"
    second.run(state="absent")
    assert not labs.run(hosts=[{"name": "a"}])["changed"]


def test_a_namespace_ends_with_its_lab(labs: Labs) -> None:
    labs.run(hosts=[{"name": "a"}, {"name": "b"}])
    gone = labs.namespaces()
    labs.run(state="absent")
    # the kernel cleans namespaces up in the background
    for _attempt in range(100):
        listed = subprocess.run(["lsns", "-t", "net", "-n", "-o", "NS"], capture_output=True, text=True, check=True)
        if not gone & {int(line) for line in listed.stdout.split()}:
            break
        time.sleep(0.05)
    else:
        pytest.fail(f"still there: {gone}")


def test_a_process_that_does_not_start_fails_with_its_log(labs: Labs) -> None:
    broken = {"name": "x", "argv": ["sh", "-c", "echo no disk; exit 3"], "ready_url": "http://{address}:1/"}
    result = labs.run(hosts=[{"name": "a", "processes": [broken]}])
    assert result["failed"]
    assert "x (sh) of the host a ended with status 3: no disk" in result["msg"]


def test_an_underlay_that_overlaps_a_route_is_refused_before_anything_is_made(labs: Labs) -> None:
    result = labs.run(hosts=[{"name": "a"}], underlay_cidr="127.0.0.0/24")
    assert result["failed"]
    assert "overlaps the route 127.0.0.0/8" in result["msg"]
    assert not labs.state_dir.exists()


def test_a_directory_that_is_no_lab_is_not_removed(labs: Labs) -> None:
    (labs.state_dir / "first").mkdir(parents=True)
    precious = labs.state_dir / "first" / "precious"
    precious.touch()
    result = labs.run(state="absent")
    kept = precious.exists()
    precious.unlink()
    assert result["failed"]
    assert "not the directory of a lab" in result["msg"]
    assert kept


MAKE = """
import subprocess, sys
from ansible_collections.podnet.cni.plugins.module_utils._lab import plan as lab
from ansible_collections.podnet.cni.plugins.module_utils._lab.system import System

def run(command, text):
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr

places = {"copy_on_write_dirs": ["/etc"], "private_dirs": ["/run"], "data_dir": sys.argv[1] + "-data"}
system = System(run, sys.argv[1], "first", **places, warn=print)
hosts = [{"name": f"h{number}", "offset": None, "processes": []} for number in range(20)]
want = lab.desired(hosts, lab.parse_networks([("", "198.18.0.0/24"), ("", "fd00:18::/64")]), 1500, True)
system.apply(lab.plan(want, lab.NOTHING), want)
"""


@pytest.mark.parametrize("hosts_made", [1, 7, 19])
def test_a_run_that_is_killed_is_completed_by_the_next(labs: Labs, hosts_made: int) -> None:
    labs.state_dir.mkdir()
    folder = labs.state_dir / "first" / "hosts"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", MAKE, labs.state_dir], env=environment) as making:
        while making.poll() is None and len(list(folder.glob("*"))) < hosts_made:
            time.sleep(0.001)
        making.kill()
    assert len(list(folder.glob("*"))) >= hosts_made

    hosts = [{"name": f"h{number}"} for number in range(20)]
    labs.run(hosts=hosts)
    assert not labs.run(hosts=hosts)["changed"]
    for target in ("h1", "h7", "h18"):
        assert " 0% packet loss" in labs.inside("h19", "ping", "-c", "1", "-W", "2", target)
