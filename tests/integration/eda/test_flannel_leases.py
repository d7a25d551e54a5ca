# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The event source, driven as ansible-rulebook drives it, while the store under it is killed, changed and compacted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import runpy
import shutil
import subprocess
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.podnet.cni.plugins.module_utils import _errors
from ansible_collections.podnet.cni.tests.integration import _etcd, _kube
from ansible_collections.podnet.cni.tests.integration.etcd._relay import Relay

# As it was imported, and not this file's real path: the source looks for a parent called ansible_collections.
COLLECTION = Path(_errors.__file__).parents[2]
SOURCE = COLLECTION / "extensions" / "eda" / "plugins" / "event_source" / "flannel_leases.py"
RULEBOOK = COLLECTION / "extensions" / "eda" / "rulebooks" / "flannel_leases.yml"
PATIENCE = 60.0
PREFIX = "flannel.alpha.coreos.com/"
NETWORK = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}


class Follower:
    """What a consumer knows from events alone; an event that changes nothing, or cannot be, fails the test."""

    def __init__(self, queue: asyncio.Queue[dict[str, Any]]) -> None:
        self._queue = queue
        self.known: dict[str, dict[str, Any]] = {}
        self.types: list[str] = []

    async def next(self) -> dict[str, Any]:
        event = await asyncio.wait_for(self._queue.get(), PATIENCE)
        json.dumps(event)
        self.types.append(event["type"])
        if event["type"] == "snapshot":
            assert len(self.types) == 1, "only the first event is a snapshot"
            self.known = {_subnet(lease): lease for lease in event["leases"]}
        elif event["type"] != "problem":
            self._fold(event["type"], event["lease"])
        return event

    def _fold(self, kind: str, lease: dict[str, Any]) -> None:
        subnet = _subnet(lease)
        assert (subnet in self.known) == (kind != "added"), f"{kind} {subnet}: missed or doubled"
        if kind == "removed":
            del self.known[subnet]
            return
        assert self.known.get(subnet) != lease, f"{subnet} did not change"
        self.known[subnet] = lease

    async def until(self, addresses: dict[str, str]) -> None:
        """Read events until the leases are these: subnet -> public IP."""
        while {subnet: lease["public_ip"] for subnet, lease in self.known.items()} != addresses:
            await self.next()

    def nothing_waits(self) -> bool:
        return self._queue.empty()


def _subnet(lease: dict[str, Any]) -> str:
    return str(lease["subnet"])


@contextlib.asynccontextmanager
async def following(**args: Any) -> AsyncIterator[Follower]:
    """The source, running as a task on a queue with one place, so that it has to wait for its consumer."""
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=1)
    task = asyncio.create_task(runpy.run_path(str(SOURCE))["main"](queue, args))
    try:
        yield Follower(queue)
        if task.done():
            task.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, PATIENCE)


# -- etcd -------------------------------------------------------------------------------------------------------------


def put(etcd: _etcd.EtcdServer, number: int, address: str) -> None:
    """Write a lease as flanneld does: node number N has 10.244.N.0/24."""
    value = {"PublicIP": address, "PublicIPv6": None, "BackendType": "vxlan", "BackendData": {"VNI": 1}}
    etcd.put(f"{_etcd.PREFIX}/subnets/10.244.{number}.0-24", json.dumps(value, separators=(",", ":")))


def delete(etcd: _etcd.EtcdServer, number: int) -> None:
    etcd.ctl("del", "--", f"{_etcd.PREFIX}/subnets/10.244.{number}.0-24")


def expected(**hosts: str) -> dict[str, str]:
    return {f"10.244.{name[1:]}.0/24": address for name, address in hosts.items()}


def test_etcd_snapshot_and_changes() -> None:
    async def scenario(etcd: _etcd.EtcdServer) -> None:
        put(etcd, 1, "198.18.0.1")
        async with following(**etcd.options) as follower:
            first = await follower.next()
            assert (first["type"], first["store"], len(first["leases"])) == ("snapshot", "etcd", 1)
            put(etcd, 2, "198.18.0.2")
            added = await follower.next()
            assert (added["type"], added["lease"]["subnet"]) == ("added", "10.244.2.0/24")
            put(etcd, 2, "198.18.0.2")
            put(etcd, 1, "198.18.0.11")
            updated = await follower.next()
            assert (updated["type"], updated["lease"]["public_ip"]) == ("updated", "198.18.0.11")
            delete(etcd, 2)
            removed = await follower.next()
            assert (removed["type"], removed["lease"]["public_ip"]) == ("removed", "198.18.0.2")
            assert removed["revision"] > updated["revision"] > first["revision"]

    with _etcd.running() as etcd:
        asyncio.run(scenario(etcd))


