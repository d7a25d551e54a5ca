# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import parse
from ansible_collections.podnet.cni.plugins.module_utils._preflight.sources import from_cluster

NODE = {"name": "worker-1", "pod_cidrs": ["10.244.1.0/24", "fd00:1::/64"], "annotations": {"public-ip": "198.18.0.11"}}
FLANNEL = {
    "plugin": "flannel",
    "role": "primary",
    "version": "v0.28.9",
    "networking": {
        "backend": {"type": "vxlan", "vni": 4096, "port": 4789, "direct_routing": False},
        "pod_cidrs": [{"cidr": "10.244.0.0/16"}, {"cidr": "fd00::/48"}, {"cidr": "10.42.0.0/16"}],
        "nftables": True,
    },
}


def test_a_cluster_tells_config_version_and_leases():
    found = from_cluster({"nodes": [NODE], "components": [{"plugin": "multus", "role": "meta"}, FLANNEL]})
    assert found["plugin"] == "flannel"
    assert found["flannel"] == "v0.28.9"
    assert found["nodes"] == 1
    (lease,) = found["leases"]
    expected = {"name": "worker-1", "public_ip": "198.18.0.11", "subnet": "10.244.1.0/24", "ipv6_subnet": "fd00:1::/64"}
    assert {name: lease[name] for name in expected} == expected
    config = parse(found["network_config"], check_ranges=False)
    assert (config.backend.type, config.backend.options["VNI"], config.backend.options["Port"]) == ("vxlan", 4096, 4789)
    assert (str(config.network), str(config.ipv6_network)) == ("10.244.0.0/16", "fd00::/48")
    assert config.enable_nftables


def test_ipv6_alone_stays_alone():
    networking = {"backend": {"type": "host-gw"}, "pod_cidrs": [{"cidr": "fd00::/48"}]}
    found = from_cluster({"components": [{**FLANNEL, "networking": networking}]})
    config = parse(found["network_config"], check_ranges=False)
    assert (config.enable_ipv4, config.enable_ipv6) == (False, True)


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"nodes": None, "components": None},
        {"components": [{**FLANNEL, "role": "leftover"}]},
        {"components": [{**FLANNEL, "plugin": "cilium"}]},
    ],
)
def test_what_a_cluster_does_not_tell_is_left_out(facts):
    assert from_cluster(facts) == {}


def test_without_a_backend_there_is_no_config():
    assert "network_config" not in from_cluster({"components": [{**FLANNEL, "networking": {}}]})
