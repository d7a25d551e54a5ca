# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import udp_ports
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import parse
from ansible_collections.podnet.cni.plugins.module_utils._host import links
from ansible_collections.podnet.cni.plugins.module_utils._preflight import (
    host_gather,
    host_network,
    host_runtime,
    host_system,
    udp,
)
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_files import Files

CONTAINERD_3 = """
version = 3
imports = ["/etc/containerd/conf.d/*.toml"]
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = [
    '/opt/cni/bin',  # ours
    "/usr/lib/cni",
  ]
  conf_dir = "/etc/cni/net.d"
  max_conf_num = 1
"""
CONTAINERD_2 = """
version = 2
disabled_plugins = ["cri"]
[plugins."io.containerd.grpc.v1.cri".cni] # where
  bin_dir = "/opt/other/bin"
  conf_dir = '/etc/other/net.d'
"""
CRIO = """
[crio.network]
network_dir = "/etc/cni/net.d/"
plugin_dirs = [
  "/usr/libexec/cni/",
]
cni_default_network = "cbr0"
"""
FLANNEL = json.dumps(
    {"cniVersion": "0.3.1", "name": "cbr0", "plugins": [{"type": "flannel", "delegate": {}}, {"type": "portmap"}]}
)


def no_program(command, text=None):
    raise FileNotFoundError(command[0])


def programs(**outputs):
    """A runner that knows some programs: what each prints."""

    def run(command, text=None):
        name = command[0].replace("-", "_")
        if name not in outputs:
            raise FileNotFoundError(command[0])
        return 0, outputs[name], ""

    return run


@pytest.fixture
def host(tmp_path):
    def write(path, text="", mode=0o644):
        target = tmp_path / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    write.root = str(tmp_path)
    write.files = Files(str(tmp_path))
    return write


def test_an_empty_host_gives_null_facts_with_reasons_and_no_error(host):
    facts = host_gather.gather(host_gather.Question(), no_program, 5.0, host.root)
    assert facts["clock"] == 5.0
    assert facts["links"] is None
    assert facts["reasons"]["links"] == "ip is not on PATH: install iproute2"
    assert facts["underlay"] is None
    assert facts["subnet_file"] == {
        "path": "/run/flannel/subnet.env",
        "present": False,
        "values": {},
        "problem": "",
        "directory": False,
    }
    json.dumps(facts)


def test_a_subnet_file_is_read_as_the_cni_plugin_reads_it(host):
    good = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"

    def problem():
        return host_gather.gather(host_gather.Question(), no_program, 5.0, host.root)["subnet_file"]["problem"]

    host("/run/flannel/subnet.env", good)
    assert problem() == ""
    host("/run/flannel/subnet.env", good.replace("=10.244.1.1/24", '="10.244.1.1/24"'))
    assert "line 2, FLANNEL_SUBNET" in problem()
    host("/run/flannel/subnet.env", "")
    assert "missing FLANNEL_NETWORK" in problem()


def test_a_directory_in_place_of_the_subnet_file_is_told(host):
    host("/run/flannel/subnet.env/x")
    found = host_gather.gather(host_gather.Question(), no_program, 5.0, host.root)["subnet_file"]
    assert (found["present"], found["directory"], found["problem"]) == (True, True, "Is a directory")


def test_a_network_config_that_is_none_is_refused(host):
    with pytest.raises(InputError, match="network config"):
        host_gather.gather(
            host_gather.Question(network_config={"Backend": {"Type": "vxlan", "VNI": "x"}}), no_program, 0, host.root
        )


@pytest.mark.parametrize(
    ("config", "ports"),
    [
        ({"Network": "10.0.0.0/8", "Backend": {"Type": "vxlan"}}, [8472]),
        ({"Network": "10.0.0.0/8", "Backend": {"Type": "vxlan", "Port": 4789}}, [4789]),
        ({"Network": "10.0.0.0/8", "Backend": {"Type": "host-gw"}}, []),
        ({"Network": "10.0.0.0/8", "Backend": {"Type": "udp"}}, [8285]),
        ({"Network": "10.0.0.0/8", "Backend": {"Type": "wireguard"}}, [51820]),
        (
            {"Network": "10.0.0.0/8", "EnableIPv6": True, "IPv6Network": "fd00::/48", "Backend": {"Type": "wireguard"}},
            [51820, 51821],
        ),
    ],
)
def test_ports_are_those_of_the_backend(config, ports):
    assert udp_ports.of(parse(config, check_ranges=False)) == ports


