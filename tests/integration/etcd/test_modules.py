# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lease modules as Ansible runs them, on a real etcd."""

from __future__ import annotations

import json
import math

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._flannel.vtep import derive_mac
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd_json import encode
from ansible_collections.podnet.cni.tests.integration.etcd._lab import VXLAN, Lab, node

VXLAN_VALUE = '{"PublicIP":"198.18.0.2","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"%s"}}'
DUAL = {"EnableIPv6": True, "Network": "10.244.0.0/16", "IPv6Network": "fd00:18::/48", "Backend": {"Type": "vxlan"}}
KEY = "RHVtbXlXaXJlR3VhcmRQdWJsaWNLZXlPZjMyT2N0ZXQ="


def lease_value(address: str, **more: object) -> str:
    return json.dumps({"PublicIP": address, "PublicIPv6": None, **more}, separators=(",", ":"))


def vxlan_value(address: str, mac: str, vni: int = 1) -> str:
    return lease_value(address, BackendType="vxlan", BackendData={"VNI": vni, "VtepMAC": mac})


class TestNetwork:
    def test_check_write_again(self, lab: Lab) -> None:
        planned = lab.module("flannel_network", check=True, diff=True, network_config=VXLAN)
        assert planned["changed"]
        assert planned["diff"]["before"] == {}
        assert lab.etcd.get(lab.prefix) == {}
        done = lab.module("flannel_network", diff=True, network_config=VXLAN)
        assert (done["changed"], done["diff"], done["actions"]) == (True, planned["diff"], planned["actions"])
        assert lab.etcd.get(lab.prefix) == {
            f"{lab.prefix}/config": '{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}'
        }
        assert done["network_config"]["SubnetLen"] == 24
        again = lab.module("flannel_network", diff=True, network_config=VXLAN)
        assert not again["changed"]
        assert again["actions"] == []
        assert again["diff"]["before"] == again["diff"]["after"] == done["network_config"]

    def test_same_meaning_is_no_change(self, lab: Lab) -> None:
        text = ' { "backend" : {"VNI": 1, "type": "VXLAN"}, "subnetlen": 24, "network":"10.244.0.0/16" } '
        lab.etcd.put(f"{lab.prefix}/config", text)
        assert not lab.module("flannel_network", network_config=VXLAN)["changed"]
        assert lab.etcd.get(lab.prefix) == {f"{lab.prefix}/config": text}

    def test_range_of_a_disabled_family_counts(self, lab: Lab) -> None:
        """flanneld makes firewall rules for it."""
        lab.module("flannel_network", network_config={**VXLAN, "IPv6Network": "fd00:18::/48"})
        assert lab.module("flannel_network", check=True, network_config=VXLAN)["changed"]
        assert not lab.module("flannel_network", network_config={**VXLAN, "IPv6Network": "fd00:18:0::/48"})["changed"]
        assert lab.module("flannel_network", network_config=VXLAN)["changed"]
        assert "IPv6Network" not in lab.etcd.get(lab.prefix)[f"{lab.prefix}/config"]

    def test_json_text_is_accepted(self, lab: Lab) -> None:
        assert lab.module("flannel_network", network_config=json.dumps(VXLAN))["changed"]

    def test_unreadable_config_is_replaced(self, lab: Lab) -> None:
        lab.etcd.put(f"{lab.prefix}/config", '{"Network": ')
        done = lab.module("flannel_network", diff=True, network_config=VXLAN)
        assert done["changed"]
        assert "not JSON" in done["diff"]["before"]["unusable"]

    def test_bad_config_names_the_member(self, lab: Lab) -> None:
        done = lab.module("flannel_network", network_config={"Network": "10.244.0.0/33"})
        assert done["failed"]
        assert "10.244.0.0/33" in done["msg"]
        done = lab.module("flannel_network", network_config={**VXLAN, "Backend": {"Type": "vxlam"}})
        assert "'vxlam' is unknown" in done["msg"]
        assert lab.etcd.get(lab.prefix) == {}

    @pytest.mark.parametrize(
        ("poison", "why"),
        [
            ({"Network": "10.50.0.0/255.255.0.0"}, "its prefix length must be a number from 0 to 32; write one like"),
            ({"Network": "10.50.0.0"}, "its prefix length is missing; write one like"),
            ({"Network": "010.50.0.0/16"}, "it is not an IP address; write one like"),
            ({"Network": " 10.50.0.0/16"}, "it is not an IP address; write one like"),
            (
                {"Network": "0.0.0.0/0"},
                "is the whole of IPv4, which flanneld takes for no network at all; write the range",
            ),
            ({"IPv6Network": "fd00::%eth0/48"}, "a zone is not a part of it; write one like"),
            ({"IPv6Network": "ff00::/48"}, "is multicast, which no pod can have; write a unicast range"),
            ({"IPv6Network": "::ffff:10.50.0.0/112"}, "is an IPv4 network; it must be IPv6, like"),
            ({"Comment": float("nan")}, "Comment cannot be written: NaN is not a JSON number"),
        ],
    )
    def test_what_flanneld_cannot_read_is_not_written(self, lab: Lab, poison: dict[str, object], why: str) -> None:
        done = lab.module("flannel_network", network_config={**DUAL, **poison})
        assert done["failed"]
        assert why in done["msg"]
        assert lab.etcd.get(lab.prefix) == {}

    @pytest.mark.parametrize(
        ("config", "why"),
        [
            ({**VXLAN, "Network": "10.245.0.0/16"}, "is not one that the network hands out"),
            ({**VXLAN, "SubnetLen": 26}, "is not one that the network hands out"),
            ({**VXLAN, "Backend": {"Type": "host-gw"}}, "its backend is vxlan, but that of the network is host-gw"),
            ({**VXLAN, "Backend": {"Type": "vxlan", "VNI": 9}}, "its VNI is 1, but that of the network is 9"),
        ],
    )
    def test_stranding_change_is_refused_unless_forced(self, lab: Lab, config: dict[str, object], why: str) -> None:
        lab.write_config()
        leases = lab.module("flannel_lease", nodes=[node(1), node(2)])["leases"]
        refused = lab.module("flannel_network", network_config=config)
        assert refused["failed"]
        for lease in leases:
            assert f"{lease['subnet']} of public IP {lease['public_ip']}" in refused["msg"]
        assert why in refused["msg"]
        assert "force=true" in refused["msg"]
        assert {lease["subnet"] for lease in refused["stranded"]} == {lease["subnet"] for lease in leases}
        assert lab.store().require_config().usable().backend.options["VNI"] == 1
        forced = lab.module("flannel_network", network_config=config, force=True)
        assert forced["changed"]
        assert len(forced["stranded"]) == 2
        assert not lab.module("flannel_network", network_config=config)["changed"]

    def test_enlarging_strands_nobody(self, lab: Lab) -> None:
        lab.write_config()
        lab.module("flannel_lease", nodes=[node(1)])
        done = lab.module("flannel_network", network_config={**VXLAN, "Network": "10.244.0.0/15"})
        assert done["changed"]
        assert done["stranded"] == []

    def test_force_leaves_no_lease_that_flanneld_cannot_stand(self, lab: Lab) -> None:
        """A flanneld of an IPv4 network hangs on a lease with an IPv6 subnet."""
        lab.write_config(DUAL)
        lab.module(
            "flannel_lease", nodes=[node(1, public_ipv6="fd00:18:ffff::1"), node(2, public_ipv6="fd00:18:ffff::2")]
        )
        lab.etcd.put(f"{lab.prefix}/subnets/10.244.77.0-24", '{"PublicIP":"198.18.0.77","BackendType":"vxlan"}')
        assert not lab.module("flannel_lease_info")["problems"][0]["kind"].startswith("hangs")
        assert "force=true" in lab.module("flannel_network", network_config=VXLAN)["msg"]
        assert len(lab.module("flannel_network", network_config=VXLAN, force=True, check=True)["released"]) == 2
        forced = lab.module("flannel_network", network_config=VXLAN, force=True)
        assert sorted(lease["public_ip"] for lease in forced["released"]) == ["198.18.0.2", "198.18.0.3"]
        assert list(lab.keys()) == ["10.244.77.0-24"]
        lab.etcd.put(
            f"{lab.prefix}/subnets/10.244.8.0-24&fd00:18::-64", '{"PublicIP":"198.18.0.8","BackendType":"vxlan"}'
        )
        told = lab.module("flannel_lease_info")
        assert told["problems"][0]["kind"] == "hangs_flanneld"
        assert any("handles no change any more" in str(warning) for warning in told["warnings"])

    def test_delete_needs_an_empty_network_or_force(self, lab: Lab) -> None:
        lab.write_config()
        lab.module("flannel_lease", nodes=[node(1)])
        refused = lab.module("flannel_network", state="absent")
        assert "would strand 1 leases" in refused["msg"]
        lab.module("flannel_lease", state="absent", nodes=[node(1)])
        assert lab.module("flannel_network", state="absent", check=True)["changed"]
        assert lab.module("flannel_network", state="absent")["actions"] == [f"delete {lab.prefix}/config"]
        assert lab.etcd.get(lab.prefix) == {}
        assert not lab.module("flannel_network", state="absent")["changed"]

    def test_secret_of_the_backend_does_not_leave(self, lab: Lab) -> None:
        psk = "TmV2ZXJTaG93VGhpc1NlY3JldEluQW55T3V0cHV0ISE="
        config = {**VXLAN, "Backend": {"Type": "wireguard", "psk": psk}}
        for result in (
            lab.module("flannel_network", diff=True, network_config=config),
            lab.module("flannel_network", diff=True, network_config={**VXLAN, "Backend": {"Type": "host-gw"}}),
            lab.module("flannel_network", diff=True, network_config={**config, "SubnetLen": 3}),
        ):
            assert psk not in json.dumps(result)
        lab.write_config(config)
        for module, params in (
            ("flannel_lease", {"nodes": [node(1, wireguard_public_key=KEY)]}),
            ("flannel_lease_info", {}),
        ):
            assert psk not in json.dumps(lab.module(module, **params))


