# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a real flanneld makes with the rights of its container, held against what the module would make there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import (
    decode,
    encode_key,
    encode_value,
    from_dict,
    to_dict,
)
from ansible_collections.podnet.cni.plugins.module_utils._upgrade import agent
from ansible_collections.podnet.cni.tests.integration import _etcd, _flanneld
from ansible_collections.podnet.cni.tests.integration._kernel import needs
from ansible_collections.podnet.cni.tests.integration._netns import Host
from ansible_collections.podnet.cni.tests.integration.dataplane._leases import config, lease
from ansible_collections.podnet.cni.tests.integration.dataplane.test_tunnels import PSK

PREFIX = "/coreos.com/network"
PUBLIC_KEY = "eVBbPWDOjxnEcXVQFWGJQ6vHSbYP5rCLtbSfTB1dGWA="
CASES: dict[str, dict[str, Any]] = {
    "vxlan": config("vxlan", ipv6=True),
    "host-gw": config("host-gw", ipv6=True),
    "ipip": config("ipip"),
    "wireguard": config("wireguard", PSK=PSK),
    "wireguard-separate": config("wireguard", ipv6=True),
    "wireguard-auto": config("wireguard", ipv6=True, Mode="auto", ListenPortV6=51820),
}


def peer(number: int, wanted: dict[str, Any]) -> dict[str, Any]:
    """The lease of a host on which nobody listens."""
    backend = wanted["Backend"]
    made = lease(number, backend["Type"], ipv6=bool(wanted.get("EnableIPv6")))
    if backend["Type"] == "wireguard":
        made["backend_data"] = {"PublicKey": PUBLIC_KEY, "Port": 51820}
        if "ipv6_subnet" in made:
            made["backend_v6_data"] = {"PublicKey": PUBLIC_KEY, "Port": backend.get("ListenPortV6", 51821)}
    return made


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=needs(backend) if backend in ("ipip", "wireguard") else ())
        for name, wanted in CASES.items()
        for backend in [wanted["Backend"]["Type"]]
    ],
)
def test_but_for_what_it_may_not_write_it_is_what_the_module_makes(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    wanted, key = CASES[name], tmp_path / "key"
    monkeypatch.setenv("WIREGUARD_KEY_FILE", str(key))
    # flanneld does not start without this module.
    host.shell("[ -e /proc/sys/net/bridge ] || modprobe br_netfilter")
    with _etcd.running(today=True) as etcd:
        etcd.put(f"{PREFIX}/config", json.dumps(wanted))
        stands = from_dict(peer(9, wanted))
        etcd.put(f"{PREFIX}/subnets/{encode_key(stands)}", encode_value(stands))
        daemon = _flanneld.Flanneld(host, etcd, PREFIX, tmp_path, container=True)
        daemon.start()
        try:
            assert daemon.wait(_flanneld.READY), daemon.log()
            # Of all that a peer needs, its routes come last; with wireguard it has none of its own.
            subnets = ["10.5.9.0/24", *(["fd00:10:5:9::/64"] if "EnableIPv6" in wanted else [])]
            shown = (
                "wg show all allowed-ips"
                if wanted["Backend"]["Type"] == "wireguard"
                else "ip -4 route show; ip -6 route show"
            )
            assert daemon.until(lambda: all(subnet in host.shell(shown) for subnet in subnets)), daemon.log()
            stored = etcd.get(f"{PREFIX}/subnets/")
            found = [to_dict(decode(each.rsplit("/", 1)[1], value)) for each, value in stored.items()]
            (own,) = [each for each in found if each["public_ip"] != "198.18.0.9"]
            differs = host.module(
                check=True,
                network_config=wanted,
                lease=own,
                foreign_peers=[each for each in found if each is not own],
                wireguard_key_file=str(key),
                firewall="none",
                subnet_file="",
            )["operations"]
        finally:
            daemon.kill()
    assert [(each["kind"], each["attribute"]) for each in differs] == (
        [("link", "accept_ra")] * 2 if name == "vxlan" else []
    )
    assert agent.texts(differs, agent.writes_sysctls({}), agent.FAULT) == []
