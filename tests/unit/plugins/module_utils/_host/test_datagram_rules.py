# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of iptables-legacy that drop the packets of a backend, of what iptables-legacy -S prints."""

from __future__ import annotations

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._host.datagram_rules import Ways, legacy

WAYS = Ways("eth0", ["198.18.0.1", "fd00:18::1"], ["198.18.0.2"], [8472])
RULES = [
    ("-A INPUT -p udp -m udp --dport 8472 -j DROP", [("in", True)]),
    ("-A INPUT -p udp -m multiport --dports 53,8000:9000 -j DROP", [("in", True)]),
    (
        "-A INPUT -i eth+ -s 198.18.0.0/24 -m comment --comment 'not here' -j REJECT",
        [("in", True)],
    ),
    ("-A OUTPUT -o eth0 -d 198.18.0.2/32 -j DROP", [("out", True)]),
    ("-A INPUT -m conntrack --ctstate INVALID -j DROP", [("in", False)]),
    # Where a chain of its own is called from is not followed.
    ("-A CUSTOM -p udp -j DROP", [("in", False), ("out", False)]),
    ("-P INPUT DROP", [("in", False)]),
    ("-P OUTPUT DROP", [("out", False)]),
    ("-P INPUT ACCEPT", []),
    ("-A INPUT -p tcp -m tcp --dport 8472 -j DROP", []),
    ("-A INPUT -p udp -m udp --dport 53 -j DROP", []),
    ("-A INPUT -i docker0 -j DROP", []),
    ("-A INPUT -s 198.18.0.77/32 -j DROP", []),
    ("-A FORWARD -p udp -j DROP", []),
    ("-A INPUT -p udp -m udp --dport 8472 -j ACCEPT", []),
    ("-N CUSTOM", []),
]


@pytest.mark.parametrize(("line", "found"), RULES, ids=[line for line, _found in RULES])
def test_what_drops_them(line: str, found: list[tuple[str, bool]]) -> None:
    assert [(each["direction"], each["sure"]) for each in legacy([line], "iptables-legacy", WAYS)] == found
    # There is no peer of that family.
    assert list(legacy([line], "ip6tables-legacy", WAYS)) == []