class TestLease:
    def test_check_write_again(self, lab: Lab) -> None:
        lab.write_config()
        planned = lab.module("flannel_lease", check=True, diff=True, nodes=[node(1)], seed=7)
        assert planned["changed"]
        assert lab.keys() == {}
        done = lab.module("flannel_lease", diff=True, nodes=[node(1)], seed=7)
        assert (done["leases"], done["actions"], done["diff"]) == (
            planned["leases"],
            planned["actions"],
            planned["diff"],
        )
        (lease,) = done["leases"]
        mac = derive_mac("node-1", 1)
        assert lease == {
            "name": "node-1",
            "subnet": lease["subnet"],
            "ipv6_subnet": None,
            "public_ip": "198.18.0.2",
            "public_ipv6": None,
            "backend_type": "vxlan",
            "backend_data": {"VNI": 1, "VtepMAC": mac},
            "backend_v6_data": None,
            "ttl": None,
        }
        assert done["actions"] == [f"lease {lease['subnet']} to node-1: allocated"]
        assert done["diff"] == {"before": {}, "after": {lease["subnet"]: lease}}
        assert done["network_config"]["Backend"]["VNI"] == 1
        assert lab.keys() == {lease["subnet"].replace("/", "-"): VXLAN_VALUE % mac}
        revision = lab.etcd.revision()
        again = lab.module("flannel_lease", diff=True, nodes=[node(1)])
        assert not again["changed"]
        assert again["leases"] == done["leases"]
        assert again["diff"] == {"before": {}, "after": {}}
        assert lab.etcd.revision() == revision

    def test_dual_stack_bytes(self, lab: Lab) -> None:
        lab.write_config(DUAL)
        nodes = [node(1, public_ipv6="fd00:18:ffff::1", subnet="10.244.9.0/24", ipv6_subnet="fd00:18:0:7::/64")]
        lab.module("flannel_lease", nodes=nodes)
        assert lab.keys() == {
            "10.244.9.0-24&fd00:18:0:7::-64": (
                '{"PublicIP":"198.18.0.2","PublicIPv6":"fd00:18:ffff::1","BackendType":"vxlan",'
                f'"BackendData":{{"VNI":1,"VtepMAC":"{derive_mac("node-1", 1)}"}},'
                f'"BackendV6Data":{{"VNI":1,"VtepMAC":"{derive_mac("node-1", 1, 6)}"}}}}'
            )
        }
        assert not lab.module("flannel_lease", nodes=nodes)["changed"]
        missing = lab.module("flannel_lease", nodes=[node(2)])
        assert "node-2: public_ipv6 is missing" in missing["msg"]

    @pytest.mark.parametrize(
        ("backend", "more", "value"),
        [
            ({"Type": "host-gw"}, {}, '{"PublicIP":"198.18.0.2","PublicIPv6":null,"BackendType":"host-gw"}'),
            ({"Type": "ipip"}, {}, '{"PublicIP":"198.18.0.2","PublicIPv6":null,"BackendType":"ipip"}'),
            ({"Type": "alloc"}, {}, '{"PublicIP":"198.18.0.2","PublicIPv6":null}'),
            (
                {"Type": "wireguard", "ListenPort": 5555},
                {"wireguard_public_key": KEY},
                '{"PublicIP":"198.18.0.2","PublicIPv6":null,"BackendType":"wireguard",'
                f'"BackendData":{{"PublicKey":"{KEY}","Port":5555}}}}',
            ),
        ],
    )
    def test_value_of_each_backend(
        self, lab: Lab, backend: dict[str, object], more: dict[str, str], value: str
    ) -> None:
        lab.write_config({**VXLAN, "Backend": backend})
        lab.module("flannel_lease", nodes=[node(1, **more)])
        assert list(lab.keys().values()) == [value]
        assert not lab.module("flannel_lease", nodes=[node(1, **more)])["changed"]

    def test_order_of_nodes_is_kept(self, lab: Lab) -> None:
        lab.write_config()
        lab.module("flannel_lease", nodes=[node(3)])
        leases = lab.module("flannel_lease", nodes=[node(5), node(3), node(4)])["leases"]
        assert [lease["name"] for lease in leases] == ["node-5", "node-3", "node-4"]

    def test_flannelds_lease_is_adopted_with_its_mac(self, lab: Lab) -> None:
        lab.write_config()
        grant = lab.etcd.api("lease/grant", {"TTL": "86400"})["ID"]
        value = vxlan_value("198.18.0.2", "c6:90:3e:a8:62:df")
        lab.etcd.ctl("put", f"--lease={int(grant):x}", "--", f"{lab.prefix}/subnets/10.244.30.0-24", value)
        done = lab.module("flannel_lease", diff=True, nodes=[node(1)])
        assert done["actions"] == ["update lease 10.244.30.0/24 of node-1: does not expire any more"]
        assert done["leases"][0]["backend_data"]["VtepMAC"] == "c6:90:3e:a8:62:df"
        assert lab.keys() == {"10.244.30.0-24": value}
        assert lab.store().list_leases().entries[0].handle == 0
        assert not lab.module("flannel_lease", nodes=[node(1)])["changed"]
        given = lab.module("flannel_lease", nodes=[node(1, vtep_mac="02:00:00:00:00:0A")])
        assert given["actions"] == ["update lease 10.244.30.0/24 of node-1: attributes changed"]
        assert given["leases"][0]["backend_data"]["VtepMAC"] == "02:00:00:00:00:0a"

    def test_moved_lease_keeps_its_mac(self, lab: Lab) -> None:
        lab.write_config()
        lab.etcd.put(f"{lab.prefix}/subnets/10.244.30.0-24", vxlan_value("198.18.0.2", "c6:90:3e:a8:62:df"))
        done = lab.module("flannel_lease", diff=True, nodes=[node(1, subnet="10.244.31.0/24")])
        assert done["actions"] == [
            "lease 10.244.31.0/24 to node-1: pinned",
            "release lease 10.244.30.0/24 of public IP 198.18.0.2",
        ]
        assert lab.keys() == {"10.244.31.0-24": vxlan_value("198.18.0.2", "c6:90:3e:a8:62:df")}
        assert set(done["diff"]["before"]) == {"10.244.30.0/24"}
        assert set(done["diff"]["after"]) == {"10.244.31.0/24"}

    def test_two_nodes_swap_their_pins(self, lab: Lab) -> None:
        lab.write_config()
        pins = ("10.244.1.0/24", "10.244.2.0/24")
        lab.module("flannel_lease", nodes=[node(1, subnet=pins[0]), node(2, subnet=pins[1])])
        done = lab.module("flannel_lease", nodes=[node(1, subnet=pins[1]), node(2, subnet=pins[0])])
        assert [lease["subnet"] for lease in done["leases"]] == [pins[1], pins[0]]
        assert {key: json.loads(value)["PublicIP"] for key, value in lab.keys().items()} == {
            "10.244.1.0-24": "198.18.0.3",
            "10.244.2.0-24": "198.18.0.2",
        }

    def test_ttl_is_granted_kept_and_dropped(self, lab: Lab) -> None:
        lab.write_config()
        before = set(lab.etcd.leases())
        done = lab.module("flannel_lease", nodes=[node(1), node(2)], ttl=600)
        assert [lease["ttl"] for lease in done["leases"]] == [600, 600]
        (grant,) = set(lab.etcd.leases()) - before
        assert {entry.handle for entry in lab.store().list_leases().entries} == {grant}
        again = lab.module("flannel_lease", nodes=[node(1), node(2)], ttl=600)
        assert not again["changed"]
        assert all(590 < lease["ttl"] <= 600 for lease in again["leases"])
        renewed = lab.module("flannel_lease", nodes=[node(1), node(2)], ttl=2000)
        assert renewed["actions"] == [
            f"update lease {lease['subnet']} of {lease['name']}: renewed" for lease in done["leases"]
        ]
        permanent = lab.module("flannel_lease", nodes=[node(1), node(2)])
        assert permanent["actions"][0].endswith("does not expire any more")
        assert {entry.handle for entry in lab.store().list_leases().entries} == {0}
        limited = lab.module("flannel_lease", nodes=[node(1)], ttl=600)
        assert limited["actions"][0].endswith("expires in 600 s from now on")

    def test_by_name_gives_the_same_elsewhere(self, lab: Lab) -> None:
        lab.write_config()
        nodes = [node(number) for number in range(20)]
        first = lab.module("flannel_lease", choice="by_name", nodes=nodes)["leases"]
        lab.module("flannel_lease", state="absent", nodes=nodes)
        assert lab.module("flannel_lease", choice="by_name", nodes=nodes)["leases"] == first

    def test_previous_subnet_from_subnet_env(self, lab: Lab) -> None:
        lab.write_config()
        done = lab.module("flannel_lease", nodes=[node(1, previous_subnet="10.244.77.1/24")])
        assert done["actions"] == ["lease 10.244.77.0/24 to node-1: previous"]

    def test_absent_by_address_or_subnet(self, lab: Lab) -> None:
        lab.write_config()
        lab.module("flannel_lease", nodes=[node(1, subnet="10.244.1.0/24"), node(2, subnet="10.244.2.0/24"), node(3)])
        nodes = [node(1), {"name": "gone", "subnet": "10.244.2.0/24"}, node(9)]
        planned = lab.module("flannel_lease", state="absent", check=True, diff=True, nodes=nodes)
        assert len(lab.keys()) == 3
        done = lab.module("flannel_lease", state="absent", diff=True, nodes=nodes)
        assert done == {**planned, "invocation": done["invocation"]}
        assert done["actions"] == ["release lease 10.244.1.0/24 of node-1", "release lease 10.244.2.0/24 of gone"]
        assert [lease["public_ip"] for lease in done["leases"]] == ["198.18.0.2", "198.18.0.3"]
        assert [json.loads(value)["PublicIP"] for value in lab.keys().values()] == ["198.18.0.4"]
        assert not lab.module("flannel_lease", state="absent", nodes=nodes)["changed"]

    def test_subnet_of_a_node_with_address_does_not_release_another_lease(self, lab: Lab) -> None:
        lab.write_config()
        lab.module("flannel_lease", nodes=[node(1, subnet="10.244.1.0/24")])
        done = lab.module("flannel_lease", state="absent", nodes=[node(2, subnet="10.244.1.0/24")])
        assert not done["changed"]

    @pytest.mark.parametrize(
        ("nodes", "parts"),
        [
            ([node(1, public_ip="198.18.0.300")], ["nodes[0] (node-1)", "public_ip '198.18.0.300'"]),
            ([node(1, subnet="10.244.1.0")], ["node-1", "subnet '10.244.1.0'", "prefix length"]),
            ([node(1, subnet="10.244.1.7/24")], ["node-1", "10.244.1.7/24", "host bits"]),
            ([node(1, subnet="10.9.0.0/24")], ["node-1", "10.9.0.0/24", "from 10.244.1.0 to 10.244.255.0"]),
            (
                [node(1, subnet="10.244.4.0/24"), node(2, subnet="10.244.4.0/24")],
                ["node-1", "node-2", "10.244.4.0/24", "overlap"],
            ),
            ([node(1), {**node(1), "name": "other"}], ["198.18.0.2", "node-1", "other"]),
            ([node(1), node(1)], ["nodes[1] (node-1)", "the same name as nodes[0] (node-1)"]),
            ([{"name": "node-1"}], ["node-1", "public_ip is missing"]),
            ([node(1, vtep_mac="01:00:5e:00:00:01")], ["node-1", "vtep_mac", "multicast"]),
            ([node(1, wireguard_public_key=KEY)], ["node-1", "wireguard_public_key", "backend is vxlan"]),
            ([node(1, wireguard_public_key="abc")], ["node-1", "'abc'", "wg pubkey"]),
            ([node(1), node(2, public_ip="10.244.3.3")], ["node-2", "10.244.3.3", "10.244.0.0/16"]),
        ],
    )
    def test_bad_input_names_node_value_and_remedy(
        self, lab: Lab, nodes: list[dict[str, str]], parts: list[str]
    ) -> None:
        lab.write_config()
        done = lab.module("flannel_lease", nodes=nodes)
        assert done["failed"]
        for part in parts:
            assert part in done["msg"]
        assert lab.keys() == {}

    @pytest.mark.parametrize(
        ("poison", "why"),
        [
            (
                {"public_ipv6": "fe80::19%eth0"},
                "public_ipv6 'fe80::19%eth0' is not an IPv6 address: a zone is not a part",
            ),
            (
                {"public_ip": "198.18.0.019"},
                "public_ip '198.18.0.019' is not an IPv4 address: it is not an IP address; wr",
            ),
            (
                {"subnet": "127.0.8.0/24"},
                "lease 127.0.8.0/24 of node-1 would stop every running flanneld: no route can",
            ),
        ],
    )
    def test_what_flanneld_cannot_bear_is_not_written(self, lab: Lab, poison: dict[str, object], why: str) -> None:
        lab.write_config({"Network": "64.0.0.0/2", "SubnetMin": "127.0.1.0", "Backend": {"Type": "vxlan"}})
        before = lab.etcd.get(lab.prefix)
        done = lab.module("flannel_lease", nodes=[node(1, **poison)])
        assert done["failed"]
        assert why in done["msg"]
        assert lab.etcd.get(lab.prefix) == before

    def test_wireguard_needs_the_nodes_key(self, lab: Lab) -> None:
        lab.write_config({**VXLAN, "Backend": {"Type": "wireguard"}})
        done = lab.module("flannel_lease", nodes=[node(1)])
        assert "nodes[0] (node-1): wireguard_public_key is missing" in done["msg"]

    def test_pin_on_a_foreign_lease(self, lab: Lab) -> None:
        lab.write_config()
        lab.module("flannel_lease", nodes=[node(1, subnet="10.244.4.0/24")])
        done = lab.module("flannel_lease", nodes=[node(2, subnet="10.244.4.0/24")])
        for part in ("node-2", "10.244.4.0/24", "198.18.0.2", "release that lease first"):
            assert part in done["msg"]

    def test_node_that_moved_is_refused_until_its_old_lease_is_released(self, lab: Lab) -> None:
        lab.write_config()
        lab.module("flannel_lease", nodes=[node(1, subnet="10.244.4.0/24"), node(2)])
        before = lab.keys()
        moved = [node(1, public_ip="198.18.9.9"), node(2), node(3)]
        for check in (True, False):
            refused = lab.module("flannel_lease", check=check, nodes=moved)
            for part in ("node-1", "198.18.9.9", "lease 10.244.4.0/24 of public IP 198.18.0.2", "state=absent"):
                assert part in refused["msg"]
            assert lab.keys() == before
        lab.module("flannel_lease", state="absent", nodes=[{"name": "node-1", "subnet": "10.244.4.0/24"}])
        done = lab.module("flannel_lease", nodes=moved)
        macs = [lease["backend_data"]["VtepMAC"] for lease in done["leases"]]
        assert macs == [derive_mac(f"node-{number}", 1) for number in (1, 2, 3)]
        assert len(lab.keys()) == 3

    def test_exhausted_network_writes_nothing(self, lab: Lab) -> None:
        lab.write_config({**VXLAN, "Network": "10.244.0.0/24", "SubnetLen": 26})
        done = lab.module("flannel_lease", nodes=[node(number) for number in range(4)])
        assert "no free /26 subnet is left in 10.244.0.0/24, which holds 3" in done["msg"]
        assert lab.keys() == {}

    def test_missing_config_says_how_to_write_it(self, lab: Lab) -> None:
        done = lab.module("flannel_lease", nodes=[node(1)])
        assert f"{lab.prefix}/config" in done["msg"]
        assert "podnet.cni.flannel_network" in done["msg"]
        lab.etcd.put(f"{lab.prefix}/config", '{"Network":"10.244.0.0/30"}')
        done = lab.module("flannel_lease", nodes=[node(1)])
        assert "10.244.0.0/30" in done["msg"]
        assert "podnet.cni.flannel_network" in done["msg"]

    def test_five_thousand_nodes_in_one_run(self, lab: Lab) -> None:
        lab.write_config({**VXLAN, "Network": "10.0.0.0/8"})
        nodes = [node(number) for number in range(5000)]
        revision = lab.etcd.revision()
        done = lab.module("flannel_lease", nodes=nodes)
        assert len({lease["subnet"] for lease in done["leases"]}) == 5000
        assert len(lab.keys()) == 5000
        assert lab.etcd.revision() - revision == math.ceil(5000 / 126)
        assert not lab.module("flannel_lease", nodes=nodes)["changed"]