@pytest.mark.parametrize(
    ("backend", "enabled", "ports"),
    [
        ({"Type": "vxlan"}, {}, {4: 8472, 6: 8472}),
        ({"Type": "vxlan"}, {"EnableIPv4": False}, {6: 8472}),
        ({"Type": "wireguard"}, {}, {4: 51820, 6: 51821}),
        ({"Type": "wireguard"}, {"EnableIPv4": False}, {6: 51821}),
        ({"Type": "wireguard", "Mode": "auto", "ListenPort": 5}, {}, {4: 5, 6: 5}),
        ({"Type": "host-gw"}, {}, {}),
    ],
)
def test_each_family_has_its_port(backend, enabled, ports):
    both = {"Network": "10.0.0.0/8", "EnableIPv6": True, "IPv6Network": "fd00::/48"}
    config = parse({**both, "Backend": backend, **enabled}, check_ranges=False)
    assert udp_ports.by_family(config) == ports
    assert udp_ports.of(config) == list(dict.fromkeys(ports.values()))


def test_containerd_3_names_its_directories(host):
    host("/etc/containerd/config.toml", CONTAINERD_3)
    host("/usr/bin/containerd")
    run = programs(containerd="containerd github.com/containerd/containerd/v2 v2.1.4 75cb2b7193e4e490e9fbdc236c0e811c")
    found = host_runtime.runtime(host.files, run)
    assert (found["name"], found["version"], found["config_version"]) == ("containerd", "2.1.4", 3)
    assert found["plugin_dirs"] == ["/opt/cni/bin", "/usr/lib/cni"]
    assert found["cri_disabled"] is False


def test_a_file_that_containerd_imports_wins(host):
    host("/etc/containerd/config.toml", CONTAINERD_3)
    host("/etc/containerd/conf.d/a.toml", CONTAINERD_3.replace("/etc/cni/net.d", "/etc/else"))
    host("/usr/bin/containerd")
    assert host_runtime.runtime(host.files, no_program)["conf_dir"] == "/etc/else"


def test_containerd_2_with_its_cri_switched_off(host):
    host("/etc/containerd/config.toml", CONTAINERD_2)
    host("/run/containerd/containerd.sock")
    found = host_runtime.runtime(host.files, no_program)
    assert found["plugin_dirs"] == ["/opt/other/bin"]
    assert found["conf_dir"] == "/etc/other/net.d"
    assert found["cri_disabled"] is True


def test_k3s_comes_before_containerd(host):
    host("/usr/bin/containerd")
    path = "/var/lib/rancher/k3s/agent/etc/containerd/config.toml"
    host(path, CONTAINERD_2)
    found = host_runtime.runtime(host.files, no_program)
    assert (found["name"], found["config_file"]) == ("k3s", path)


def test_crio_is_taken_when_only_it_has_a_socket(host):
    host("/usr/bin/containerd")
    host("/run/crio/crio.sock")
    host("/etc/crio/crio.conf.d/10-net.conf", CRIO)
    found = host_runtime.runtime(host.files, no_program)
    assert found["name"] == "cri-o"
    assert found["conf_dir"] == "/etc/cni/net.d"
    assert found["plugin_dirs"] == ["/usr/libexec/cni"]
    assert found["default_network"] == "cbr0"


def test_directories_that_are_given_count(host):
    found = host_runtime.runtime(host.files, no_program, "/a", ["/b"])
    assert (found["conf_dir"], found["plugin_dirs"]) == ("/a", ["/b"])


def test_plugins_are_looked_for_where_the_runtime_does(host):
    host("/etc/cni/net.d/10-flannel.conflist", FLANNEL)
    host("/etc/cni/net.d/notes.txt")
    host("/opt/cni/bin/portmap", mode=0o755)
    host("/opt/cni/bin/bridge", mode=0o644)
    host("/usr/lib/cni/bridge", mode=0o755)
    found = host_runtime.cni(host.files, "/etc/cni/net.d", ["/opt/cni/bin"])
    assert found["winner"] == "10-flannel.conflist"
    assert found["files"][0]["plugins"] == ["flannel", "portmap"]
    assert found["other_files"] == ["notes.txt"]
    assert found["plugins"]["portmap"] == "/opt/cni/bin/portmap"
    assert found["plugins"]["bridge"] is None
    assert found["plugins"]["flannel"] is None
    assert found["elsewhere"] == {"bridge": "/usr/lib/cni"}


