# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one more lease does to a running flanneld, and that we say so beforehand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease_harm import HANGS, STALLS, harm
from ansible_collections.podnet.cni.tests.integration import _etcd, _flanneld
from ansible_collections.podnet.cni.tests.integration._netns import Host
from ansible_collections.podnet.cni.tests.integration.flanneld import _leases
from ansible_collections.podnet.cni.tests.integration.flanneld._network import CONFIG, LAST, end, network, put, routes

FIRST = ("10.60.98.0-24", LAST[1].replace("198.18.8.1", "198.18.8.2").replace(":08:01", ":08:02"))
# A daemon that lives, has not programmed the next lease and repeats no request handles no event any more.
_SILENCE = 15.0
# On a busy machine one that lives may take longer; who hangs does so for ever.
_LONG_SILENCE = 90.0


class Victim:
    """Starts a flanneld, writes one lease and then a good one, and tells what became of it."""

    def __init__(self, etcd: _etcd.EtcdServer, hosts: list[Host], directory: Path, silence: float = _SILENCE) -> None:
        self._etcd = etcd
        self._silence = silence
        self._directory = directory
        self._free: SimpleQueue[Host] = SimpleQueue()
        for host in hosts:
            self._free.put(host)

    def __call__(self, item: tuple[int, tuple[str, str]]) -> str:
        number, lease = item
        directory = self._directory / str(number)
        directory.mkdir(parents=True)
        prefix = f"/harm/{number}"
        network(self._etcd, prefix, [FIRST])
        host = self._free.get()
        daemon = _flanneld.Flanneld(host, self._etcd, prefix, directory, "--iptables-forward-rules=false")
        try:
            daemon.start()
            # Its first look at all leases is over: what is written from here on comes to it as an event.
            assert daemon.until(lambda: "10.60.98.0/24" in routes(host)), daemon.log()
            for key, value in (lease, LAST):
                put(self._etcd, f"{prefix}/subnets/{key}", value)
            return self._effect(daemon)
        finally:
            end(daemon)
            self._free.put(host)

    def _effect(self, daemon: _flanneld.Flanneld) -> str:
        def seen() -> str:
            if "10.60.99.0/24" in routes(daemon.host):
                return "none"
            # The third failure in a row of one request.
            return STALLS if "#2:" in daemon.log() else ""

        try:
            found = str(daemon.until(seen, self._silence))
        except TimeoutError:
            return HANGS
        return found if daemon.running() else "ends"


def test_what_a_lease_does_to_a_running_flanneld_is_known(
    etcd: _etcd.EtcdServer, workers: list[Host], tmp_path: Path
) -> None:
    leases = _leases.harmful()
    config = network_config.parse(CONFIG)
    with ThreadPoolExecutor(len(workers)) as pool:
        seen = dict(zip(leases, pool.map(Victim(etcd, workers, tmp_path), enumerate(leases.values()))))
    found = {name: harm(config, *lease) for name, lease in leases.items()}
    said = {name: "none" if each is None else each.kind for name, each in found.items()}
    patient = Victim(etcd, workers, tmp_path / "again", _LONG_SILENCE)
    for number, name in enumerate(leases, len(leases)):
        # On a busy machine three at once are slow, so what is not as foretold is looked at once more by itself.
        if seen[name] != said[name]:
            seen[name] = patient((number, leases[name]))
    assert seen == said
    assert {HANGS, STALLS, "none"} == set(seen.values())