class TestInfo:
    def test_without_config_or_leases(self, lab: Lab) -> None:
        info = lab.module("flannel_lease_info")
        assert (info["leases"], info["network_config"], info["capacity"], info["free_subnets"]) == (
            [],
            None,
            None,
            None,
        )
        assert [problem["kind"] for problem in info["problems"]] == ["no_network_config"]

    def test_everything_that_can_be_wrong(self, lab: Lab) -> None:
        lab.write_config({**VXLAN, "Network": "10.244.0.0/20"})
        stored = {
            "10.244.1.0-24": vxlan_value("198.18.0.1", "02:00:00:00:00:01"),
            "10.244.2.0-24": vxlan_value("198.18.0.1", "02:00:00:00:00:01"),
            "10.244.4.0-23": vxlan_value("198.18.0.2", "02:00:00:00:00:02"),
            "10.244.5.0-24": vxlan_value("198.18.0.3", "02:00:00:00:00:02"),
            "10.244.6.0-24": lease_value("198.18.0.4", BackendType="host-gw"),
            "10.244.7.0-24": "no json",
            "garbage": "x",
            "sub/10.244.8.0-24": vxlan_value("198.18.0.5", "02:00:00:00:00:05"),
        }
        for key, value in stored.items():
            lab.etcd.put(f"{lab.prefix}/subnets/{key}", value)
        hosts = ["198.18.0.1", {"name": "two", "public_ip": "198.18.0.2"}, "198.18.0.3", "198.18.0.5"]
        info = lab.module("flannel_lease_info", hosts=hosts)
        found = {
            (problem["kind"], problem["key"].removeprefix(f"{lab.prefix}/subnets/")) for problem in info["problems"]
        }
        assert found == {
            ("unreadable_key", "garbage"),
            ("unreadable_value", "10.244.7.0-24"),
            ("irregular_key", "sub/10.244.8.0-24"),
            ("duplicate_public_ip", "198.18.0.1"),
            ("overlap", "10.244.5.0/24"),
            ("duplicate_vtep_mac", "02:00:00:00:00:02"),
            ("misfit", "10.244.4.0/23"),
            ("misfit", "10.244.6.0/24"),
            ("orphan", "10.244.6.0/24"),
        }
        assert all(problem["message"] and problem["remedy"] for problem in info["problems"])
        assert info["capacity"] == 15
        assert info["free_subnets"] == 15 - 7
        assert {lease["public_ip"]: lease["name"] for lease in info["leases"]}["198.18.0.2"] == "two"

    def test_expiring_soon(self, lab: Lab) -> None:
        lab.write_config()
        lab.module("flannel_lease", nodes=[node(1)], ttl=100)
        lab.module("flannel_lease", nodes=[node(2)])
        assert [problem["kind"] for problem in lab.module("flannel_lease_info")["problems"]] == ["expiring"]
        assert lab.module("flannel_lease_info", expiring_within=10)["problems"] == []

    def test_bad_host_is_named(self, lab: Lab) -> None:
        assert (
            "hosts[1]: 'b' is not an IP address" in lab.module("flannel_lease_info", hosts=["198.18.0.1", "b"])["msg"]
        )
        assert "hosts[0] (h): public_ip is missing" in lab.module("flannel_lease_info", hosts=[{"name": "h"}])["msg"]

    def test_poison_does_not_stop_an_allocation(self, lab: Lab) -> None:
        lab.write_config({**VXLAN, "Network": "10.244.0.0/24", "SubnetLen": 26})
        lab.etcd.put(f"{lab.prefix}/subnets/garbage", "x")
        lab.etcd.put(f"{lab.prefix}/subnets/10.244.0.64-26", "{")
        done = lab.module("flannel_lease", nodes=[node(1), node(2)])
        assert {lease["subnet"] for lease in done["leases"]} == {"10.244.0.128/26", "10.244.0.192/26"}
        for tail in ("garbage' is not a subnet key", "10.244.0.64-26' has a value that is not a lease"):
            assert tail in str(done["warnings"])
        full = lab.module("flannel_lease", nodes=[node(3)])
        assert "no free /26" in full["msg"]
        cleared = lab.module("flannel_lease", state="absent", nodes=[{"name": "bad", "subnet": "10.244.0.64/26"}])
        assert cleared["actions"] == ["release lease 10.244.0.64/26 of bad"]
        assert lab.module("flannel_lease", nodes=[node(3)])["leases"][0]["subnet"] == "10.244.0.64/26"

    @pytest.mark.parametrize(
        "value",
        [
            '{"PublicIP":"198.18.0.1","BackendType":"\\ud800"}',
            '{"PublicIP":"198.18.0.1","BackendData":{"\\udc00":["\\ud83d\\ude00\\ud83d"]}}',
            '{"PublicIP":"198.18.0.1","BackendData":' + "[" * 100_000,
            '{"PublicIP":"198.18.0.1","BackendData":' + "9" * 10_000 + "}",
            '{"PublicIP":"198.18.0.1","BackendData":NaN}',
            '{"PublicIP":198.18}',
            '"text"',
            "\x00",
        ],
        ids=["half a pair", "half a pair inside", "deep", "long number", "NaN", "number", "text", "NUL"],
    )
    def test_odd_values_crash_nothing(self, lab: Lab, value: str) -> None:
        lab.write_config()
        lab.etcd.api("kv/put", {"key": encode(f"{lab.prefix}/subnets/10.244.1.0-24"), "value": encode(value)})
        info = lab.module("flannel_lease_info", hosts=["198.18.0.9"])
        assert {problem["kind"] for problem in info["problems"]} <= {"unreadable_value", "misfit", "orphan"}
        assert len(info["leases"]) + len([one for one in info["problems"] if one["kind"] == "unreadable_value"]) == 1
        json.dumps(info, ensure_ascii=False).encode()
        (lease,) = lab.module("flannel_lease", nodes=[node(8)])["leases"]
        assert lease["subnet"] != "10.244.1.0/24"