def test_toml_that_is_not_understood_is_left_out():
    text = "a = {b = 1}\n[[list]]\nx = 1\n[t]\nnumber = 5\nyes = true\nwhen = 1979-05-27\nname = 'n' # why\n"
    assert host_runtime.parse_toml(text)[("t",)] == {"number": 5, "yes": True, "name": "n"}


def test_links_into_pods_are_left_out():
    text = json.dumps(
        [
            {},
            {"ifname": "veth1", "linkinfo": {"info_kind": "veth"}, "master": "cni0", "flags": ["UP"]},
            {"ifname": "eth0", "linkinfo": {"info_kind": "veth"}, "mtu": 1500, "flags": ["UP"], "address": "02::"},
            {"ifname": "cali0123456789a", "linkinfo": {"info_kind": "veth"}, "flags": []},
            {
                "ifname": "flannel.1",
                "mtu": 1450,
                "flags": [],
                "linkinfo": {"info_kind": "vxlan", "info_data": {"id": 1, "port": 8472, "link": "eth0"}},
                "addr_info": [
                    {"local": "10.244.1.0", "prefixlen": 32, "scope": "global"},
                    {"local": "fe80::1", "prefixlen": 64, "scope": "link"},
                ],
            },
        ]
    )
    found = {link["name"]: link for link in links.parse_links(text)}
    assert list(found) == ["eth0", "cali0123456789a", "flannel.1"]
    assert found["cali0123456789a"]["cni"] == "calico"
    assert found["flannel.1"]["addresses"] == ["10.244.1.0/32"]
    assert found["flannel.1"]["vxlan"] == {"id": 1, "port": 8472, "link": "eth0", "local": None}


@pytest.mark.parametrize(
    ("name", "cni"),
    [("cilium_host", "cilium"), ("vxlan.calico", "calico"), ("weave", "weave"), ("eth0", None), ("flannel.1", None)],
)
def test_links_of_other_cnis_are_known(name, cni):
    assert links.foreign(name) == cni


def test_routes_over_our_links_are_left_out():
    text = json.dumps(
        [
            {"dst": "default", "gateway": "198.18.0.1", "dev": "eth0"},
            {"dst": "10.244.1.0/24", "dev": "flannel.1"},
            {"dst": "10.244.2.0/24", "dev": "cni0"},
            {"dst": "10.244.9.0/24", "dev": "eth1"},
        ]
    )
    assert [route["dst"] for route in host_network.parse_routes(text, False)] == ["0.0.0.0/0", "10.244.9.0/24"]


LINKS = [
    {"name": "eth0", "mtu": 1500, "mac": "02::1", "up": True, "addresses": ["198.18.0.11/24", "fd00:18::11/64"]},
    {"name": "eth1", "mtu": 9000, "mac": "02::2", "up": True, "addresses": ["198.18.1.11/24", "198.18.1.12/24"]},
]
ROUTES = [{"dst": "0.0.0.0/0", "dev": "eth0", "gateway": "198.18.0.1"}]


@pytest.mark.parametrize(
    ("interface", "public_ips", "name", "public_ip"),
    [
        (None, [], "eth0", "198.18.0.11"),
        ("eth1", [], "eth1", "198.18.1.11"),
        (None, ["198.18.1.12"], "eth1", "198.18.1.12"),
    ],
)
def test_the_underlay_is_found(interface, public_ips, name, public_ip):
    found = host_network.underlay(LINKS, ROUTES, interface, public_ips)
    assert (found["name"], found["public_ip"]) == (name, public_ip)


@pytest.mark.parametrize(
    ("routes", "interface", "public_ips", "message"),
    [
        ([], None, [], "no default route"),
        (ROUTES, "eth9", [], "no link eth9"),
        (ROUTES, None, ["198.18.9.9"], "198.18.9.9"),
    ],
)
def test_an_underlay_that_is_not_there_is_explained(routes, interface, public_ips, message):
    with pytest.raises(PodnetError, match=message):
        host_network.underlay(LINKS, routes, interface, public_ips)


