# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What flanneld reads is read and written by one parser: no other code makes addresses or flannel's JSON of texts."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UTILITIES = "plugins/module_utils"
PARSER = f"{UTILITIES}/_flannel/addresses.py"

FUNCTIONS = ("ip_address", "ip_interface", "ip_network", "inet_pton", "inet_aton")
CLASSES = tuple(f"IPv{family}{kind}" for family in (4, 6) for kind in ("Address", "Interface", "Network"))

# Each file or folder whose texts are not flannel's, and whose they are. Everything else below plugins and extensions
# uses the parser: network config, leases, annotations of Nodes, subnet.env and the restore files, their readers too.
ADDRESSES: Mapping[str, str] = {
    "_dataplane/peers.py": "leases by the thousand in their usual spelling; any other goes to the parser",
    "_dataplane/restore/files.py": "what a former run wrote for ip and bridge",
    "_dataplane/wireguard_device.py": "what the kernel and wg print",
    "_host/datagram_rules.py": "addresses of hosts of which a lease tells, and what iptables prints",
    "_host/forward_rules.py": "what nft prints",
    "_host/links.py": "what ip prints",
    "_host/namespace.py": "addresses of this host, which the kernel has",
    "_host/pod_addresses.py": "names of host-local's files",
    "_kube/wait.py": "podCIDRs, which the API server has checked, compared with an option; _kube knows no network",
    "_kube_ovn": "Kube-OVN's annotations, judged by its own rules",
    "_lab": "namespaces of one machine, made by us",
    "_network_policy": "NetworkPolicies, which the API server has checked, and what users ask about them",
    "_probe/measure.py": "where a probe connects to",
    "_status/bundle.py": "whatever looks like an address in a report, to hide it",
}
# Folders in which flannel's JSON is read, and the files of them that read somebody else's.
ROOMS = ("_dataplane", "_discovery", "_flannel", "_preflight", "_status", "_stores", "_upgrade")
JSON: Mapping[str, str] = {
    "_dataplane/firewall/table.py": "what nft prints",
    "_discovery/net_conf.py": "CNI configurations",
    "_discovery/nodes.py": "annotations of other networks",
    "_flannel/go_json.py": "the decoder itself",
    "_preflight/host_network.py": "what ip and nft print",
    "_preflight/host_runtime.py": "what container runtimes print",
    "_preflight/host_system.py": "what systemd prints",
    "_preflight/pod_routes.py": "what ip prints",
    "_preflight/watch.py": "what our own listener tells",
    "_stores/etcd_client.py": "answers of etcd's gateway",
}


def number(node: ast.expr) -> bool:
    """Whether an argument can only be a number, or an address with its length: no text is parsed then."""
    return isinstance(node, (ast.Tuple, ast.BinOp)) or (isinstance(node, ast.Constant) and isinstance(node.value, int))


def parses(source: str) -> Iterator[str]:
    """The calls in a file by which the standard library makes addresses of texts."""
    for node in ast.walk(ast.parse(source)):
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        # Named without a call they are handed to somebody who calls them.
        if name in FUNCTIONS:
            yield name
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in CLASSES and not (node.args and number(node.args[0])):
                yield ast.unparse(node)


def decodes(source: str) -> Iterator[str]:
    """The calls in a file by which the standard library reads JSON."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("json.loads", "json.load", "json.JSONDecoder"):
            yield node.attr


def listed(path: str, table: Mapping[str, str]) -> bool:
    """Whether a file is in a table, by its own name or its folder's."""
    return any(path == f"{UTILITIES}/{name}" or path.startswith(f"{UTILITIES}/{name}/") for name in table)


def files(*folders: str) -> dict[str, str]:
    """The sources below some folders, by their paths."""
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in found}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("ipaddress.ip_network(text)", 1),
        ("list(map(ip_address, texts))", 1),
        ("socket.inet_pton(family, text)", 1),
        ("IPv4Network(text)", 1),
        ("ipaddress.IPv6Address(address=text)", 1),
        ("IPv4Network((address, 24))", 0),
        ("IPv4Address(0) + IPv6Address(1 << 32 | low)", 0),
        ("def f(network: IPv4Network) -> bool: return isinstance(network, IPv4Network)", 0),
    ],
)
def test_a_parser_is_found(source: str, found: int) -> None:
    assert len(list(parses(source))) == found


def test_no_other_code_makes_addresses_of_texts() -> None:
    found = {
        path: calls
        for path, source in files("plugins", "extensions").items()
        if path != PARSER and not listed(path, ADDRESSES) and (calls := list(parses(source)))
    }
    assert found == {}, f"use {PARSER}; what is not flannel's is named in ADDRESSES with its reason"


def test_no_other_code_reads_the_json_of_flannel() -> None:
    rooms = files(*(f"{UTILITIES}/{room}" for room in ROOMS))
    found = {
        path: calls for path, source in rooms.items() if not listed(path, JSON) and (calls := list(decodes(source)))
    }
    assert found == {}, "use _flannel/go_json.py; what is not flannel's is named in JSON with its reason"


@pytest.mark.parametrize(("table", "calls"), [(ADDRESSES, parses), (JSON, decodes)], ids=["addresses", "json"])
def test_an_exception_that_nothing_needs_goes(table: Mapping[str, str], calls: Callable[[str], Iterator[str]]) -> None:
    for name in table:
        path = ROOT / UTILITIES / name
        sources = [path] if path.is_file() else sorted(path.rglob("*.py"))
        assert any(list(calls(each.read_text(encoding="utf-8"))) for each in sources), name