def test_etcd_killed_and_restarted() -> None:
    async def scenario(etcd: _etcd.EtcdServer) -> None:
        put(etcd, 1, "198.18.0.1")
        put(etcd, 2, "198.18.0.2")
        async with following(**etcd.options, etcd_timeout=2.0) as follower:
            await follower.until(expected(n1="198.18.0.1", n2="198.18.0.2"))
            etcd.kill()
            assert (await follower.next())["type"] == "problem"
            etcd.start()
            put(etcd, 3, "198.18.0.3")
            put(etcd, 1, "198.18.0.11")
            delete(etcd, 2)
            await follower.until(expected(n1="198.18.0.11", n3="198.18.0.3"))
            assert sorted(follower.types) == ["added", "problem", "removed", "snapshot", "updated"]

    with _etcd.running() as etcd:
        asyncio.run(scenario(etcd))


def test_etcd_compacted_while_disconnected() -> None:
    async def scenario(etcd: _etcd.EtcdServer) -> None:
        put(etcd, 1, "198.18.0.1")
        put(etcd, 2, "198.18.0.2")
        with Relay(etcd.port) as before:
            after = Relay(etcd.port)
            endpoints = [before.url, after.url]
            async with following(**{**etcd.options, "etcd_endpoints": endpoints, "etcd_timeout": 1.0}) as follower:
                await follower.until(expected(n1="198.18.0.1", n2="198.18.0.2"))
                before.__exit__(None, None, None)
                assert (await follower.next())["type"] == "problem"
                put(etcd, 3, "198.18.0.3")
                delete(etcd, 3)
                put(etcd, 4, "198.18.0.4")
                put(etcd, 1, "198.18.0.11")
                delete(etcd, 2)
                etcd.compact()
                with after:
                    await follower.until(expected(n1="198.18.0.11", n4="198.18.0.4"))
                    # What came and went meanwhile is no lease any more, and no news.
                    assert sorted(follower.types) == ["added", "problem", "removed", "snapshot", "updated"]

    with _etcd.running() as etcd:
        asyncio.run(scenario(etcd))


def test_etcd_many_leases_at_once_with_a_slow_consumer() -> None:
    async def scenario(etcd: _etcd.EtcdServer) -> None:
        async with following(**etcd.options) as follower:
            assert (await follower.next())["leases"] == []
            for number in range(1, 41):
                put(etcd, number, f"198.18.0.{number}")
            await asyncio.sleep(0.5)
            await follower.until({f"10.244.{number}.0/24": f"198.18.0.{number}" for number in range(1, 41)})
            assert follower.types == ["snapshot"] + ["added"] * 40
            assert follower.nothing_waits()

    with _etcd.running() as etcd:
        asyncio.run(scenario(etcd))


# -- Kubernetes -------------------------------------------------------------------------------------------------------


def kube_node(number: int, address: str) -> dict[str, Any]:
    notes = {
        f"{PREFIX}kube-subnet-manager": "true",
        f"{PREFIX}backend-type": "vxlan",
        f"{PREFIX}backend-data": '{"VNI":1,"VtepMAC":"02:00:00:00:00:01"}',
        f"{PREFIX}public-ip": address,
    }
    return _kube.node(f"n{number}", [f"10.244.{number}.0/24"], notes)


@pytest.mark.kube
@pytest.mark.parametrize("compact", [False, True])
def test_kubernetes_restarted(compact: bool) -> None:
    async def scenario(kube: _kube.KubeServer) -> None:
        kube.apply(kube_node(1, "198.18.0.1"), kube_node(2, "198.18.0.2"), _kube.node("plain"))
        where = {"store": "kubernetes", "kubeconfig": str(kube.admin), "network_config": NETWORK}
        async with following(**where, kube_timeout=5.0) as follower:
            first = await follower.next()
            assert (first["type"], first["store"]) == ("snapshot", "kubernetes")
            assert sorted(lease["name"] for lease in first["leases"]) == ["n1", "n2"]
            kube.apply(kube_node(3, "198.18.0.3"))
            assert (await follower.next())["lease"]["name"] == "n3"
            kube.stop_apiserver(kill=True)
            while (await follower.next())["type"] != "problem":
                pass
            if compact:
                kube.compact()
            kube.start_apiserver()
            kube.apply(kube_node(1, "198.18.0.11"))
            kube.api("DELETE", "/api/v1/nodes/n2")
            await follower.until(expected(n1="198.18.0.11", n3="198.18.0.3"))
            changes = [kind for kind in follower.types if kind != "problem"]
            assert sorted(changes) == ["added", "removed", "snapshot", "updated"]

    _kube.require()
    with _kube.running() as kube:
        asyncio.run(scenario(kube))


