# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of a ruleset is what the kernel does with packets between pods of two hosts."""

from __future__ import annotations

import ipaddress
import os
import subprocess
from collections.abc import Iterator

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._host import forward_rules
from ansible_collections.podnet.cni.plugins.module_utils._host.forward_rules import ACCEPT, DROP, Packet

NAME = f"pnfw{os.getpid() % 10000}"
RANGE = ipaddress.ip_network("198.19.128.0/17")
REMOTE, LOCAL = "198.19.129.2", "198.19.130.2"


def table(rules: str, chains: str = "", policy: str = "accept", name: str = "filter") -> str:
    base = f"chain FORWARD {{ type filter hook forward priority 0; policy {policy}; {rules} }}"
    return f"table ip {name} {{ {base} {chains} }}\n"


FIREWALLD = (
    "table inet firewalld { chain filter_FORWARD { type filter hook forward priority 10; policy accept; "
    'ct state { established, related } accept; ct status dnat accept; iifname "lo" accept; '
    "jump filter_FORWARD_ZONES; ct state invalid drop; reject with icmpx type admin-prohibited; } "
)
# Name, ruleset, what is said of a packet from flannel.1 to cni0 (None: not known).
RULES = [
    ("nothing", "", ACCEPT),
    (
        "docker",
        table("jump DOCKER-USER; oifname docker0 accept;", "chain DOCKER-USER { return; }", policy="drop"),
        DROP,
    ),
    (
        "docker and flannel",
        table(
            'oifname "docker0" ct state related,established accept; jump FLANNEL-FWD;',
            "chain FLANNEL-FWD { ip saddr 198.19.128.0/17 accept; ip daddr 198.19.128.0/17 accept; }",
            policy="drop",
        ),
        ACCEPT,
    ),
    (
        "firewalld",
        FIREWALLD + 'chain filter_FORWARD_ZONES { iifname "eth0" goto public; } chain public { accept; } }',
        DROP,
    ),
    (
        "a zone of firewalld that forwards",
        FIREWALLD + "chain filter_FORWARD_ZONES { ip saddr 198.18.0.0/15 goto trusted; } chain trusted { accept; } }",
        ACCEPT,
    ),
    (
        "what a goto comes back from ends its chain",
        table("jump one;", "chain one { goto two; accept; } chain two { return; }", policy="drop"),
        DROP,
    ),
    ("another link", table('iifname "eth*" drop; iifname "flannel.1" oifname != "cni0" drop;'), ACCEPT),
    ("by wildcard", table('iifname "flannel*" drop;'), DROP),
    ("marked", table("meta mark & 0x4000 == 0x4000 accept;", policy="drop"), DROP),
    ("an ipv6 table", "table ip6 f { chain f { type filter hook forward priority 0; policy drop; } }", ACCEPT),
    ("part of the range", table("ip saddr 198.19.129.0/24 drop;"), None),
    ("by a map", table("meta l4proto vmap { tcp : drop, icmp : drop };"), None),
    ("a late accept is no rescue", table("ct state new drop; accept;"), DROP),
    ("two chains, one drops", table("accept;") + table("drop;", name="another"), DROP),
]


def sh(*words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, input=text, capture_output=True, text=True, check=False)


def must(*words: str, text: str | None = None) -> None:
    done = sh(*words, text=text)
    assert done.returncode == 0, f"{words}: {done.stderr}"


@pytest.fixture(scope="module")
def router() -> Iterator[str]:
    """A host between a remote pod, reached over a link called flannel.1, and a pod of its own behind cni0."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    host, far, near = NAME, f"{NAME}a", f"{NAME}b"
    try:
        for name in (host, far, near):
            must("ip", "netns", "add", name)
        for peer, link, gateway, address in (
            (far, "flannel.1", "198.19.129.1", REMOTE),
            (near, "cni0", "198.19.130.1", LOCAL),
        ):
            must("ip", "-n", host, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", peer)
            must("ip", "-n", host, "addr", "add", f"{gateway}/24", "dev", link)
            must("ip", "-n", host, "link", "set", link, "up")
            must("ip", "-n", peer, "addr", "add", f"{address}/24", "dev", "eth0")
            must("ip", "-n", peer, "link", "set", "eth0", "up")
            must("ip", "-n", peer, "route", "add", "default", "via", gateway)
        must("ip", "netns", "exec", host, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        yield host
    finally:
        for name in (host, far, near):
            sh("ip", "netns", "del", name)


@pytest.mark.parametrize(("name", "ruleset", "said"), RULES, ids=[each[0] for each in RULES])
def test_the_kernel_does_what_is_said(router: str, name: str, ruleset: str, said: str | None) -> None:
    def run(command: list[str], text: str | None) -> tuple[int, str, str]:
        done = sh("ip", "netns", "exec", router, *command, text=text)
        return done.returncode, done.stdout, done.stderr

    # nft wants a line's end after a chain.
    text = "flush ruleset\n" + ruleset.replace("; }", "; }\n") + "\n"
    must("ip", "netns", "exec", router, "nft", "-f", "-", text=text)
    judged = forward_rules.judge(forward_rules.read(run), Packet("flannel.1", "cni0", RANGE))
    outcomes = [each.outcomes for each in judged]
    answer: str | None = ACCEPT
    if any(each == {DROP} for each in outcomes):
        answer = DROP
    elif any(DROP in each for each in outcomes):
        answer = None
    assert answer == said, judged
    passes = sh("ip", "netns", "exec", f"{NAME}a", "ping", "-c1", "-W1", LOCAL).returncode == 0
    if said is not None:
        assert passes is (said == ACCEPT)
