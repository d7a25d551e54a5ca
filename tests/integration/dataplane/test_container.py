# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a real flanneld makes with the rights of its container, held against what the module would make there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._upgrade import agent
from ansible_collections.podnet.cni.tests.integration import _etcd, _flanneld
from ansible_collections.podnet.cni.tests.integration._kernel import needs
from ansible_collections.podnet.cni.tests.integration._netns import Host
from ansible_collections.podnet.cni.tests.integration.dataplane import _leases, test_mixed

CASES: dict[str, dict[str, Any]] = {
    "vxlan": _leases.config("vxlan", ipv6=True),
    "host-gw": _leases.config("host-gw", ipv6=True),
    **test_mixed.CASES,
}
# Of a host on which nobody listens.
PUBLIC_KEY = "eVBbPWDOjxnEcXVQFWGJQ6vHSbYP5rCLtbSfTB1dGWA="


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
    wireguard = wanted["Backend"]["Type"] == "wireguard"
    monkeypatch.setenv("WIREGUARD_KEY_FILE", str(key))
    # flanneld does not start without this module.
    host.shell("[ -e /proc/sys/net/bridge ] || modprobe br_netfilter")
    with _etcd.running(today=True) as etcd:
        _leases.write_config(etcd, wanted)
        peer = _leases.write(etcd, _leases.lease_in(wanted, 9, PUBLIC_KEY if wireguard else ""))
        daemon = _flanneld.Flanneld(host, etcd, _leases.PREFIX, tmp_path, container=True)
        daemon.start()
        try:
            assert daemon.wait(_flanneld.READY), daemon.log()
            # Of all that a peer needs, its routes come last; with wireguard it has none of its own.
            subnets = ["10.5.9.0/24", *(["fd00:10:5:9::/64"] if "EnableIPv6" in wanted else [])]
            shown = "wg show all allowed-ips" if wireguard else "ip -4 route show; ip -6 route show"
            assert daemon.until(lambda: all(subnet in host.shell(shown) for subnet in subnets)), daemon.log()
            leases = _leases.read(etcd)
            other = leases.pop(peer)
            (own,) = leases.values()
            differs = host.module(
                check=True,
                network_config=wanted,
                lease=own,
                foreign_peers=[other],
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