PROC_UDP = """   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref
 1000: 00000000:2118 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 {} 2 0000000000000000 0
"""


def test_the_holder_of_a_port_is_named(host):
    host("/proc/net/udp", PROC_UDP.format(4711))
    host("/proc/12/comm", "dnsmasq\n")
    host("/proc/12/fd/nothing")
    os.symlink("socket:[4711]", host.files.path("/proc/12/fd/3"))
    found = host_network.listeners(host.files, [8472, 4789], [8081])
    assert found == {"udp": {"8472": {"process": "dnsmasq", "pid": 12}, "4789": None}, "tcp": {"8081": None}}


def test_a_port_of_the_kernel_has_no_process(host):
    host("/proc/net/udp6", PROC_UDP.format(0))
    assert host_network.listeners(host.files, [8472], [])["udp"]["8472"] == {"process": None, "pid": None}


def test_tcp_sockets_count_when_they_listen():
    rows = "head\n 0: 00000000:1F91 0:0 {} 0:0 00:0 0 0 0 99 1\n"
    assert host_network.parse_sockets(rows.format("0A"), True) == [{"port": 8081, "inode": 99}]
    assert host_network.parse_sockets(rows.format("06"), True) == []


def test_wrong_checksums_are_counted(host):
    host("/proc/net/snmp", "Udp: InDatagrams InCsumErrors MemErrors\nUdp: 5 7 0\nUdpLite: InCsumErrors\nUdpLite: 1\n")
    assert udp.checksum_errors(host.files) == 7
    host("/proc/net/snmp6", "Udp6InErrors \t9\nUdp6InCsumErrors \t3\nUdpLite6InCsumErrors \t5\n")
    assert udp.checksum_errors(host.files) == 10
    assert udp.checksum_errors(Files("/nowhere")) is None


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("iptables v1.8.9 (nf_tables)", {"version": "1.8.9", "mode": "nf_tables"}),
        ("iptables v1.8.9 (legacy)", {"version": "1.8.9", "mode": "legacy"}),
        ("iptables v1.6.1", {"version": "1.6.1", "mode": "legacy"}),
    ],
)
def test_the_mode_of_iptables_is_read(host, line, found):
    firewall = host_network.firewall(host.files, programs(iptables=line))
    assert firewall["iptables"] == found
    assert firewall["ip6tables"] is None
    assert firewall["tables"] is None


def test_rules_are_tried_where_the_kernel_lists_no_modules():
    def run(command, text=None):
        if command[0] == "nft":
            raise FileNotFoundError("nft")
        tried.append(command)
        return (
            (0, "iptables v1.8.9 (nf_tables)", "") if command[0] == "iptables" else (1, "", "x\niptables: no match\n")
        )

    tried = []
    assert host_network.rules_hold(run) == {"iptables": "iptables: no match", "nft": None}
    assert tried[-1][:3] == ["unshare", "--net", "--"]
    assert host_network.rules_hold(lambda command, text: (0, "v1", "")) == {"iptables": "", "nft": ""}


def test_a_configuration_of_the_kubelet_in_json_is_read():
    text = '{"kind": "KubeletConfiguration", "failCgroupV1": false, "healthzPort": 10248, "clusterDNS": ["x"]}'
    assert host_system.parse_config(text) == {"failCgroupV1": "false", "healthzPort": "10248"}
    assert host_system.parse_config("[1]") == {}


def test_a_kubelet_that_is_not_on_path_says_its_version(host):
    host("/proc/77/comm", "kubelet\n")
    host("/proc/77/cmdline", "/srv/bin/kubelet\0--v=5\0")

    def run(command, text=None):
        if command != ["/srv/bin/kubelet", "--version"]:
            raise FileNotFoundError(command[0])
        return 0, "Kubernetes v1.36.3\n", ""

    assert host_system.kubelet(host.files, run)["version"] == "v1.36.3"


@pytest.mark.parametrize(("theirs", "running"), [("net:[1]", True), ("net:[2]", False)])
def test_a_kubelet_of_another_host_on_this_kernel_is_not_ours(host, theirs, running):
    host("/proc/77/comm", "kubelet\n")
    host("/proc/77/cmdline", "/srv/bin/kubelet\0--v=5\0")
    for name, target in (("77", theirs), ("thread-self", "net:[1]")):
        os.makedirs(host.files.path(f"/proc/{name}/ns"))
        os.symlink(target, host.files.path(f"/proc/{name}/ns/net"))
    assert host_system.kubelet(host.files, programs())["running"] is running


