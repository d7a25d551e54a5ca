# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the firewall should be, how nft's listing is read, and what follows from the difference."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_interface
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.firewall import table as firewall
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config, subnet_env
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease

CONFIG = network_config.parse(
    {"Network": "10.5.0.0/16", "EnableIPv6": True, "IPv6Network": "fd00:10:5::/48", "Backend": {"Type": "vxlan"}}
)
LEASE = Lease(subnet=IPv4Network("10.5.57.0/24"), ipv6_subnet=IPv6Network("fd00:10:5:57::/64"))
FLANNELD = Path(__file__).parents[5] / "fixtures" / "flanneld_firewall.json"
ONE_FAMILY = Lease(subnet=LEASE.subnet)


class Nft:
    """A run callable that answers from a table of command -> (code, stdout, stderr)."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[str, str | None]] = []

    def __call__(self, command: Sequence[str], text: str | None = None) -> tuple[int, str, str]:
        self.calls.append((" ".join(command), text))
        if "--check" in command:
            return (0 if self.answers.get("fully_random", True) else 1), "", ""
        if "error" in self.answers:
            return 1, "", self.answers["error"]
        return 0, self.answers.get("listing", '{"nftables": []}'), ""


def observe(run: Any, want: Any, tmp_path: Path) -> firewall.Observed:
    return firewall.observe(run, want, str(tmp_path))


def test_the_rules_are_those_of_flanneld_in_iptables_mode() -> None:
    (table,) = firewall.desired(CONFIG, ONE_FAMILY, ip_masq=True)
    assert firewall.render([table]) == (
        "table ip podnet_cni {\n"
        "\tchain postrtg {\n"
        "\t\ttype nat hook postrouting priority 100; policy accept;\n"
        "\t\tmeta mark & 0x4000 == 0x4000 return\n"
        "\t\tip saddr 10.5.57.0/24 ip daddr 10.5.0.0/16 return\n"
        "\t\tip saddr 10.5.0.0/16 ip daddr 10.5.57.0/24 return\n"
        "\t\tip saddr != 10.5.0.0/16 ip daddr 10.5.57.0/24 return\n"
        "\t\tip saddr 10.5.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random\n"
        "\t\tip saddr != 10.5.0.0/16 ip daddr 10.5.0.0/16 masquerade fully-random\n"
        "\t}\n"
        "\tchain forward {\n"
        "\t\ttype filter hook forward priority 0; policy accept;\n"
        "\t\tip saddr 10.5.0.0/16 accept\n"
        "\t\tip daddr 10.5.0.0/16 accept\n"
        "\t}\n"
        "}\n"
    )


@pytest.mark.parametrize("capture", ["vxlan-ipv4", "vxlan-dual-stack", "vxlan-options"])
def test_the_rules_are_those_captured_from_a_running_flanneld(capture: str) -> None:
    held = json.loads(FLANNELD.read_text())["captures"][capture]
    env = subnet_env.parse(held["subnet_env"])
    subnets = [ip_interface(env[key]).network for key in ("FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET") if key in env]
    ipv4, ipv6 = [*subnets, None][:2]
    config = network_config.parse(held["config"])
    tables = firewall.desired(config, Lease(subnet=ipv4, ipv6_subnet=ipv6), ip_masq=True)
    assert len(tables) == len(subnets)
    for table, listing in zip(tables, ("iptables", "ip6tables"), strict=False):
        rules = [rule for chain in table.chains for rule in chain.rules]
        captured = [line for line in held[listing] if line.startswith("-A FLANNEL-")]
        # postrtg comes first in ours, FLANNEL-FWD in the capture
        captured.sort(key=lambda line: "FLANNEL-FWD" in line)
        assert rules == [as_nft(table.family, line) for line in captured]


def test_flannelds_own_nftables_mode_differs_in_the_two_rules_that_the_docs_name(tmp_path: Path) -> None:
    held = json.loads(FLANNELD.read_text())["nftables"]
    objects = [entry for entry in held["listing"] if not any(one.get("family") == "ip6" for one in entry.values())]
    text = json.dumps({"nftables": objects}).replace('"flannel-ipv4"', '"podnet_cni"')
    (theirs,) = firewall.observe(Nft(listing=text), (), str(tmp_path)).tables
    subnet = IPv4Network(subnet_env.parse(held["subnet_env"])["FLANNEL_SUBNET"], strict=False)
    (ours,) = firewall.desired(network_config.parse(held["config"]), Lease(subnet=subnet), ip_masq=True)
    assert [replace(chain, rules=()) for chain in theirs.chains] == [replace(chain, rules=()) for chain in ours.chains]
    masquerade, forward = zip(ours.chains, theirs.chains, strict=True)
    assert forward[0].rules == forward[1].rules
    differing = {
        place: (mine, other)
        for place, (mine, other) in enumerate(zip(masquerade[0].rules, masquerade[1].rules, strict=True))
        if mine != other
    }
    assert list(differing) == [0, 3]
    # The mark is tested whole, and all traffic to the network is let through as it is.
    assert '"op": "==", "right": 16384' in differing[0][1]
    assert differing[3] == (
        "ip saddr != 10.5.0.0/16 ip daddr 10.5.57.0/24 return",
        "ip saddr != 10.5.57.0/24 ip daddr 10.5.0.0/16 return",
    )


def as_nft(family: str, line: str) -> str:
    """A line of iptables -S in nft's words."""
    words = shlex.split(line)[2:]
    text = []
    while words[0] != "-j":
        negation = "!= " if words[0] == "!" else ""
        words = words[1:] if negation else words
        option, value = words[:2]
        words = words[2:]
        if option in ("-s", "-d"):
            text.append(f"{family} {option[1]}addr {negation}{value}")
        elif option == "--mark":
            mark, mask = value.split("/")
            text.append(f"meta mark & {mask} == {mark}")
    verdict = words[1].lower() + (" fully-random" if words[2:] == ["--random-fully"] else "")
    return " ".join([*text, verdict])