# -- the shipped rulebook ---------------------------------------------------------------------------------------------


def shipped_source(**variables: Any) -> dict[str, Any]:
    """The arguments that ansible-rulebook gives the source of our rulebook with these variables."""
    util = pytest.importorskip("ansible_rulebook.util")
    (ruleset,) = yaml.safe_load(RULEBOOK.read_text(encoding="utf-8"))
    (source,) = ruleset["sources"]
    return dict(util.substitute_variables(source["podnet.cni.flannel_leases"], variables))


def test_shipped_rulebook_passes_every_option() -> None:
    documented = yaml.safe_load(runpy.run_path(str(SOURCE))["DOCUMENTATION"])["options"]
    assert shipped_source() == dict.fromkeys(documented)
    given = {name: f"value of {name}" for name in documented}
    assert shipped_source(**given) == given


@pytest.mark.parametrize("tls", [True, False])
def test_shipped_rulebook_reaches_an_etcd_with_certificates_or_users(tls: bool) -> None:
    """Not both at once: etcd's gateway takes no user from who shows a certificate with a name."""

    async def scenario(etcd: _etcd.EtcdServer) -> None:
        put(etcd, 1, "198.18.0.1")
        given = etcd.options
        if not tls:
            etcd.add_user("overlay", "secret", prefix=_etcd.PREFIX)
            etcd.enable_auth()
            given = {**given, "etcd_username": "overlay", "etcd_password": "secret"}
        async with following(**shipped_source(**given)) as follower:
            await follower.until(expected(n1="198.18.0.1"))
            put(etcd, 2, "198.18.0.2")
            await follower.until(expected(n1="198.18.0.1", n2="198.18.0.2"))

    with _etcd.running(tls=tls) as etcd:
        asyncio.run(scenario(etcd))


# -- ansible-rulebook -------------------------------------------------------------------------------------------------


def test_in_ansible_rulebook(tmp_path: Path) -> None:
    """The source under its collection name, a condition on its events, and an end to the run."""
    program = os.environ.get("PODNET_ANSIBLE_RULEBOOK") or shutil.which("ansible-rulebook")
    if program is None or shutil.which("java") is None:
        pytest.skip("ansible-rulebook and a Java runtime are not both installed; the coroutine is tested above")
    (tmp_path / "inventory").write_text("localhost ansible_connection=local\n")
    (tmp_path / "rulebook.yml").write_text(
        textwrap.dedent(
            """
            - name: Leases
              hosts: localhost
              sources:
                - podnet.cni.flannel_leases:
                    etcd_endpoints: "{{ etcd_endpoints }}"
              rules:
                - name: A lease
                  condition: event.type == "snapshot" and event.store == "etcd"
                  action:
                    debug:
                      msg: "saw {{ event.leases[0].subnet }}"
                - name: Enough
                  condition: event.type == "added"
                  action:
                    shutdown:
                      delay: 0
            """
        )
    )
    with _etcd.running() as etcd:
        put(etcd, 1, "198.18.0.1")
        (tmp_path / "vars.yml").write_text(json.dumps({"etcd_endpoints": [etcd.url]}))
        process = subprocess.Popen(
            [
                *(program, "--rulebook", str(tmp_path / "rulebook.yml"), "--inventory", str(tmp_path / "inventory")),
                *("--vars", str(tmp_path / "vars.yml"), "--verbose"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **os.environ,
                "PATH": f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}",
                "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]),
            },
        )
        lines: list[str] = []
        try:
            for line in process.stdout or ():
                lines.append(line)
                if "saw 10.244.1.0/24" in line:
                    put(etcd, 2, "198.18.0.2")
            assert process.wait(PATIENCE) == 0, "".join(lines)
        finally:
            process.kill()
        assert any("saw 10.244.1.0/24" in line for line in lines), "".join(lines)