def test_flags_of_the_kubelet_are_read_with_their_source(host):
    host("/var/lib/kubelet/kubeadm-flags.env", 'KUBELET_KUBEADM_ARGS="--container-runtime=remote --v=2"\n')
    host(
        "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf",
        "# --old=1\nExecStart=/usr/bin/kubelet --cni-bin-dir /x\n",
    )
    host("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--config=/etc/kubelet.yaml\n")
    host("/etc/kubelet.yaml", 'kind: KubeletConfiguration\ncgroupDriver: "systemd" # all\nfailCgroupV1: false\n')
    found = host_system.kubelet(host.files, programs(kubelet="Kubernetes v1.31.2\n"))
    assert found["version"] == "v1.31.2"
    assert found["running"] is False
    assert found["flags"]["container-runtime"] == {"value": "remote", "source": "/var/lib/kubelet/kubeadm-flags.env"}
    assert found["flags"]["cni-bin-dir"]["value"] == "/x"
    assert "old" not in found["flags"]
    assert found["config"] == {"cgroupDriver": "systemd", "failCgroupV1": "false"}


def test_a_running_kubelet_is_asked_first(host):
    host("/proc/77/comm", "kubelet\n")
    host("/proc/77/cmdline", "/usr/bin/kubelet\0--v=5\0")
    host("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--v=2\n")
    found = host_system.kubelet(host.files, programs(k3s="k3s version v1.32.4+k3s1 (x)\n"))
    assert found["flags"]["v"] == {"value": "5", "source": "the running kubelet"}
    assert found["version"] == "v1.32.4+k3s1"
    assert found["running"] is True


@pytest.mark.parametrize(
    ("mounts", "version"),
    [
        ("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", 2),
        ("tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n", 1),
        ("cgroup /sys/fs/cgroup/memory cgroup rw 0 0\n", 1),
        ("proc /proc proc rw 0 0\n", None),
    ],
)
def test_the_version_of_cgroups(host, mounts, version):
    host("/proc/self/mounts", mounts)
    assert host_system.cgroup_version(host.files) == version


def test_networkmanager_leaves_alone_what_its_files_say(host):
    host("/run/NetworkManager/x")
    host("/usr/lib/NetworkManager/conf.d/10.conf", "[keyfile]\nunmanaged-devices=interface-name:flannel*;mac:02::1\n")
    host("/etc/NetworkManager/conf.d/20.conf", "[keyfile]\nunmanaged-devices+=interface-name:cni0\n")
    found = host_system.network_manager(host.files, no_program, ["flannel.1", "cni0", "eth0"])
    assert found["running"] is True
    assert found["unmanaged"] == {"flannel.1": True, "cni0": True, "eth0": False}


def test_a_later_file_replaces_the_list():
    texts = [
        "[keyfile]\nunmanaged-devices=interface-name:cni0\n",
        "[main]\nunmanaged-devices=interface-name:a\n[keyfile]\nunmanaged-devices=*,except:interface-name:cni0\n",
    ]
    patterns = host_system.unmanaged_patterns(texts)
    assert patterns == ["*", "except:interface-name:cni0"]
    assert not host_system.is_unmanaged("cni0", patterns)
    assert host_system.is_unmanaged("flannel.1", patterns)


def test_what_nmcli_says_of_a_link_counts(host):
    host("/run/NetworkManager/x")
    run = programs(nmcli="flannel.1:unmanaged\neth0:connected\ncni0:connected (externally)\n")
    found = host_system.network_manager(host.files, run, ["flannel.1", "cni0"])
    assert found["unmanaged"] == {"flannel.1": True, "cni0": False}