def test_the_ipv6_table_is_its_twin() -> None:
    _ipv4, ipv6 = firewall.desired(CONFIG, LEASE, ip_masq=True)
    text = firewall.render([ipv6])
    assert "ip6 saddr fd00:10:5::/48 ip6 daddr != ff00::/8 masquerade fully-random" in text
    assert "ip saddr" not in text


def test_a_network_without_the_family_gets_no_table_for_it() -> None:
    config = network_config.parse({"Network": "10.5.0.0/16", "Backend": {"Type": "vxlan"}})
    assert [table.family for table in firewall.desired(config, LEASE, ip_masq=True)] == ["ip"]


def test_without_masquerading_only_the_forward_chain_is_left() -> None:
    for table in firewall.desired(CONFIG, LEASE, ip_masq=False):
        assert [chain.name for chain in table.chains] == ["forward"]


def test_the_replacement_deletes_and_creates_in_one_script() -> None:
    table = firewall.desired(CONFIG, ONE_FAMILY, ip_masq=False)
    lines = firewall.replacement(table).splitlines()
    assert lines[:3] == ["add table ip podnet_cni", "delete table ip podnet_cni", "table ip podnet_cni {"]


def test_nothing_there_means_everything_is_added(tmp_path: Path) -> None:
    want = firewall.desired(CONFIG, LEASE, ip_masq=True)
    plan = firewall.plan(want, observe(Nft(), want, tmp_path))
    assert plan.actions == ("add nftables table ip podnet_cni", "add nftables table ip6 podnet_cni")
    assert plan.before == ""
    assert plan.after == firewall.render(want)


def test_a_kernel_without_fully_random_gets_plain_masquerade(tmp_path: Path) -> None:
    want = firewall.desired(CONFIG, ONE_FAMILY, ip_masq=True)
    plan = firewall.plan(want, observe(Nft(fully_random=False), want, tmp_path))
    assert "masquerade\n" in plan.script
    assert "fully-random" not in plan.script


def test_without_masquerading_the_kernel_is_not_asked(tmp_path: Path) -> None:
    run = Nft()
    want = firewall.desired(CONFIG, ONE_FAMILY, ip_masq=False)
    assert observe(run, want, tmp_path).fully_random is None
    assert [command for command, _text in run.calls] == ["nft -j list tables; list chains"]


LISTED = [
    {"table": {"family": "ip", "name": "podnet_cni", "handle": 1}},
    {
        "chain": {
            "family": "ip",
            "table": "podnet_cni",
            "name": "postrtg",
            "handle": 1,
            "type": "nat",
            "hook": "postrouting",
            "prio": 100,
            "policy": "accept",
        }
    },
]


def rule(*expressions: Any) -> dict[str, Any]:
    return {"rule": {"family": "ip", "table": "podnet_cni", "chain": "postrtg", "handle": 9, "expr": [*expressions]}}


SADDR = {"payload": {"protocol": "ip", "field": "saddr"}}
DADDR = {"payload": {"protocol": "ip", "field": "daddr"}}
MARK = {"&": [{"meta": {"key": "mark"}}, 0x4000]}


