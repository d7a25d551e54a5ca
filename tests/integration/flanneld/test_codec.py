# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The codec reads and refuses what a running flanneld reads and refuses: network configs and leases, both ways."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from queue import SimpleQueue

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import to_text
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.peers import read_own, read_peers
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease, decode, decode_key
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease_harm import harm
from ansible_collections.podnet.cni.tests.integration import _etcd, _flanneld
from ansible_collections.podnet.cni.tests.integration._netns import Host
from ansible_collections.podnet.cni.tests.integration.flanneld import _configs, _generated, _leases
from ansible_collections.podnet.cni.tests.integration.flanneld._network import CONFIG, LAST, end, network, put, routes

# flanneld comes up with these, and does something else than they say, or something that carries no packet.
STRICTER = {
    '{"Network":"224.60.0.0/16","Backend":{"Type":"vxlan"}}': "is multicast",
    '{"Network":"10.60.0.0/16","Backend":{"Type":"vxlan","Port":65536}}': "Port 65536 must be from 0 to 65535",
    '{"Network":"10.60.0.0/16","Backend":{"Type":"vxlan","Port":-1}}': "Port -1 must be from 0 to 65535",
    '{"Network":"10.60.0.0/16","Backend":{"Type":"vxlan","MTU":575}}': "MTU 575 must be",
    '{"Network":"10.60.0.0/16","Backend":{"Type":"vxlan","MTU":-1}}': "MTU -1 must be",
    '{"Network":"10.60.0.0/16","EnableIPv6":true,"IPv6Network":"fd00:60::/48","Backend":{"Type":"alloc"}}': "IPv4 only",
}


# The same by the words of the refusal, for configs that nobody has written down.
STRICTER_WORDS = (
    *("is multicast", "is loopback", "Port -1 must be", "Port 65536 must be", "MTU -1 must be", "MTU 100 must be"),
    *("MTU 575 must be", "carries IPv4 only", "no subnet to lease", "lies in ::/96", "it must be IPv6"),
)
# With Kubernetes flanneld starts with these, and gives pods no way to each other.
STRICTER_KUBERNETES = (
    *("Network is missing", "is the whole of IPv4", "it must be IPv4", "both false", "JSON object, not null"),
)


def ours(text: str, *, check_ranges: bool = True) -> str:
    """Why the codec refuses a config, empty when it does not."""
    try:
        network_config.parse(text, check_ranges=check_ranges)
    except InputError as error:
        return str(error)
    return ""


class Trial:
    """Starts flanneld with one config after the other, several at a time, and remembers what became of each."""

    def __init__(self, etcd: _etcd.EtcdServer, hosts: Sequence[Host], directory: Path) -> None:
        self._etcd = etcd
        self._directory = directory
        self._free: SimpleQueue[Host] = SimpleQueue()
        self._hosts = len(hosts)
        self._known: dict[str, str] = {}
        for host in hosts:
            self._free.put(host)

    def __call__(self, texts: Iterable[str]) -> dict[str, str]:
        """Why flanneld does not come up with each of these configs, empty when it does."""
        wanted = list(dict.fromkeys(texts))
        new = [text for text in wanted if text not in self._known]
        with ThreadPoolExecutor(self._hosts) as pool:
            self._known.update(zip(new, pool.map(self._one, enumerate(new, len(self._known)))))
        return {text: self._known[text] for text in wanted}

    def _one(self, item: tuple[int, str]) -> str:
        number, text = item
        directory = self._directory / str(number)
        directory.mkdir()
        prefix = f"/config/{number}"
        put(self._etcd, f"{prefix}/config", text)
        host = self._free.get()
        daemon = _flanneld.Flanneld(host, self._etcd, prefix, directory, "--iptables-forward-rules=false")
        try:
            daemon.start()
            outcome = daemon.wait(_flanneld.REFUSED, _flanneld.READY)
        finally:
            end(daemon)
            self._free.put(host)
        return "" if outcome == _flanneld.READY else daemon.log()[-300:]


