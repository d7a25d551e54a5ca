# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host says of itself before it gets a lease, and what keeps it from getting one."""

from __future__ import annotations

import base64
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration._kernel import differs
from ansible_collections.podnet.cni.tests.integration._netns import DATAPLANE, Host
from ansible_collections.podnet.cni.tests.integration._warm import run_module

NETWORK = {"Network": "10.5.0.0/16", "Backend": {"Type": "vxlan"}}


def prepared(host: Host, check: bool = False, **options: Any) -> dict[str, Any]:
    return host.module(check=check, module="flannel_dataplane_prepare", **options)


@pytest.mark.parametrize("options", [{}, {"network_config": NETWORK}, {"interface": "eth0"}])
def test_the_underlay_is_found(host: Host, options: dict[str, Any]) -> None:
    links = host.json("ip -j link show")
    found = prepared(host, **options)
    assert not found["changed"]
    assert (found["interface"], found["public_ip"], found["public_ipv6"]) == (
        "eth0",
        host.public_ip,
        host.public_ipv6,
    )
    assert host.json("ip -j link show") == links


def test_a_given_address_counts_rather_than_the_first(host: Host) -> None:
    host.shell("ip address add 198.18.0.99/24 dev eth0")
    assert prepared(host, public_ip="198.18.0.99")["public_ip"] == "198.18.0.99"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"interface": "eth7"}, "interface 'eth7' does not exist; it has eth0, lo"),
        ({"public_ip": "198.18.0.77"}, "the public IP 198.18.0.77 is on no interface of this host"),
        ({"public_ip": "198.18.0.777"}, "public_ip '198.18.0.777' is not an IPv4 address"),
        ({"network_config": {"Network": "10.5.0.0/16", "Backend": {"Type": "udp"}}}, "needs a running flanneld"),
    ],
)
def test_what_keeps_a_host_out_is_told(host: Host, options: dict[str, Any], reason: str) -> None:
    found = prepared(host, **options)
    assert found["failed"]
    assert reason in found["msg"]


def test_a_host_without_a_default_route_has_to_name_its_link(host: Host) -> None:
    host.shell("ip route flush default", "ip -6 route flush default")
    assert "it has no default route to find the interface by" in prepared(host)["msg"]
    assert prepared(host, interface="eth0")["public_ip"] == host.public_ip


@pytest.mark.parametrize(
    ("text", "subnets"),
    [
        ("FLANNEL_SUBNET=10.5.7.1/24\nFLANNEL_IPV6_SUBNET=fd00:10:5:7::1/64\n", ("10.5.7.0/24", "fd00:10:5:7::/64")),
        ("FLANNEL_SUBNET=10.5.7.1/24\n", ("10.5.7.0/24", None)),
        ("FLANNEL_SUBNET=nonsense\nFLANNEL_MTU\n", (None, None)),
        (None, (None, None)),
    ],
)
def test_the_subnet_it_had_is_told(
    host: Host, tmp_path: Path, text: str | None, subnets: tuple[str | None, str | None]
) -> None:
    path = tmp_path / "subnet.env"
    if text is not None:
        path.write_text(text, encoding="ascii")
    found = prepared(host, subnet_file=str(path))
    assert (found["previous_subnet"], found["previous_ipv6_subnet"]) == subnets
    assert (path.read_text(encoding="ascii") if path.exists() else None) == text


class PowerlessHost(Host):
    """The same host for a root that may not change the network."""

    def module(
        self, *, check: bool = False, diff: bool = True, module: str = DATAPLANE, **options: Any
    ) -> dict[str, Any]:
        via = self.enter("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
        return run_module(module, options, check=check, diff=diff, via=via)


def test_a_user_without_capabilities_is_told_to_become_another(host: Host) -> None:
    assert "lacks CAP_NET_ADMIN" in prepared(PowerlessHost(host.name, host.number))["msg"]


@pytest.mark.parametrize("module", ["flannel_dataplane_prepare", "flannel_dataplane"])
def test_a_host_whose_boot_would_lose_wireguard_is_refused(host: Host, tmp_path: Path, module: str) -> None:
    here = shutil.which("wg")
    # What cannot be executed is no program.
    hide = f"mount --bind /dev/null {here} && " if here else ""
    key = base64.b64encode(bytes(32)).decode()
    own = {
        "subnet": "10.5.1.0/24",
        "public_ip": host.public_ip,
        "backend_type": "wireguard",
        "backend_data": {"PublicKey": key, "Port": 51820},
    }
    options = {
        **({"lease": own} if module == "flannel_dataplane" else {}),
        "network_config": {"Network": "10.5.0.0/16", "Backend": {"Type": "wireguard"}},
        "wireguard_key_file": str(tmp_path / "wireguard.key"),
        "restore_dir": "/etc/podnet-cni",
    }
    found = run_module(module, options, via=host.enter("sh", "-c", f'{hide}exec "$@"', "sh"))
    assert "the program wg is missing" in found["msg"]
    assert "install the package wireguard-tools" in found["msg"]
    assert not list(tmp_path.iterdir())


@differs("wireguard")
def test_a_kernel_without_the_backend_is_found_out(host: Host, tmp_path: Path) -> None:
    """A kernel that has wireguard makes the key instead, once."""
    key_file = tmp_path / "wireguard.key"
    config = {"Network": "10.5.0.0/16", "Backend": {"Type": "wireguard"}}
    found = prepared(host, network_config=config, wireguard_key_file=str(key_file))
    if "public_key" not in found:
        assert "this kernel cannot make links of kind 'wireguard'; load its module" in found["msg"]
        assert not key_file.exists()
        return
    assert found["changed"]
    assert len(found["public_key"]) == 44
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o400
    again = prepared(host, network_config=config, wireguard_key_file=str(key_file))
    assert (again["changed"], again["public_key"]) == (False, found["public_key"])