@pytest.mark.parametrize(
    ("expressions", "text"),
    [
        (
            [{"match": {"op": "==", "left": MARK, "right": 0x4000}}, {"return": None}],
            "meta mark & 0x4000 == 0x4000 return",
        ),
        (
            [
                {"match": {"op": "!=", "left": DADDR, "right": {"prefix": {"addr": "224.0.0.0", "len": 4}}}},
                {"counter": {"packets": 7, "bytes": 9}},
                {"match": {"op": "==", "left": SADDR, "right": {"prefix": {"addr": "10.5.0.0", "len": 16}}}},
                {"masquerade": {"flags": ["random", "fully-random"]}},
            ],
            "ip saddr 10.5.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random random",
        ),
        ([{"match": {"op": "==", "left": SADDR, "right": "10.5.0.1"}}, {"accept": None}], "ip saddr 10.5.0.1 accept"),
        ([{"masquerade": None}], "masquerade"),
    ],
)
def test_listed_rules_have_one_canonical_text(tmp_path: Path, expressions: list[Any], text: str) -> None:
    run = Nft(listing=json.dumps({"nftables": [*LISTED, rule(*expressions)]}))
    ((chain,),) = (table.chains for table in observe(run, (), tmp_path).tables)
    assert chain.rules == (text,)


@pytest.mark.parametrize(
    "foreign",
    [
        {"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 0x4000}},
        {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "eth0"}},
        {"match": {"op": "in", "left": SADDR, "right": "@set"}},
        {"limit": {"rate": 1, "per": "second"}},
        {"jump": {"target": "elsewhere"}},
        {"drop": None},
    ],
)
def test_an_unknown_expression_is_never_taken_for_ours(tmp_path: Path, foreign: Any) -> None:
    run = Nft(listing=json.dumps({"nftables": [*LISTED, rule(foreign)]}))
    ((chain,),) = (table.chains for table in observe(run, (), tmp_path).tables)
    assert json.dumps(next(iter(foreign.values())), sort_keys=True) in chain.rules[0]


@pytest.mark.parametrize("between", ["", "\n", " \n\n"])
def test_one_document_per_command_is_read_however_they_are_separated(tmp_path: Path, between: str) -> None:
    empty = json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}]})
    listed = json.dumps({"nftables": LISTED})
    (table,) = observe(Nft(listing=f"{empty}{between}{listed}\n"), (), tmp_path).tables
    assert [chain.name for chain in table.chains] == ["postrtg"]


def test_nft_that_is_missing_is_told_with_the_remedy(tmp_path: Path) -> None:
    def run(command: Sequence[str], text: str | None = None) -> tuple[int, str, str]:
        raise FileNotFoundError(command[0])

    with pytest.raises(InputError, match=r"nft is not on PATH: install it .* firewall=none"):
        observe(run, (), tmp_path)


def test_nft_that_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(PodnetError, match=r"failed with exit code 1: Operation not permitted .*CAP_NET_ADMIN"):
        observe(Nft(error="Operation not permitted (you must be root)\nmore"), (), tmp_path)


SAVED = """# Generated by iptables-save v1.8.9 on Fri Nov 20 10:00:00 2026
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:FLANNEL-POSTRTG - [0:0]
-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE
-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN
COMMIT
"""


class Legacy(Nft):
    """A host with iptables-legacy tables; *programs* are those that are installed."""

    def __init__(self, saved: str, *programs: str) -> None:
        super().__init__()
        self.saved = saved
        self.programs = programs

    def __call__(self, command: Sequence[str], text: str | None = None) -> tuple[int, str, str]:
        if command[0].endswith("-save"):
            if command[0] not in self.programs:
                raise FileNotFoundError(command[0])
            self.calls.append((command[0], text))
            return 0, self.saved, ""
        return super().__call__(command, text)


@pytest.mark.parametrize("program", ["iptables-legacy-save", "iptables-save"])
def test_legacy_leftovers_are_removed_jumps_first(tmp_path: Path, program: str) -> None:
    (tmp_path / "ip_tables_names").write_text("nat\n")
    observed = observe(Legacy(SAVED, program), (), tmp_path)
    plan = firewall.plan((), observed, remove_leftovers=True)
    assert len(plan.actions) == 1
    assert plan.cleanups == (
        (
            (program.replace("-save", "-restore"), "--noflush"),
            '*nat\n-D POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG\n'
            "-F FLANNEL-POSTRTG\n-X FLANNEL-POSTRTG\nCOMMIT\n",
        ),
    )


def test_a_save_program_on_nf_tables_tells_nothing_about_legacy(tmp_path: Path) -> None:
    (tmp_path / "ip_tables_names").write_text("nat\n")
    saved = SAVED.replace("v1.8.9", "v1.8.9 (nf_tables)")
    assert observe(Legacy(saved, "iptables-save"), (), tmp_path).legacy == ()


def test_no_save_program_runs_where_the_kernel_has_no_legacy_table(tmp_path: Path) -> None:
    (tmp_path / "ip_tables_names").write_text("")
    run = Legacy(SAVED, "iptables-legacy-save")
    assert observe(run, (), tmp_path).legacy == ()
    assert not any("save" in command for command, _text in run.calls)