def test_what_networkd_does_with_links_and_routes(host):
    def found(*names):
        return host_system.networkd(host.files, names)

    assert found("flannel.1") == {
        "running": False,
        "foreign_routes": True,
        "foreign_routes_file": None,
        "links": {"flannel.1": {"managed": False, "file": None}},
    }
    host("/proc/7/comm", "systemd-network\n")
    host("/etc/systemd/networkd.conf", "[Network]\n#ManageForeignRoutes=no\nSpeedMeter=no\n")
    assert found()["running"] and found()["foreign_routes"]
    host("/etc/systemd/networkd.conf.d/20.conf", "[DHCPv4]\nManageForeignRoutes=no\n")
    assert found()["foreign_routes"], "it stands in another section"
    host("/usr/lib/systemd/networkd.conf.d/10.conf", "[Network]\nManageForeignRoutes=false\n")
    assert not found()["foreign_routes"]
    host("/run/systemd/networkd.conf.d/30.conf", "[Network]\nManageForeignRoutes=yes\n")
    assert found()["foreign_routes_file"] == "/run/systemd/networkd.conf.d/30.conf"
    assert found()["foreign_routes"], "the last one counts"


@pytest.mark.parametrize(
    ("texts", "managed"),
    [
        (["[Match]\nName=eth*\n"], False),
        (["[Match]\nName=* !lo\n"], True),
        (["[Match]\nName=!flannel.1\n"], False),
        (["[Match]\nName=!eth*\n"], True),
        (["[Match]\nName=flannel* cni0\n[Link]\nUnmanaged=yes\n", "[Match]\nName=*\n"], False),
        (["[Match]\nMACAddress=02:00:00:00:00:01\n"], False),
        (["[Match]\nType=ether\n"], None),
        (["[Match]\nName=eth0\nType=ether\n"], False),
        (["[Network]\nDHCP=yes\n"], False),
    ],
)
def test_whether_networkd_would_manage_a_link(host, texts, managed):
    for number, text in enumerate(texts):
        host(f"/etc/systemd/network/{number}.network", text)
    assert host_system.networkd(host.files, ["flannel.1"])["links"]["flannel.1"]["managed"] is managed
    # Of a link that is there, networkd's own word counts.
    host("/sys/class/net/flannel.1/ifindex", "12\n")
    host("/run/systemd/netif/links/12", "# private\nADMIN_STATE=configured\nNETWORK_FILE=/x.network\n")
    assert host_system.networkd(host.files, ["flannel.1"])["links"]["flannel.1"] == {
        "managed": True,
        "file": "/x.network",
    }


def test_the_first_link_file_that_fits_counts(host):
    host("/run/udev/control")
    host("/usr/lib/systemd/network/99-default.link", "[Match]\nOriginalName=*\n[Link]\nMACAddressPolicy=persistent\n")
    host("/usr/lib/systemd/network/50-usb.link", "[Match]\nDriver=usb\nOriginalName=*\n[Link]\nMACAddressPolicy=x\n")
    found = host_system.mac_policy(host.files, ["flannel.1"])
    assert found["running"] is True
    assert found["links"]["flannel.1"] == {
        "file": "/usr/lib/systemd/network/99-default.link",
        "policy": "persistent",
    }
    host("/etc/systemd/network/10-flannel.link", "[Match]\nOriginalName=flannel*\n[Link]\nMACAddressPolicy=none\n")
    assert host_system.mac_policy(host.files, ["flannel.1"])["links"]["flannel.1"]["policy"] == "none"


@pytest.mark.parametrize(
    ("listed", "where"),
    [
        ({"modules.builtin": "kernel/net/br_netfilter.ko\n"}, "builtin"),
        ({"modules.dep": "kernel/net/br_netfilter.ko.xz: a\n"}, "available"),
        ({"modules.dep": "kernel/net/other.ko: a\n"}, "missing"),
        ({}, None),
    ],
)
def test_where_a_kernel_module_is(host, listed, where):
    for name, text in listed.items():
        host(f"/lib/modules/{os.uname().release}/{name}", text)
    assert host_system.modules(host.files, ["br_netfilter"]) == {"br_netfilter": where}


def test_a_loaded_module_is_seen(host):
    host("/sys/module/br_netfilter/refcnt", "0")
    assert host_system.modules(host.files, ["br_netfilter"]) == {"br_netfilter": "loaded"}


def test_addresses_that_host_local_gave_out(host):
    for name in ("10.244.1.2", "lock", "last_reserved_ip.0"):
        host(f"/var/lib/cni/networks/cbr0/{name}")
    facts = host_gather.gather(host_gather.Question(), no_program, 0, host.root)
    assert facts["pod_addresses"] == ["10.244.1.2"]
