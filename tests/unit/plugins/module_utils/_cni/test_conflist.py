# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a configuration list may hold, and what the presets hold."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._cni import conflist
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

PARAMS: dict[str, Any] = {
    "state": "present",
    "filename": "10-flannel.conflist",
    "network_name": "cbr0",
    "cni_version": "0.3.1",
    "preset": None,
    "plugins": None,
    "subnet": None,
    "ipv6_subnet": None,
    "network": None,
    "ipv6_network": None,
    "mtu": None,
    "bridge_name": "cni0",
    "data_dir": None,
    "subnet_file": None,
    "obsolete": [],
}
PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}


def wanted(**options: Any) -> Any:
    return conflist.wanted({**PARAMS, **options})


def test_the_flannel_preset_is_upstream_s_list() -> None:
    assert wanted(preset="flannel") == {
        "cniVersion": "0.3.1",
        "name": "cbr0",
        "plugins": [{"type": "flannel", "delegate": {"hairpinMode": True, "isDefaultGateway": True}}, PORTMAP],
    }


def test_a_subnet_file_is_named_only_when_it_is_elsewhere() -> None:
    assert "subnetFile" not in wanted(preset="flannel", subnet_file="/run/flannel/subnet.env")["plugins"][0]
    assert wanted(preset="flannel", subnet_file="/run/b/env")["plugins"][0]["subnetFile"] == "/run/b/env"


def test_the_bridge_preset_holds_the_lease() -> None:
    document = wanted(
        preset="bridge",
        subnet="10.5.57.0/24",
        network="10.5.3.0/16",
        ipv6_subnet="fd00:10:5:57::/64",
        ipv6_network="FD00:10:5::/48",
        mtu=1450,
        data_dir="/var/lib/cni/other",
    )
    assert document["plugins"] == [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isDefaultGateway": True,
            "hairpinMode": True,
            "ipMasq": False,
            "mtu": 1450,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": "10.5.57.0/24"}], [{"subnet": "fd00:10:5:57::/64"}]],
                "routes": [{"dst": "10.5.0.0/16"}, {"dst": "fd00:10:5::/48"}],
                "dataDir": "/var/lib/cni/other",
            },
        },
        PORTMAP,
    ]


def test_what_is_not_given_is_not_written() -> None:
    bridge = wanted(preset="bridge", ipv6_subnet="fd00:10:5:57::/64")["plugins"][0]
    assert "mtu" not in bridge
    assert bridge["ipam"] == {"type": "host-local", "ranges": [[{"subnet": "fd00:10:5:57::/64"}]]}


def test_absent_wants_nothing() -> None:
    assert wanted(state="absent") is None


