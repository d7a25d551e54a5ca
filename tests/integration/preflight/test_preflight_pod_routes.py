# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policy routing and the check of the way back on a real kernel: found by name, and gone after what the remedy says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._host import links
from ansible_collections.podnet.cni.plugins.module_utils._preflight import pod_routes
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import Finding
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_checks_forwarding import pod_routes as check
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_files import Files

NAME = f"pnpr{os.getpid() % 10000}"
PEERS = ["198.19.129.0/24", "fd00:129::/64"]
MAKE = """
ip link set lo up
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
for link in cni0 flannel.1 up1; do
  ip link add $link type veth peer name peer-$link
  ip link set $link up
  ip link set peer-$link up
done
ip address add 198.19.130.1/24 dev cni0
ip address add fd00:130::1/64 dev cni0 nodad
ip address add 198.19.130.0/32 dev flannel.1
ip address add 198.18.9.1/24 dev up1
ip route add 198.19.129.0/24 dev flannel.1
ip -6 route add fd00:129::/64 dev flannel.1
"""


def run(command: Sequence[str], _text: str | None = None) -> tuple[int, str, str]:
    done = subprocess.run(["ip", "netns", "exec", NAME, *command], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def sh(script: str) -> None:
    code, _out, err = run(["sh", "-ec", script])
    assert code == 0, err


class Inside(Files):
    """Files of the namespace, whose settings are not those of this process."""

    def line(self, path: str) -> str | None:
        code, out, _err = run(["cat", path])
        return out.strip() if code == 0 else None


def found() -> list[Finding]:
    """What the check says of the host now."""
    ways = pod_routes.read(run, Inside("/"), links.read(run), PEERS)
    assert len(ways) == 4
    return [each for each in check({"pod_routes": ways}, {}) if each.status == "failed"]


@pytest.fixture(autouse=True)
def host() -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    subprocess.run(["ip", "netns", "add", NAME], check=True)
    try:
        sh(MAKE)
        yield
    finally:
        subprocess.run(["ip", "netns", "delete", NAME], check=True)


def test_nothing_is_found_where_no_rule_is_in_the_way() -> None:
    assert found() == []


@pytest.mark.parametrize("family", [4, 6])
def test_a_rule_that_takes_pods_elsewhere(family: int) -> None:
    sh(f"ip -{family} route add default dev up1 table 100; ip -{family} rule add iif cni0 lookup 100 pref 500")
    [finding] = found()
    assert "arrives on cni0 leaves on up1" in finding.seen
    rule = re.search(r"ip -\d rule add to \S+ lookup main pref 100", finding.remedy)
    assert rule, finding.remedy
    code, _out, err = run(shlex.split(rule.group()))
    assert code == 0, err
    assert found() == []


def test_a_way_back_that_rp_filter_refuses() -> None:
    sh(
        "sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.flannel/1.rp_filter=1; "
        "ip route add 198.19.129.0/24 dev up1 table 100; ip rule add to 198.19.129.0/24 lookup 100 pref 500"
    )
    [refused] = [each for each in found() if "is dropped" in each.seen]
    assert "arrives on flannel.1 is dropped (" in refused.seen
    loosened = re.search(r"sysctl -w net[^,]+", refused.remedy)
    assert loosened, refused.remedy
    sh(loosened.group())
    assert [each.seen for each in found() if "is dropped" in each.seen] == []
    sh("ip rule del pref 500")
    assert found() == []