@pytest.fixture(scope="module")
def trial(etcd: _etcd.EtcdServer, workers: list[Host], tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """What a real flanneld makes of configs in etcd."""
    return Trial(etcd, workers, tmp_path_factory.mktemp("config"))


def written_down(family: str) -> list[str]:
    """The configs of a family that somebody has thought of."""
    return list(dict.fromkeys(getattr(_configs, family)()))


@pytest.mark.parametrize("family", ["ipv4", "dual_stack"])
def test_a_config_is_read_or_refused_as_flanneld_does(trial: Trial, family: str) -> None:
    texts = written_down(family)
    theirs = trial(texts)
    read_by_us_only = {text: theirs[text] for text in texts if theirs[text] and not ours(text)}
    refused_by_us_only = {text: ours(text) for text in texts if ours(text) and not theirs[text]}
    assert not read_by_us_only
    expected = {text: rule for text, rule in STRICTER.items() if text in texts}
    assert refused_by_us_only.keys() == expected.keys()
    assert all(rule in refused_by_us_only[text] for text, rule in expected.items())


def test_a_generated_config_is_read_or_refused_as_flanneld_does(trial: Trial) -> None:
    """As many again as nobody has thought of, with members given twice, in any case and with slips of the pen."""
    texts = _generated.configs()
    print(f"PODNET_SEED={_generated.SEED} makes these {len(texts)} configs again")
    theirs = trial(texts)
    read_by_us_only = {text: theirs[text] for text in texts if theirs[text] and not ours(text)}
    refused_by_us_only = {text: ours(text) for text in texts if ours(text) and not theirs[text]}
    assert not read_by_us_only
    assert not {text: why for text, why in refused_by_us_only.items() if not any(w in why for w in STRICTER_WORDS)}
    accepted = sum(1 for why in theirs.values() if not why)
    assert len(texts) / 5 < accepted < len(texts) * 4 / 5


@pytest.mark.parametrize("family", ["ipv4", "dual_stack", "generated"])
def test_a_config_of_kubernetes_is_read_or_refused_as_flanneld_does(trial: Trial, tmp_path: Path, family: str) -> None:
    """In Kubernetes mode flanneld parses the file before it asks the API, and checks no ranges of subnets at all.

    What the backend refuses is the same in both modes, so where the file is good, flanneld with etcd tells the rest.
    """
    texts = _generated.configs() if family == "generated" else written_down(family)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        parsed = dict(zip(texts, pool.map(_KubernetesTrial(tmp_path), enumerate(texts))))
    with_etcd = trial(texts)
    stricter = (*STRICTER_WORDS, *STRICTER_KUBERNETES)
    wrong = {}
    for text, refusal in parsed.items():
        why = ours(text, check_ranges=False)
        ranges = any(words in with_etcd[text] for words in (_flanneld.REFUSED, "out of subnets"))
        if not why and (refusal or (with_etcd[text] and not ranges)):
            wrong[text] = f"read by us only: {refusal or with_etcd[text]}"
        good = not refusal and (not with_etcd[text] or (ranges and ": Backend" not in why))
        if why and good and not any(words in why for words in stricter):
            wrong[text] = f"refused by us only: {why}"
    assert not wrong
    assert any(parsed.values())
    assert any(_flanneld.REFUSED in with_etcd[text] and not refusal for text, refusal in parsed.items())


class _KubernetesTrial:
    """Starts flanneld with a file, and with an API server that is not there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(self, item: tuple[int, str]) -> str:
        number, text = item
        file, log = self._directory / f"{number}.json", self._directory / f"{number}.log"
        file.write_text(text, encoding="utf-8")
        return _flanneld.kubernetes_refusal(file, log)


OWN = Lease(
    subnet=IPv4Network("10.60.1.0/24"),
    public_ip=IPv4Address("198.18.0.1"),
    backend_type="vxlan",
    backend_data={"VNI": 1, "VtepMAC": "02:00:00:00:00:01"},
)


def test_a_lease_is_programmed_or_passed_over_as_flanneld_does(
    etcd: _etcd.EtcdServer, workers: list[Host], tmp_path: Path
) -> None:
    """What we pass over although flanneld programs it is named below: it could carry no packet, or others' packets."""
    store = network(etcd, "/leases", [*_leases.leases(), LAST])
    config = network_config.parse(CONFIG)
    checked = read_peers(config, read_own(config, OWN), [], store.list_leases().leases)
    ours = {f"{to_text(node.ipv4.subnet.address)}/{node.ipv4.subnet.length}" for node in checked.peers if node.ipv4}
    daemon = _flanneld.Flanneld(workers[0], etcd, "/leases", tmp_path, "--iptables-forward-rules=false")
    daemon.start()
    try:
        daemon.until(lambda: "10.60.99.0/24" in routes(workers[0]))
        theirs = routes(workers[0])
    finally:
        end(daemon)
    odd = {_leases.subnet(key) for key, _value in _leases.leases()[-len(_leases.ODD) :]}
    assert theirs - ours == odd
    assert ours - theirs == set()
    assert len(ours) > len(_leases.leases()) / 4


GENERATED = {"Network": "10.0.0.0/8", "Backend": {"Type": "vxlan"}}
# Why we pass over a lease that flanneld programs: it could carry no packet, or others' packets.
PASSED_OVER = (
    *("is not a subnet of the network", "lies inside the overlay's own network", "has no public IPv4 address"),
    *("is not an address of a host", "is a multicast or reserved address"),
)


def test_a_generated_lease_is_programmed_or_passed_over_as_flanneld_does(
    etcd: _etcd.EtcdServer, workers: list[Host], tmp_path: Path
) -> None:
    """One flanneld reads them all; those that would stall or hang it have a test of their own, test_harm.py."""
    config = network_config.parse(GENERATED)
    leases = {key: value for key, value in _generated.leases().items() if harm(config, key, value) is None}
    print(f"PODNET_SEED={_generated.SEED} makes these {len(leases)} leases again")
    put(etcd, "/generated/config", network_config.render(config))
    for key, value in leases.items():
        put(etcd, f"/generated/subnets/{key}", value)
    put(etcd, "/generated/subnets/garbage", "{}")
    put(etcd, "/generated/subnets/10.99.99.0-24", LAST[1])
    daemon = _flanneld.Flanneld(workers[0], etcd, "/generated", tmp_path, "--iptables-forward-rules=false")
    daemon.start()
    try:
        daemon.until(lambda: "10.99.99.0/24" in routes(workers[0]))
        theirs = routes(workers[0])
    finally:
        end(daemon)
    own = read_own(config, OWN)
    ours, unreadable, warned = {"10.99.99.0/24"}, set(), {}
    for key, value in leases.items():
        try:
            checked = read_peers(config, own, [], [decode(key, value)])
        except InputError:
            # flanneld reads null as a lease of nobody.
            if decode_key(key) is None or value.strip() != "null":
                unreadable.add(key)
            continue
        ours |= {
            f"{to_text(node.ipv4.subnet.address)}/{node.ipv4.subnet.length}" for node in checked.peers if node.ipv4
        }
        warned.update((str(decode(key, value).subnet), text) for text in checked.warnings)
    assert ours - theirs == set()
    assert not {
        subnet: warned.get(subnet, "unreadable")
        for subnet in theirs - ours
        if not any(words in warned.get(subnet, "") for words in PASSED_OVER)
    }
    # flanneld lists the leases more than once, and names no key whose value it cannot read.
    lists = daemon.log().count("failed to parse subnet key /generated/subnets/garbage\n")
    assert daemon.log().count("Ignoring bad subnet node") == lists * len({*unreadable, "garbage"})
