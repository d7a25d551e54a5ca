# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests ask of a kernel, and whether the running one has it.

C(@needs("wireguard")) is the only way to skip for want of a kernel feature: the gate C(guest) runs on another kernel
what the machine's own kernel makes skip (tests/gate/guest.py).
"""

from __future__ import annotations

import functools
import subprocess
import sys

import pytest

MARK, DIFFERS = "kernel", "kernel_differs"
API = "PODNET_GUEST_API"
"""The variable that names the file with access to an API server outside of the guest (tests/gate/guest.py)."""

RULES = "nft -f - <<END\ntable inet t {{ chain c {{ type filter hook postrouting priority 95; {rule}; }}; }}\nEND"
# Shell lines that succeed where the feature is there, each run in a network namespace of its own.
FEATURES = {
    # Without an address it has the parameters of tunl0, which is there as soon as the module is: "File exists".
    "ipip": "ip link add name probe0 type ipip local 198.18.0.1",
    "wireguard": "ip link add name probe0 type wireguard",
    "nft_queue": RULES.format(rule="queue flags bypass to 98"),
    "netem": "ip link set lo up && tc qdisc add dev lo root netem delay 1ms",
    "SCTP": f"{sys.executable} -S -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)'",
    # In the guest alone: elsewhere they would stay in the kernel of whoever runs the tests.
    "kernel modules": 'test -n "$PODNET_GUEST" && modprobe --quiet --dry-run dummy',
    # One inside of a guest would take minutes to start.
    "API server outside of it": f'test -e "${API}"',
}


def needs(*features: str) -> pytest.MarkDecorator:
    """Mark a test, or a case of one: it is skipped where the kernel lacks one of these."""
    return _mark(MARK, features)


def differs(*features: str) -> pytest.MarkDecorator:
    """Mark a test that runs on every kernel and expects something else where one of these is there."""
    return _mark(DIFFERS, features)


def _mark(name: str, features: tuple[str, ...]) -> pytest.MarkDecorator:
    unknown = set(features) - set(FEATURES)
    if unknown or not features:
        raise ValueError(f"no such kernel feature: {sorted(unknown)}; there are {', '.join(FEATURES)}")
    return getattr(pytest.mark, name)(*features)


def features_of(item: pytest.Item, *marks: str) -> set[str]:
    """The features that a test names in these marks."""
    return {feature for name in marks for mark in item.iter_markers(name) for feature in mark.args}


@functools.cache
def has(feature: str) -> bool:
    """Whether the running kernel has it. Needs root."""
    command = ["unshare", "--net", "sh", "-ec", FEATURES[feature]]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def lacking() -> list[str]:
    """What the running kernel does not have, of all that tests ask for."""
    return [feature for feature in FEATURES if not has(feature)]