def test_the_text_is_json_that_ends_in_a_newline() -> None:
    document = wanted(preset="flannel")
    text = conflist.render(document)
    assert json.loads(text) == document
    assert text.endswith("}\n")
    assert list(json.loads(text)) == ["cniVersion", "name", "plugins"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filename": "10-flannel.conf"}, "filename '10-flannel.conf' must end in .conflist"),
        ({"filename": "../10-flannel.conflist"}, "filename '../10-flannel.conflist' is not a file name"),
        ({"filename": ""}, "filename '' is not a file name"),
        ({"obsolete": ["a/b"]}, "obsolete 'a/b' is not a file name"),
        ({"obsolete": ["10-flannel.conflist"]}, "obsolete names 10-flannel.conflist, the file itself"),
        ({"network_name": "-cbr0"}, "network_name '-cbr0' is not allowed"),
        ({"network_name": "cbr 0"}, "network_name 'cbr 0' is not allowed"),
        ({"network_name": "cbr0\n"}, r"network_name 'cbr0\n' is not allowed"),
        ({"cni_version": "0.2.0"}, "cni_version '0.2.0' is not supported: use one of 0.3.0"),
        ({"preset": None, "plugins": []}, "plugins is empty"),
        ({"preset": None, "plugins": ["x"]}, "plugins[0] is 'x': each plugin is a mapping"),
        ({"preset": None, "plugins": [PORTMAP, {}]}, "plugins[1].type None is not a plugin"),
        ({"preset": None, "plugins": [{"type": "/bin/sh"}]}, "plugins[0].type '/bin/sh' is not a plugin"),
        ({"preset": None, "plugins": [{"type": ".."}]}, "plugins[0].type '..' is not a plugin"),
        ({"preset": None, "plugins": [{"type": "a", "name": "b"}]}, "plugins[0].name 'b' does not belong there"),
        ({"preset": None, "plugins": [{"type": "a", "ipam": {"type": ""}}]}, "plugins[0].ipam.type '' is not a plugin"),
        ({"preset": None, "plugins": [{"type": "a", "ipam": {"x": 1}}]}, "plugins[0].ipam.type None is not a plugin"),
        ({"preset": None, "plugins": [{"type": "a", "ipam": []}]}, "plugins[0].ipam [] must be a mapping"),
        ({"preset": None, "plugins": [{"type": "a", "capabilities": {"b": "yes"}}]}, "plugins[0].capabilities"),
        ({"preset": None, "plugins": [{"type": "a", "x": float("nan")}]}, "plugins[0] cannot be written as JSON"),
        ({"preset": "bridge"}, "preset bridge needs subnet, ipv6_subnet or both"),
        ({"preset": "bridge", "subnet": "10.5.57.1/24"}, "it has host bits set; write 10.5.57.0/24"),
        ({"preset": "bridge", "subnet": "10.5.57.0"}, "'10.5.57.0' is not a CIDR range: its prefix length is missing"),
        ({"preset": "bridge", "subnet": "10.5.57/24"}, "subnet '10.5.57/24' is not a CIDR range"),
        ({"preset": "bridge", "subnet": "fd00::/64"}, "subnet 'fd00::/64' is not IPv4"),
        ({"preset": "bridge", "ipv6_subnet": "10.5.57.0/24"}, "ipv6_subnet '10.5.57.0/24' is not IPv6"),
        (
            {"preset": "bridge", "subnet": "10.6.0.0/24", "network": "10.5.0.0/16"},
            "subnet 10.6.0.0/24 lies outside of network 10.5.0.0/16",
        ),
        (
            {"preset": "bridge", "subnet": "10.0.0.0/8", "network": "10.0.0.0/16"},
            "subnet 10.0.0.0/8 lies outside of network 10.0.0.0/16",
        ),
        (
            {"preset": "bridge", "subnet": "10.5.57.0/24", "ipv6_network": "fd00::/48"},
            "ipv6_network fd00::/48 is given without ipv6_subnet",
        ),
        ({"preset": "bridge", "subnet": "10.5.57.0/24", "mtu": 67}, "mtu 67 is out of range: it must be 68 to 65535"),
        ({"preset": "bridge", "ipv6_subnet": "fd00::/64", "mtu": 1279}, "mtu 1279 is out of range: it must be 1280"),
        (
            {"preset": "bridge", "subnet": "10.5.57.0/24", "bridge_name": "a-name-of-16-chr"},
            "bridge_name 'a-name-of-16-chr' is not a link name",
        ),
    ],
)
def test_bad_values_fail_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        wanted(**{"preset": "flannel", **options})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("plugins", "names"),
    [
        (conflist.flannel_plugins(), ["flannel", "bridge", "host-local", "portmap"]),
        (conflist.bridge_plugins(subnet="10.5.57.0/24"), ["bridge", "host-local", "portmap"]),
        ([{"type": "flannel", "delegate": {"type": "ptp"}, "ipam": {"type": "static"}}], ["flannel", "ptp", "static"]),
        ([{"type": "wrapper", "delegate": {"type": "macvlan"}}, {"type": "tuning"}], ["wrapper", "macvlan", "tuning"]),
    ],
)
def test_the_binaries_that_a_list_needs(plugins: list[Any], names: list[str]) -> None:
    assert conflist.programs({"plugins": plugins}) == names
