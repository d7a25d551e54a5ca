# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that is killed anywhere leaves nothing that the next run cannot finish."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import backends, peers, plan, rtnetlink
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.kernel import Kernel
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import from_dict
from ansible_collections.podnet.cni.tests.integration.dataplane._fork import on_new_hosts
from ansible_collections.podnet.cni.tests.integration.dataplane._leases import lease

PEERS = 500
EVERY = 10
# The kernel spends most of the time waiting when it removes links, so several hosts share the work.
HOSTS = 6
MOVED = "10.30.1.0/24"
DAMAGE = ("ip route del 10.5.2.0/24", "ip neigh del 10.5.3.0 dev flannel.1")
CONFIG = network_config.parse({"Network": "10.0.0.0/11", "Backend": {"Type": "vxlan"}})

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


class Counter:
    """Stands before a function and kills this process when it is called for the `fatal`-th time."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.calls = 0

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with the counter before it."""

        def counted(*arguments: Any, **options: Any) -> Any:
            self.calls += 1
            if self.calls == self.fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return counted


def run(fatal: int = 0, subnet: str = "10.5.1.0/24") -> int:
    """One run over 500 peers; killed at the `fatal`-th message group. Returns how many groups there are."""
    counter = Counter(fatal)
    own = peers.read_own(CONFIG, from_dict({**lease(1), "subnet": subnet}))
    nodes = peers.read_peers(CONFIG, own, [from_dict(lease(number)) for number in range(2, PEERS + 2)]).peers
    with Kernel("test") as kernel:
        underlay = kernel.underlay(peers.public_ips(own), None)
        wanted = backends.build(CONFIG, own, nodes, underlay, {})
        steps = plan.make(wanted, kernel.observe(wanted))
        links = kernel._links
        for name in ("link", "addr"):
            setattr(links, name, counter.before(getattr(links, name)))
        bulk = vars(kernel)["_bulk"]
        bulk._exchange = counter.before(bulk._exchange)
        rtnetlink.BATCH = EVERY
        kernel.apply(steps, wanted, print)
        again = plan.make(wanted, kernel.observe(wanted))
        assert not again, again.actions()[:5]
    return counter.calls


def listing() -> str:
    """What iproute2 shows of this network namespace."""
    lines = (
        "ip -d address show flannel.1 scope global",
        "ip route show",
        "ip neigh show dev flannel.1 nud permanent",
        "bridge fdb show dev flannel.1",
    )
    return "\n".join(
        line
        for command in lines
        for line in sorted(
            subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout.splitlines()
        )
    )


def moved_and_killed() -> dict[str, Any]:
    """A lease that moves and finds one peer more, killed at each step of that, and finished by the next run."""
    run()
    run(subnet=MOVED)
    undisturbed = _plain(listing())
    different, fatal, killed = [], 0, True
    while killed:
        fatal += 1
        run()
        for command in DAMAGE:
            subprocess.run(command.split(), check=True)
        victim = os.fork()
        if victim == 0:
            run(fatal, MOVED)
            os._exit(0)
        killed = os.WIFSIGNALED(os.waitpid(victim, 0)[1])
        run(subnet=MOVED)
        if _plain(listing()) != undisturbed:
            different.append(fatal)
    return {"kills": fatal - 1, "different": different}


def test_a_moving_lease_recovers_from_every_kill() -> None:
    (found,) = on_new_hosts([moved_and_killed])
    # The new address, the old one, and the peer's entries.
    assert found["kills"] >= 3
    assert found["different"] == []


def killed_and_finished(fatal: int) -> tuple[int, str]:
    """One run that is killed, then one that is not; how much the first left, and what the second made."""
    victim = os.fork()
    if victim == 0:
        run(fatal)
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(victim, 0)[1])
    exists = any(name == "flannel.1" for _index, name in socket.if_nameindex())
    left = listing().count("\n") if exists else 0
    run()
    after = listing()
    subprocess.run(["ip", "link", "del", "flannel.1"], check=True)
    return left, after


def kill_points(start: int) -> dict[str, Any]:
    """Kill a run at each HOSTS-th of its message groups from `start` on, and finish it.

    Returns how many groups there are, how much each killed run left, and after which of them something else came out.
    """
    groups = run()
    undisturbed = _plain(listing())
    subprocess.run(["ip", "link", "del", "flannel.1"], check=True)
    found = {fatal: killed_and_finished(fatal) for fatal in range(start, groups + 1, HOSTS)}
    different = [fatal for fatal, (_left, after) in found.items() if _plain(after) != undisturbed]
    return {"groups": groups, "left": [left for left, _after in found.values()], "different": different}


def _plain(text: str) -> str:
    """A listing without the interface's number."""
    return re.sub(r"(?m)^\d+: ", "", text)


def test_every_kill_point() -> None:
    parts = on_new_hosts([lambda start=start: kill_points(start) for start in range(1, HOSTS + 1)])
    for part in parts:
        # Link, address, up, and at least a group per ten of three entries for each peer.
        assert part["groups"] >= 3 * PEERS // EVERY + 3
        assert part["different"] == []
        # The kills did hit at different moments: each run got further than the one before.
        assert part["left"] == sorted(part["left"])
    assert len({left for part in parts for left in part["left"]}) > 3 * PEERS // EVERY
