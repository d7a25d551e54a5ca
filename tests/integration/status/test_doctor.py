# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook doctor on lab hosts: no finding on a healthy network, each seeded fault by name, and the repair."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.podnet.cni.tests.integration import _flanneld, _warm
from ansible_collections.podnet.cni.tests.integration.status import _faults
from ansible_collections.podnet.cni.tests.integration.status._faults import Fault

CONFIG: dict[str, Any] = {"EnableIPv6": True, "Network": "10.244.0.0/16", "IPv6Network": "fd00:10:244::/48"}
SHAPES: dict[str, dict[str, Any]] = {
    "vxlan": {**CONFIG, "Backend": {"Type": "vxlan"}},
    "host-gw": {**CONFIG, "Backend": {"Type": "host-gw"}},
    "direct": {**CONFIG, "Backend": {"Type": "vxlan", "DirectRouting": True}},
    "ipv4": {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}},
}
# It cannot be reached: nobody listens at that port.
GHOST = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_connection": "ssh"}
NARROW = "add table inet narrow; add chain inet narrow in { type filter hook input priority 0; }; "
DROP = "add table inet shut; add chain inet shut forward { type filter hook forward priority 10; policy drop; }"


class Overlay:
    """A lab of three hosts in one overlay of a shape, and the doctor's visits to it."""

    def __init__(self, path: Path, shape: str) -> None:
        self.path = path
        self.name = f"test-doctor-{os.getpid()}"
        self.inventory = path / "lab.yml"
        self.extra = {"lab_name": self.name, "lab_inventory_path": str(self.inventory)}
        self.config = SHAPES[shape]

    def play(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _warm.ansible("playbook", *arguments)

    def lab(self, **variables: Any) -> subprocess.CompletedProcess[str]:
        return self.play("podnet.cni.lab", "-e", json.dumps({**self.extra, **variables}))

    def make(self) -> None:
        for done in (
            self.lab(lab_inventory_vars={"overlay_network_config": self.config}),
            self.play("-i", str(self.inventory), "podnet.cni.overlay"),
        ):
            assert done.returncode == 0, done.stdout + done.stderr

    def inside(self, host: str, *command: str) -> str:
        net = f"/run/podnet-lab/{self.name}/hosts/{host}/net"
        done = subprocess.run(["nsenter", f"--net={net}", "--", *command], capture_output=True, text=True, check=True)
        return done.stdout

    def shell(self, host: str, lines: str) -> str:
        """Run shell lines with the network and the files of a host."""
        pins = f"/run/podnet-lab/{self.name}/hosts/{host}"
        enter = ["nsenter", f"--net={pins}/net", f"--mount={pins}/mnt", "--", "sh", "-ec", lines]
        done = subprocess.run(enter, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{host}: {lines}: {done.stderr}"
        return done.stdout

    def leases(self) -> dict[str, str]:
        """The values of the leases by the last part of their keys."""
        listed = self.shell("store1", f"{_faults.ETCDCTL} get --prefix {_faults.LEASES}/").splitlines()
        return {key.rsplit("/", 1)[1]: value for key, value in zip(listed[::2], listed[1::2])}

    def doctor(self, *options: str, **variables: Any) -> tuple[dict[str, Any], str]:
        """The document, and what was shown."""
        target = self.path / "status.json"
        given = {"doctor_files": {"json": str(target), "html": str(self.path / "status.html")}, **variables}
        done = self.play("-i", str(self.inventory), *options, "podnet.cni.doctor", "-e", json.dumps(given))
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(target.read_text()), " ".join(done.stdout.split())


@pytest.fixture(scope="module")
def overlay(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Overlay]:
    """A lab for all tests of one backend: each leaves it well."""
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    for program in ("/usr/lib/cni/bridge", "nft", "etcd", "etcdctl", "ping", "iptables-nft", "iptables-legacy"):
        if not shutil.which(program):
            pytest.skip(f"{program} is missing: install containernetworking-plugins, nftables, etcd and iputils-ping")
    made = Overlay(tmp_path_factory.mktemp(request.param), request.param)
    try:
        made.make()
        yield made
    finally:
        removed = made.lab(lab_state="absent")
    assert removed.returncode == 0, removed.stdout + removed.stderr


def named(shown: str) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Findings and their subjects, those that were repaired and those that are left, of what a repair showed."""
    found = re.search(r"Repaired: (.*?) Left: (.*?) (?:Not possible on|ok:|TASK)", shown)
    assert found, shown
    repaired, left = (
        {(words[0], words[2]) for each in text.split(", ") if len(words := each.split(" ", 2)) == 3}
        for text in found.groups()
    )
    return repaired, left


def failed(made: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each["id"], each["subject"]) for each in made["findings"] if each["status"] == "failed"}


@pytest.mark.parametrize("overlay", ["vxlan"], indirect=True)
def test_each_fault_is_called_by_its_name_and_gone_after_what_its_finding_says(overlay: Overlay) -> None:
    store_that_is_away(overlay)
    with wrong_checksums(overlay, "node1", "198.18.0.12") as told:
        a_round(overlay, _faults.HOSTS_AND_FILES, "way.pods", "dataplane.peers_missing")
        shown = a_round(overlay, _faults.LINK_AND_TUNNEL, "dataplane.peers_missing", "way.dataplane", "way.tunnel")
        assert "Not possible on node1: host node1: link vx0 holds UDP 8472" in shown
        told.set()
        a_round(
            overlay,
            _faults.FORWARDING,
            *("dataplane.peers_missing", "way.dataplane", "way.lossy", "way.pods"),
            doctor_count=10,
        )
    without_offload(overlay, "node2", "flannel.1", "flannel-v6.1")
    one_address_on_all(overlay)
    a_round(
        overlay,
        _faults.ADDRESSES,
        *("host.range_overlap", "way.underlay", "way.pods", "way.dataplane"),
        *("dataplane.link", "dataplane.peers_missing", "dataplane.boot"),
    )
    moved(overlay)
    made, _shown = overlay.doctor(doctor_expect="well")
    assert [pairs["fine"] for pairs in made["pairs"]] == [6, 6], made["pairs"]


def a_round(overlay: Overlay, faults: Sequence[Fault], *besides: str, **variables: Any) -> str:
    """Seed faults, let the doctor repair, and do what is said of the others; C(besides) are what comes with them."""
    for fault in faults:
        overlay.shell(fault.host, fault.seed)
    made, shown = overlay.doctor(doctor_repair="yes", **variables)
    repaired, left = named(shown)
    wanted = {fault.name: bool(fault.says) for fault in faults}
    assert set(wanted) <= repaired | left, shown
    assert not {name for name in (repaired | left) - set(wanted) if name[0] not in besides}, shown
    assert {name for name, by_hand in wanted.items() if not by_hand} <= repaired, shown
    assert {name for name, by_hand in wanted.items() if by_hand} <= left, shown
    for fault in faults:
        texts = [
            f"{each['seen']} {each['remedy']}"
            for each in made["findings"]
            if (each["id"], each["subject"]) == fault.name
        ]
        said = next((match for text in texts if (match := re.search(fault.says, text))), None)
        assert said or not fault.says, (fault, texts)
        if said and fault.mend:
            overlay.shell(fault.host, fault.mend.format(*said.groups()))
    return shown


def store_that_is_away(overlay: Overlay) -> None:
    """What the hosts alone tell is measured, and the store's own words say which option is wrong."""
    made, _shown = overlay.doctor(doctor_pods="never", overlay_etcd_endpoints=["https://198.18.0.10:2379"])
    unknown = {each["id"]: each["seen"] for each in made["findings"] if each["status"] == "unknown"}
    assert "write http:// in etcd_endpoints" in unknown["network.store"]
    assert unknown["dataplane.compared"] == "3 times: the leases were not read (node1, node2, node3)" or (
        unknown["dataplane.compared"] == "the leases were not read"
    )
    assert (made["verdict"]["state"], failed(made)) == ("not_known", set())
    assert [pairs["fine"] for pairs in made["pairs"]] == [6, 6]
    made, _shown = overlay.doctor(doctor_pods="never", overlay_etcd_prefix="/nothing", overlay_network_config={})
    [config] = [each for each in made["findings"] if each["id"] == "network.config"]
    assert "/nothing/config" in config["seen"]
    assert "overlay_etcd_prefix" in config["remedy"]
    assert (made["verdict"]["state"], failed(made)) == ("not_known", set())


@contextlib.contextmanager
def wrong_checksums(overlay: Overlay, source: str, target: str) -> Iterator[threading.Event]:
    """Send packets to the tunnel's port whose checksum is wrong, as some network cards do, once the event is set."""
    begin = threading.Event()
    program = f"""
import socket, struct, time
packet = struct.pack("!HHHH", 8472, 8472, 16, 1) + bytes(8)
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as out:
    while True:
        out.sendto(packet, ("{target}", 0))
        time.sleep(0.2)
"""
    net = f"/run/podnet-lab/{overlay.name}/hosts/{source}/net"
    ended = threading.Event()

    def send() -> None:
        begin.wait()
        with subprocess.Popen(["nsenter", f"--net={net}", "--", sys.executable, "-c", program]) as process:
            ended.wait()
            process.kill()

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield begin
    finally:
        ended.set()
        begin.set()
        sender.join(30)


def without_offload(overlay: Overlay, host: str, *links: str) -> None:
    """Do what C(ethtool -K LINK tx-checksum-ip-generic off) does: ETHTOOL_STXCSUM of linux/ethtool.h."""
    program = """
import array, fcntl, socket, struct, sys
for link in sys.argv[1:]:
    value = array.array("B", struct.pack("II", 0x17, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8946, struct.pack("16sP", link.encode(), value.buffer_info()[0]) + bytes(16))
"""
    overlay.inside(host, sys.executable, "-c", program, *links)


def one_address_on_all(overlay: Overlay) -> None:
    """Without the name of the interface the doctor takes that of the default route, whose address all hosts have."""
    for host in ("node1", "node2", "node3"):
        overlay.shell(host, _faults.SAME_ADDRESS)
    unnamed = {"overlay_interface": "", "overlay_public_ip": "", "overlay_public_ipv6": ""}
    made, _shown = overlay.doctor(doctor_pods="never", **unnamed)
    remedies = {
        (each["id"], each["subject"]): each["remedy"] for each in made["findings"] if each["status"] == "failed"
    }
    for host in ("node1", "node2", "node3"):
        assert "Name each host's interface or public IP" in remedies["host.duplicates", host]
        assert ("host.underlay", host) in remedies
    # The inventory names them: that is the repair.


def moved(overlay: Overlay) -> None:
    """Do what host.lease says: the host's new address in the inventory, its old lease released, the role run."""
    text = overlay.inventory.read_text()
    assert "198.18.0.13" in text
    before = overlay.leases()
    [subnet] = [key.split("&")[0].replace("-", "/") for key, value in before.items() if "198.18.0.13" in value]
    overlay.inventory.write_text(text.replace("198.18.0.13", "198.18.0.93"))
    release = {
        "state": "absent",
        "etcd_endpoints": ["http://198.18.0.10:2379"],
        "nodes": [{"name": "node3", "subnet": subnet}],
    }
    for done in (
        _warm.ansible(
            "adhoc", "-i", str(overlay.inventory), "store1", "-m", "podnet.cni.flannel_lease", "-a", json.dumps(release)
        ),
        overlay.play("-i", str(overlay.inventory), "podnet.cni.overlay"),
    ):
        assert done.returncode == 0, done.stdout + done.stderr
    after = overlay.leases()
    assert set(after) == set(before)
    assert [subnet] == [key.split("&")[0].replace("-", "/") for key, value in after.items() if "198.18.0.93" in value]


@pytest.mark.parametrize("overlay", list(SHAPES), indirect=True)
def test_faults_are_found_and_repaired(overlay: Overlay) -> None:
    # With DirectRouting no packet between hosts of one segment takes the tunnel.
    vxlan = overlay.config["Backend"] == {"Type": "vxlan"}
    families = [4, 6] if overlay.config.get("EnableIPv6") else [4]
    made, _shown = overlay.doctor()
    assert (made["verdict"]["state"], failed(made)) == ("well", set()), made["findings"]
    assert [(pairs["family"], pairs["fine"]) for pairs in made["pairs"]] == [(family, 6) for family in families]
    addresses = {host["name"]: host["public_ips"]["4"] for host in made["hosts"]}

    # A peer is missing in one family, and node1 does not forward.
    network = overlay.config["IPv6Network" if 6 in families else "Network"]
    overlay.inside("node2", "ip", f"-{families[-1]}", "route", "flush", "root", network, "proto", "boot")
    overlay.inside("node1", "sysctl", "-qw", "net.ipv4.ip_forward=0")
    if vxlan:
        entry = next(
            line.split()
            for line in overlay.inside("node1", "bridge", "fdb", "show", "dev", "flannel.1").splitlines()
            if addresses["node2"] in line
        )
        overlay.inside("node1", "bridge", "fdb", "del", entry[0], "dev", "flannel.1", "dst", addresses["node2"])
        overlay.inside(
            "node1", "bridge", "fdb", "add", "02:00:00:00:00:99", "dev", "flannel.1", "dst", addresses["node2"]
        )
        overlay.inside("node3", "nft", f"{NARROW} add rule inet narrow in udp dport 8472 udp length > 1300 drop")
    else:
        overlay.inside("node3", "nft", DROP)
    ghost = overlay.path / "ghost.yml"
    ghost.write_text(json.dumps({"all": {"children": {"overlay": {"hosts": {"ghost": GHOST}}}}}))

    seeded = {("dataplane.peers_missing", "node2"), ("host.forwarding", "node1")}
    if vxlan:
        seeded.add(("dataplane.wrong_vtep", "node1"))
    else:
        seeded |= {("host.forward_rules", "node3")}
    if families == [4]:
        _made, shown = overlay.doctor("--check", doctor_repair="yes")
        said = re.search(r"Would be repaired: (.*?) For you: (.*?) ok:", shown)
        assert said, shown
        assert all(f"{name} on {subject}" in said[1] for name, subject in seeded), said
        assert "way.mtu on node3" not in said[1], "what is for the user is not promised"
        assert "Repaired:" not in shown
    bundle = overlay.path / "bundle.tar.gz"
    made, shown = overlay.doctor(
        "-i", str(ghost), doctor_repair=True, doctor_bundle=str(bundle), doctor_bundle_addresses=False
    )
    for name, subject in seeded:
        assert f"{name} on {subject}" in shown, shown
    assert "host.silent on ghost" in shown
    assert made["verdict"]["state"] == "broken", (made["verdict"], made["findings"], made["links"])
    left = {name for name, _subject in failed(made)}
    assert left == ({"way.mtu"} if vxlan else {"host.forward_rules", "way.pods"}), failed(made)
    assert {each["subject"] for each in made["findings"] if each["id"] == "host.silent"} == {"ghost"}
    assert "Repaired: " in shown
    assert all("node3" in subject for _name, subject in failed(made))
    assert "<title>Pod network: broken</title>" in (overlay.path / "status.html").read_text()
    with tarfile.open(bundle) as tar:
        held = {member.name.removeprefix("podnet-support/"): tar.extractfile(member).read().decode() for member in tar}
    assert {"CONTENTS.txt", "status.json", "hosts/node3.json", "hosts/ghost.json", "logs/node1.txt"} <= set(held)
    assert json.loads(held["hosts/node1.json"])["facts"]
    assert json.loads(held["versions.json"])["ansible-core"]
    assert not [path for path, text in held.items() for address in addresses.values() if address in text]
    if vxlan and 6 in families:
        hosts_that_fail(overlay)


@pytest.mark.parametrize("overlay", ["vxlan"], indirect=True)
def test_a_peer_on_which_a_real_flanneld_works(overlay: Overlay, tmp_path: Path) -> None:
    """Its kernel is compared and its ways are measured like those of the others; a lab host has no unit of it."""
    inventory = json.loads(json.dumps(yaml.safe_load(overlay.inventory.read_text())))
    groups = inventory["all"]["children"]
    groups["flanneld"] = {"hosts": {"node3": groups["overlay"]["hosts"].pop("node3")}}
    inventory["all"]["vars"].update(
        flanneld_etcd_endpoints=inventory["all"]["vars"]["overlay_etcd_endpoints"], flanneld_iface=["eth0"]
    )
    overlay.inventory.write_text(json.dumps(inventory))
    # What the overlay and earlier tests left there.
    overlay.shell("node3", "nft flush ruleset")
    for link in ("flannel.1", "flannel-v6.1", "cni0"):
        overlay.shell("node3", f"ip link del {link} 2> /dev/null || true")
    with flanneld(overlay, "node3", tmp_path / "flanneld.log"):
        done = overlay.play("-i", str(overlay.inventory), "podnet.cni.overlay")
        assert done.returncode == 0, done.stdout + done.stderr
        made, _shown = overlay.doctor()
        assert failed(made) <= {("flanneld.installed", "node3")}, made["findings"]
        assert {each["subject"] for each in made["findings"] if each["id"].startswith("flanneld.")} == {"node3"}
        assert [pairs["fine"] for pairs in made["pairs"]] == [6, 6]
        assert {host["name"]: host["runs"] for host in made["hosts"]} == {
            "node1": "overlay",
            "node2": "overlay",
            "node3": "flanneld",
        }
        # What is missing on the host of the overlay is set; what its flanneld lost waits for a restart of the unit.
        subnets = {host["name"]: host["subnets"]["4"] for host in made["hosts"]}
        overlay.inside("node1", "ip", "route", "del", subnets["node3"])
        overlay.inside("node3", "ip", "route", "del", subnets["node2"])
        made, shown = overlay.doctor(doctor_repair="yes")
        repaired, left = named(shown)
        assert ("dataplane.peers_missing", "node1") in repaired
        assert ("dataplane.peers_missing", "node3") in left
        [finding] = [each for each in made["findings"] if each["id"] == "dataplane.peers_missing"]
        assert (finding["subject"], finding["repair"]) == ("node3", "flanneld")


@contextlib.contextmanager
def flanneld(overlay: Overlay, host: str, log: Path) -> Iterator[None]:
    """A real flanneld on a lab host, from when it has its lease."""
    pins = f"/run/podnet-lab/{overlay.name}/hosts/{host}"
    enter = ["nsenter", f"--net={pins}/net", f"--mount={pins}/mnt", "--"]
    command = [*enter, _flanneld.program(), "--etcd-endpoints=http://198.18.0.10:2379", "--iface=eth0"]
    with log.open("wb") as out, subprocess.Popen([*command, "--public-ipv6=fd00:18::d"], stderr=out) as process:
        try:
            deadline = time.monotonic() + 60
            while _flanneld.READY not in log.read_text() and time.monotonic() < deadline:
                time.sleep(0.1)
            assert _flanneld.READY in log.read_text(), log.read_text()
            yield
        finally:
            process.kill()


def hosts_that_fail(overlay: Overlay) -> None:
    """Of a host on which modules hang or fail, the picture has what is known, and why the rest is not."""

    def python(host: str, **modules: str) -> dict[str, Any]:
        """Variables of a host with a Python that runs a command instead of some modules."""
        cases = " ".join(f"*AnsiballZ_{module}.*) {command};;" for module, command in modules.items())
        program = overlay.path / f"python-of-{host}"
        program.write_text(f'#!/bin/sh\ncase "$*" in {cases} esac\nexec {sys.executable} "$@"\n')
        program.chmod(0o755)
        return {"ansible_python_interpreter": str(program), "ansible_pipelining": False}

    # Another clock for what the module tells: the kernel has one for all hosts of the lab.
    (overlay.path / "sitecustomize.py").write_text("import time\nnow = time.time\ntime.time = lambda: now() + 3600\n")
    late = f'PYTHONPATH={overlay.path} exec {sys.executable} "$@"'
    fail, hang = "echo no such luck >&2; exit 3", "exec sleep 300"
    odd = {
        "node1": python(
            "node1",
            preflight_host_info=f'exec unshare --user {sys.executable} "$@"',
            flannel_dataplane_info=fail,
            cni_pod=fail,
            pod_network_probe=fail,
            command=hang,
        ),
        "node2": python("node2", preflight_host_info=hang),
        "node3": python("node3", preflight_host_info=late, flannel_dataplane=fail),
        "bare": {"ansible_netns_name": "store1", "ansible_python_interpreter": "/nowhere/python"},
    }
    overlay.inside("node3", "ip", "-6", "route", "flush", "root", CONFIG["IPv6Network"], "proto", "boot")
    hosts = overlay.path / "odd.yml"
    hosts.write_text(json.dumps({"all": {"children": {"overlay": {"hosts": odd}}}}))
    bundle = overlay.path / "odd.tar.gz"
    made, _shown = overlay.doctor("-i", str(hosts), doctor_timeout=20, doctor_pods="always", doctor_bundle=str(bundle))
    found = {host["name"]: host for host in made["hosts"]}
    assert {name: host["state"] for name, host in found.items()} == {
        "node1": "heard",
        "node2": "silent",
        "node3": "heard",
        "bare": "silent",
    }
    assert "/nowhere/python" in found["bare"]["reason"], found["bare"]
    assert "timed out" in found["node2"]["reason"].lower(), found["node2"]
    unknown = {name: {each["part"]: each["reason"] for each in host["not_known"]} for name, host in found.items()}
    assert set(unknown["node1"]) == {"links", "pod", "measurements"}
    assert "podnet-doctor was not removed" in unknown["node1"]["pod"]
    assert set(unknown["node3"]) == {"dataplane"}
    assert (found["node1"]["compared"], found["node3"]["compared"]) == (True, False)
    assert made["verdict"]["state"] != "well"
    assert {("host.clock", "node3"), ("way.unexplained", "node3 -> node1")} <= failed(made)
    questions = {
        (each["id"], each["subject"]): each["seen"] for each in made["findings"] if each["status"] == "unknown"
    }
    assert {("dataplane.compared", "node3"), ("way.not_measured", "network")} <= set(questions)
    assert "the user is not root" in questions["host.gathered", "node1"]
    with tarfile.open(bundle) as tar:
        logs = {
            Path(member.name).stem: tar.extractfile(member).read().decode() for member in tar if "/logs/" in member.name
        }
    assert {name for name, text in logs.items() if text.strip() == "nothing was read"} == {"node1", "node2", "bare"}
