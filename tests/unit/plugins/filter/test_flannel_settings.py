# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings by the chart's names, made into a network config and into values of the chart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.tests.unit._private_filters import private

flannel_chart_values = private("flannel_chart_values")
flannel_network_config = private("flannel_network_config")


def values(backend: str = "vxlan", **flannel: Any) -> dict[str, Any]:
    given = {"backend": backend, "enableNFTables": False, "vni": None, "tunnelMode": None, **flannel}
    return {"global": {"imagePullSecrets": None}, "podCidr": "10.244.0.0/16", "podCidrv6": "", "flannel": given}


def test_what_is_not_set_is_not_in_the_values() -> None:
    assert flannel_chart_values(values()) == {
        "global": {},
        "podCidr": "10.244.0.0/16",
        "podCidrv6": "",
        "flannel": {"backend": "vxlan", "enableNFTables": False},
    }


def test_tunnel_mode_is_quoted_for_the_chart_alone() -> None:
    settings = values("wireguard", tunnelMode="auto")
    quoted = flannel_chart_values(settings)["flannel"]["tunnelMode"]
    # The chart's template writes the value as it is.
    assert json.loads('{"Mode": ' + quoted + "}") == {"Mode": "auto"}
    assert flannel_network_config(settings)["Backend"]["Mode"] == "auto"
    assert settings["flannel"]["tunnelMode"] == "auto"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (values("host-gw", mtu=1400), "The backend host-gw has no setting mtu"),
        (values("vxlan", psk="x"), "has no setting psk"),
        (values("aws-vpc"), "use one of host-gw, ipip, udp, vxlan, wireguard"),
        (values("wireguard", tunnelMode="both"), "Mode"),
        ({**values(), "podCidr": ""}, "enable at least one family"),
        ({**values(), "podCidr": "10.244.0.0"}, "Network '10.244.0.0'"),
    ],
)
def test_what_flanneld_would_refuse_is_refused(settings: dict[str, Any], text: str) -> None:
    for read in (flannel_network_config, flannel_chart_values):
        with pytest.raises(AnsibleFilterError, match=text):
            read(settings)


def test_the_chart_has_no_options_for_ipip() -> None:
    settings = values("ipip", directRouting=True)
    assert flannel_network_config(settings)["Backend"] == {"Type": "ipip", "DirectRouting": True}
    with pytest.raises(AnsibleFilterError, match="use the install method manifest"):
        flannel_chart_values(settings)


def test_windows_needs_its_own_vni_and_port() -> None:
    with pytest.raises(AnsibleFilterError, match="Windows nodes cannot share this network"):
        flannel_network_config(values(vni=4096), windows=True)
    config = flannel_network_config(values(vni=4096, backendPort=4789), windows=True)
    assert config["Backend"] == {"Type": "vxlan", "VNI": 4096, "Port": 4789}
