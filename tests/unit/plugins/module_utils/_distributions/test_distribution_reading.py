# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files, units, arguments and values of owners, read by the owners' rules; bad input names file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._distributions import (
    cluster,
    command_line,
    config_file,
    helm,
    report,
    service,
    yaml_text,
)
from ansible_collections.podnet.cni.plugins.module_utils._distributions.model import Place
from ansible_collections.podnet.cni.plugins.module_utils._distributions.view import Host
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._distributions import samples

MAIN = "/etc/rancher/k3s/config.yaml"


# https://docs.k3s.io/installation/configuration#value-merge-behavior and k3s pkg/configfilearg/parser.go
@pytest.mark.parametrize(
    ("files", "key", "values"),
    [
        (["node-label: [a]", "node-label: [b]"], "node-label", ("b",)),
        (["node-label: [a]", "node-label+: [b]", "node-label+: c"], "node-label", ("a", "b", "c")),
        (["node-label: [a]", "node-label+: [b]", "node-label: [d]"], "node-label", ("d",)),
        (["flannel-iface: eth1"], "flannel-iface", ("eth1",)),
        (["flannel-backend: vxlan", "flannel-backend: host-gw"], "flannel-backend", ("host-gw",)),
        (["node-label+: [b]"], "node-label", ("b",)),
        (["node-label: a\nnode-label+: b"], "node-label", ("a", "b")),
        (["node-label: [a]", "node-label+:"], "node-label", ("a",)),
        (["node-label: 5", "node-label+: [true]"], "node-label", ("5", "true")),
        (["flannel-ipv6-masq: yes"], "flannel-ipv6-masq", ("true",)),
        (["flannel-iface:"], "flannel-iface", ("",)),
        (["kube-proxy-arg: &a [x]\nkubelet-arg: *a"], "kubelet-arg", ("x",)),
        (["cluster-cidr: 10.1.0.0/16\r\ncni: canal\r\n"], "cluster-cidr", ("10.1.0.0/16",)),
        (["node-ip: 1:20"], "node-ip", ("1:20",)),
        (["{cni: canal, cluster-cidr: 10.0.0.0/8}"], "cni", ("canal",)),
    ],
)
def test_files_are_merged_as_k3s_does(files: list[str], key: str, values: tuple[str, ...]) -> None:
    merged = config_file.merge([(f"{number}.yaml", text) for number, text in enumerate(files)])
    assert merged.flags[key].values == values
    assert merged.problems == ()


def test_a_value_names_every_place_that_gave_a_part_of_it() -> None:
    merged = config_file.merge([("a.yaml", "\nnode-label: [a]\n"), ("b.yaml", "x: 1\nnode-label+: [b]\n")])
    assert [str(place) for place in merged.flags["node-label"].places] == ["a.yaml:2", "b.yaml:2"]
    assert merged.appended == {"node-label": Place("b.yaml", 2)}
    again = config_file.merge([("a.yaml", "n: [a]"), ("b.yaml", "n+: [b]"), ("c.yaml", "n: [c]")])
    assert again.appended == {} and [str(place) for place in again.flags["n"].places] == ["c.yaml:1"]


@pytest.mark.parametrize(
    ("name", "directory", "read"),
    [
        ("10-a.yaml", False, True),
        ("40-y.yml", False, True),
        ("40-y.YAML", False, True),
        ("30-x.yaml", True, False),
        ("50-z.yaml.bak", False, False),
        ("yaml", False, False),
    ],
)
def test_which_entries_are_dropins(name: str, directory: bool, read: bool) -> None:
    assert config_file.is_dropin(name, directory) is read


@pytest.mark.parametrize(
    ("text", "kind", "line"),
    [
        ("cni: canal\n\tfoo: bar\n", "unreadable", 2),
        ("a: 1\nb: [\n", "unreadable", 2),
        ("a: *nowhere\n", "unreadable", 1),
        ("a: &a [*a]\n", "unreadable", 1),
        ("- cni\n- canal\n", "unreadable", 1),
        ("just words\n", "unreadable", 1),
        ("a: 1\n? [x]\n: 2\n", "unreadable", 2),
        ("a: 1\nb: \x01\n", "unreadable", 2),
        ("cni: canal\nx: 1\ncni: flannel\n", "duplicate", 3),
        ("a: 1\n---\nb: 2\n", "documents", 3),
        ("x: &x {cni: canal}\n<<: *x\n", "merge_key", 2),
        ("a: !!python/object/apply:os.system [ls]\n", "", 0),
    ],
)
def test_bad_yaml_names_file_and_line(text: str, kind: str, line: int) -> None:
    problems = yaml_text.load(text, "f.yaml").problems
    assert [(each.kind, str(each.place)) for each in problems] == ([(kind, f"f.yaml:{line}")] if kind else [])
    assert all(each.text and each.remedy for each in problems)


def test_a_tab_is_called_a_tab() -> None:
    assert "tab" in yaml_text.load("a:\n\tb: 1\n", "f").problems[0].text


def test_an_anchor_that_grows_without_end_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    document = yaml_text.load("\n".join(lines), "f.yaml")
    assert document.entries == ()
    assert document.problems[0].kind == "unreadable"
    assert yaml_text.load("[" * 5000, "f.yaml").problems[0].kind == "unreadable"


def test_a_nested_value_is_a_problem_of_its_key() -> None:
    merged = config_file.merge([("f.yaml", "cni:\n  name: canal\n")])
    assert [(each.kind, str(each.place)) for each in merged.problems] == [("nested", "f.yaml:1")]


def test_a_unit_is_read_with_its_dropins_and_continued_lines() -> None:
    main = (
        '# comment\n[Service]\nEnvironmentFile=-/etc/default/%N\nEnvironment="K3S_CONFIG_FILE=/x y.yaml" A=1\n'
        "ExecStartPre=-/sbin/modprobe br_netfilter\nExecStart=/usr/local/bin/k3s \\\n    server \\\n"
        "\t'--flannel-backend' \\\n\t'host-gw' \\\n\n"
    )
    unit = command_line.unit([("/u", main)], "k3s")
    assert unit.words == ["/usr/local/bin/k3s", "server", "--flannel-backend", "host-gw"]
    assert (unit.command, str(unit.place)) == ("server", "/u:6")
    assert unit.environment["K3S_CONFIG_FILE"] == ("/x y.yaml", Place("/u", 4))
    assert unit.environment_files == ["/etc/default/k3s"]
    over = command_line.unit([("/u", main), ("/d.conf", "[Service]\nExecStart=\nExecStart=/k3s agent\n")], "k3s")
    assert (over.words, str(over.place)) == (["/k3s", "agent"], "/d.conf:3")
    broken = command_line.unit([("/u", "ExecStart=/k3s server '--x\n")], "k3s").problems
    assert [str(each.place) for each in broken] == ["/u:1"]


def test_an_environment_file_with_windows_line_ends_is_a_problem() -> None:
    found, problems = command_line.environment("A='b c'\r\n# x\r\nnonsense\r\n", "/e")
    assert found["A"][0] == "b c"
    assert [(each.kind, str(each.place)) for each in problems] == [("line_ends", "/e:1"), ("assignment", "/e:3")]


@pytest.mark.parametrize(
    ("annotation", "command", "flags"),
    [
        (
            ["server", "--flannel-backend", "vxlan", "--selinux"],
            "server",
            {"flannel-backend": "vxlan", "selinux": "true"},
        ),
        (["agent", "--node-ip=10.0.0.1", "--token", "********"], "agent", {"node-ip": "10.0.0.1", "token": "********"}),
        (["server", "--selinux", "true", "--cni", "multus", "--cni", "canal"], "server", {"cni": "multus,canal"}),
        ([], "", {}),
        ({"a": 1}, "", {}),
    ],
)
def test_running_arguments(annotation: Any, command: str, flags: dict[str, str]) -> None:
    found = command_line.running(json.dumps(annotation), Place("Node/a"))
    assert found[0] == command
    assert flags.items() <= {name: flag.text for name, flag in found[1].items()}.items()
    assert command_line.running("{", Place("")) == ("", {})


@pytest.mark.parametrize(
    ("base", "over", "made"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_values_are_merged_deeply(base: dict[str, Any], over: dict[str, Any], made: dict[str, Any]) -> None:
    before = json.dumps(base)
    assert helm.deep_merge(base, over) == made
    assert json.dumps(base) == before


def test_what_is_set_wins_over_all_values() -> None:
    chart = {"valuesContent": "a: {b: 1, c: 1}\n", "set": {"global.clusterCIDR": "10.42.0.0/16"}}
    config = {"valuesContent": '{"a": {"b": 2}, "global": {"clusterCIDR": "x", "y": 1}}', "values": {"a": {"d": 4}}}
    assert helm.effective(chart, config) == {
        "a": {"b": 2, "c": 1, "d": 4},
        "global": {"clusterCIDR": "10.42.0.0/16", "y": 1},
    }


def test_objects_of_a_manifest_with_several_documents() -> None:
    one = "apiVersion: helm.cattle.io/v1\nkind: HelmChartConfig\nmetadata: {name: rke2-canal, namespace: kube-system}\n"
    found, problems = helm.configs_in(
        f"# x\n---\n{one}spec:\n  valuesContent: |-\n    a: 1\n---\nkind: X\n---\na: [\n", "/m"
    )
    assert [(each["name"], each["namespace"], each["spec"]) for each in found] == [
        ("rke2-canal", "kube-system", {"valuesContent": "a: 1"})
    ]
    assert [str(each.place) for each in problems] == ["/m:12"]


def started(facts: dict[str, Any], product: str = "k3s") -> service.Service:
    found = service.service(Host("a", facts), product)
    assert found is not None
    return found


def test_the_command_line_beats_files_and_files_beat_variables(tmp_path: Path) -> None:
    command = "k3s server --flannel-backend host-gw --cluster-cidr 10.2.0.0/16"
    found = started(samples.k3s(tmp_path / "a", "flannel-backend: vxlan\ncluster-cidr: 10.1.0.0/16\n", command=command))
    assert found.flags["flannel-backend"].values == ("host-gw",)
    assert found.flags["cluster-cidr"].values == ("10.1.0.0/16", "10.2.0.0/16")
    files = {"usr/local/lib/systemd/system/rke2-server.service": samples.ENDED.format(command="rke2 server")}
    files["etc/default/rke2-server"] = "RKE2_CNI=multus,canal\n"
    assert started(samples.rke2(tmp_path / "b", "", files=files), "rke2").flags["cni"].values == ("multus", "canal")
    over = started(samples.rke2(tmp_path / "c", "cni: flannel\n", files=files), "rke2")
    assert over.flags["cni"].values == ("flannel",)


def test_another_configuration_file_takes_its_dropins_along(tmp_path: Path) -> None:
    files: dict[str, str | None] = {
        "etc/systemd/system/k3s.service.d/10.conf": "[Service]\nEnvironment=K3S_CONFIG_FILE=/srv/k3s.yaml\n",
        "srv/k3s.yaml": "flannel-iface: eth0\n",
        "srv/k3s.yaml.d/20.yaml": "flannel-iface: eth1\n",
        "srv/k3s.yaml.d/30.yaml": None,
        "srv/k3s.yaml.d/90.yaml.bak": "flannel-iface: eth9\n",
    }
    found = started(samples.k3s(tmp_path / "a", "flannel-iface: eth7\n", files=files))
    assert found.value("flannel-iface") == "eth1"
    assert str(found.flags["flannel-iface"].places[-1]) == "/srv/k3s.yaml.d/20.yaml:1"


def test_a_file_that_was_asked_for_and_is_not_there_is_a_problem(tmp_path: Path) -> None:
    asked = started(samples.k3s(tmp_path / "a", command="k3s server --config /srv/none.yaml"))
    assert [(each.kind, str(each.place)) for each in asked.problems] == [("missing", "/srv/none.yaml")]
    assert started(samples.k3s(tmp_path / "b")).problems == ()


def test_a_host_without_any_of_it_has_no_service(tmp_path: Path) -> None:
    facts = samples.host(tmp_path / "a")
    assert facts["products"] == {} and report.services(Host("a", facts)) == []


def test_secrets_stay_on_the_node(tmp_path: Path) -> None:
    secret = "not" + "told"
    config = (
        f"token: {secret}\nagent-token: '{secret}'\n\"token\": \"{secret}, x\"\ndatastore-endpoint: 'mysql://u:{secret}@h/'\n"
        f"--token: {secret}\nvpn-auth: |\n  {secret}\n  {secret}\nserver-token: >\n  {secret}\n"
        f"my-password:\n- {secret}\n- {secret}\nnested:\n  psk: {secret}, {secret}\n"
        f"  inner: {{psk: {secret}, port: 1}}\n"
        f'token: "{secret}\n  {secret}"\ntoken-file: /etc/t\ncni: canal\n'
    )
    files = {
        "etc/systemd/system/k3s.service": samples.ENDED.format(
            command=f"k3s server --token {secret} --agent-token={secret}"
        ),
        "etc/default/k3s": f"K3S_TOKEN={secret}\nK3S_DATASTORE_ENDPOINT='http://{secret}'\nA=1\n",
        "etc/flannel.json": f'{{"Network": "10.42.0.0/16", "Backend": {{"Type": "wireguard", "PSK": "{secret}"}}}}',
    }
    config += "flannel-conf: /etc/flannel.json\n"
    config += f"kube-apiserver-arg:\n- oidc-client-secret={secret}\n- 'token-auth-file=/etc/t'\n"
    inner = json.dumps({"flannel": {"psk": secret, "mtu": 1400}})
    files["var/lib/rancher/k3s/server/manifests/c.yaml"] = (
        f"kind: HelmChartConfig\nspec:\n  valuesContent: |\n    flannel:\n      psk: {secret}\n      mtu: 1400\n---\n"
        f"kind: HelmChartConfig\nspec: {json.dumps({'valuesContent': inner})}\n"
    )
    facts = samples.k3s(tmp_path / "a", config, files=files)
    assert secret not in json.dumps(facts)
    found = started(facts)
    assert (found.value("token-file"), found.value("cni")) == ("/etc/t", "canal")
    assert found.flags["kube-apiserver-arg"].values == ("oidc-client-secret=********", "token-auth-file=/etc/t")
    [path] = found.manifests
    configs, problems = helm.configs_in(Host("a", facts).text(path) or "", path)
    assert problems == []
    assert [helm.effective({}, each["spec"])["flannel"] for each in configs] == [{"psk": "********", "mtu": 1400}] * 2
    assert {each.kind for each in found.problems} == {"duplicate", "nested"}


def test_a_unit_as_the_installer_writes_it_keeps_its_secrets_and_its_flags(tmp_path: Path) -> None:
    secret = "not" + "told"
    words = ["--token", secret, "--secrets-encryption", "--datastore-endpoint", f"postgres://u:{secret}@db/k3s"]
    words += [
        f"--agent-token={secret} {secret}",
        "--flannel-backend",
        "host-gw",
        f"--etcd-s3-proxy=http://u:{secret}@p:1",
    ]
    quoted = "".join(f"\t'{word}' \\\n" for word in words)
    unit = samples.ENDED.format(command="k3s \\\n    server \\\n" + quoted) + "\n"
    unit += f'Environment="HTTPS_PROXY=http://u:{secret}@p:1" \'K3S_TOKEN={secret} {secret}\' "A=1"\n'
    config = f"etcd-s3-proxy: http://u:{secret}@p:1\nsecrets-encryption: false\n"
    files = {"etc/systemd/system/k3s.service": unit, "etc/default/k3s": f"http_proxy=http://u:{secret}@p:1\n"}
    facts = samples.k3s(tmp_path / "a", config, files=files)
    assert secret not in json.dumps(facts)
    found = started(facts)
    assert found.value("flannel-backend") == "host-gw"
    assert (found.value("secrets-encryption"), found.files["secrets-encryption"].text) == ("true", "false")
    assert found.value("etcd-s3-proxy") == "http://u:********@p:1"
    assert cluster.without_secrets({"proxy": [f"http://u:{secret}@p", 1]}) == {"proxy": ["http://u:********@p", 1]}
    args = json.dumps(
        ["server", "--kube-apiserver-arg", f"oidc-client-secret={secret}", "--cluster-cidr", "10.1.0.0/16"]
    )
    node = cluster.describe_node({"metadata": {"name": "a", "annotations": {"k3s.io/node-args": args}}})
    assert node["node_args"] == args.replace(secret, "********")


def test_every_setting_names_its_place_its_owner_and_who_overwrites_it(tmp_path: Path) -> None:
    files = {
        "etc/rancher/rke2/config.yaml.d/50-rancher.yaml": "cluster-cidr: 10.42.0.0/16\n",
        "etc/rancher/rke2/config.yaml.d/60-own.yaml": "node-ip: 10.0.0.1\n",
    }
    hosts = {
        "a": samples.rke2(tmp_path / "a", "# x\ncni: canal\n", command="rke2 server --cluster-domain x", files=files)
    }
    nodes = [samples.api_node("a", '["server", "--cni", "calico"]')]
    found = {each.name: each for each in report.read(hosts, samples.cluster(nodes=nodes))[0]}
    assert (found["cni"].owner, found["cni"].place) == ("RKE2", "/etc/rancher/rke2/config.yaml:2")
    assert found["cni"].running == "calico" and found["node-ip"].running is None
    assert found["cluster-cidr"].owner == "Rancher"
    assert "machineGlobalConfig.cluster-cidr" in found["cluster-cidr"].change
    assert "rancher-system-agent" in found["cluster-cidr"].overwritten_by
    assert "installer" in found["cluster-domain"].overwritten_by
    assert found["node-ip"].place == "/etc/rancher/rke2/config.yaml.d/60-own.yaml:1"


def test_k3s_files_of_its_own_and_of_the_user(tmp_path: Path) -> None:
    files = {
        "var/lib/rancher/k3s/agent/etc/flannel/net-conf.json": '{"Backend": {"Type": "vxlan"}}',
        "etc/flannel.json": '{"Backend": {"VNI": 7}}',
    }
    hosts = {"a": samples.k3s(tmp_path / "a", "flannel-conf: /etc/flannel.json\n", files=files)}
    found = {(each.name, each.place): each for each in report.read(hosts, None)[0]}
    own = found["Backend.VNI", "/etc/flannel.json"]
    assert own.overwritten_by == "nobody" and "every node" in own.change
    made = found["Backend.Type", "/var/lib/rancher/k3s/agent/etc/flannel/net-conf.json"]
    assert made.overwritten_by == "k3s, at each start" and "flannel-backend" in made.change


def test_values_of_charts_by_owner() -> None:
    addons = [
        {"name": "own", "namespace": "kube-system", "source": "/var/lib/rancher/rke2/server/manifests/own.yaml"},
        {
            "name": "managed-chart-config",
            "source": "/var/lib/rancher/rke2/server/manifests/rancher/managed-chart-config.yaml",
        },
    ]
    configs = [
        samples.chart_config("rke2-canal", "flannel: {mtu: 8950, psk: x}\npodCidr: 10.9.0.0/16\n", owner="own"),
        samples.chart_config("rke2-flannel", '{"flannel": {"mtu": 1}}', owner="managed-chart-config"),
        samples.chart_config("rke2-coredns", "x: 1\n"),
    ]
    facts = samples.cluster(
        helm_chart_configs=configs, addons=addons, helm_charts=[samples.chart(set={"podCidr": "10.42.0.0/16"})]
    )
    found = {each.name: each for each in report.read({}, facts)[0]}
    assert set(found) == {
        "rke2-canal: flannel.mtu",
        "rke2-canal: flannel.psk",
        "rke2-canal: podCidr",
        "rke2-flannel: flannel.mtu",
    }
    assert (
        "own.yaml" in found["rke2-canal: flannel.mtu"].change
        and "restart daemonset rke2-canal" in found["rke2-canal: flannel.mtu"].change
    )
    assert found["rke2-canal: flannel.psk"].value == "********"
    assert "10.42.0.0/16" in found["rke2-canal: podCidr"].overwritten_by
    assert found["rke2-flannel: flannel.mtu"].owner == "Rancher"
    assert "chartValues.rke2-flannel.flannel.mtu" in found["rke2-flannel: flannel.mtu"].change
    alone = samples.cluster(helm_chart_configs=[samples.chart_config(values="a: 1\n")])
    assert report.read({}, alone)[0][0].overwritten_by == "nobody"


NET_CONF = '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "Port": 8472}, "Other": 1}'


@pytest.mark.parametrize(
    ("owner", "facts", "words"),
    [
        ("rke1", {"nodes": [samples.api_node("a", distribution="rke1")]}, "rke up"),
        ("kubespray", {"daemonsets": [{"namespace": "kube-system", "name": "kube-flannel"}]}, "flannel_vxlan_port"),
        ("talos", {"nodes": [samples.api_node("a", distribution="talos")]}, "backendPort"),
        ("kops", {"nodes": [samples.api_node("a", distribution="kops")]}, "kOps has no field"),
    ],
)
def test_owners_that_write_a_config_map(owner: str, facts: dict[str, Any], words: str) -> None:
    cluster = samples.cluster(config_maps={"kube-system/kube-flannel-cfg": {"net-conf.json": NET_CONF}}, **facts)
    assert owner in report.owners(cluster)
    found = {each.name: each for each in report.read({}, cluster)[0]}
    assert found["Backend.Port"].value == "8472" and words in found["Backend.Port"].change
    assert found["Backend.Port"].place == "ConfigMap kube-system/kube-flannel-cfg"
    cluster["config_maps"]["kube-system/kube-flannel-cfg"]["net-conf.json"] = "{"
    problems = report.read({}, cluster)[1]
    assert [str(each.place) for each in problems] == ["ConfigMap kube-system/kube-flannel-cfg"]


def test_kubeadm_by_config_map_and_manifest(tmp_path: Path) -> None:
    manifest = (
        "spec:\n  containers:\n  - command:\n    - kube-controller-manager\n    - --cluster-cidr=10.244.0.0/16\n"
        "    - --allocate-node-cidrs=true\n    - --leader-elect=true\n"
    )
    hosts = {"a": samples.host(tmp_path / "a", {"etc/kubernetes/manifests/kube-controller-manager.yaml": manifest})}
    stored = {"kube-system/kubeadm-config": {"ClusterConfiguration": "networking: {podSubnet: 10.244.0.0/16}\n"}}
    cluster = samples.cluster(config_maps=stored)
    assert report.owners(cluster) == ["kubeadm"]
    found = {each.name: (each.subject, each.value) for each in report.read(hosts, cluster)[0]}
    assert found == {
        "--cluster-cidr": ("a", "10.244.0.0/16"),
        "--allocate-node-cidrs": ("a", "true"),
        "networking.podSubnet": ("cluster", "10.244.0.0/16"),
    }


def test_microk8s_files(tmp_path: Path) -> None:
    folder = "var/snap/microk8s/current/args"
    files = {
        f"{folder}/flanneld": '--iface=""\n--ip-masq\n--etcd-certfile=${SNAP_DATA}/x\n',
        f"{folder}/flannel-network-mgr-config": '{"Network": "10.1.0.0/16", "Backend": {"Type": "vxlan"}}',
    }
    found = {each.name: each for each in report.read({"a": samples.host(tmp_path / "a", files)}, None)[0]}
    assert found["ip-masq"].place == "/var/snap/microk8s/current/args/flanneld:2"
    assert found["Network"].value == "10.1.0.0/16"
    assert "etcd" in found["Network"].overwritten_by
    assert report.owners(samples.cluster(nodes=[samples.api_node("a", distribution="", microk8s=True)])) == ["microk8s"]


def test_a_management_cluster_of_rancher() -> None:
    config = {
        "machineGlobalConfig": {"cluster-cidr": "10.1.0.0/16"},
        "chartValues": {"rke2-canal": {"flannel": {"iface": "e"}}},
    }
    item = {
        "name": "c",
        "namespace": "fleet-default",
        "spec": {"kubernetesVersion": "v1.32.2+rke2r1", "rkeConfig": config},
    }
    facts = samples.cluster(rancher_clusters=[item])
    found = {each.name: each for each in report.read({}, facts)[0]}
    assert report.owners(facts) == ["rancher"]
    assert found["cni"].value == "calico" and "anew" in found["cni"].change
    assert found["rke2-canal: flannel.iface"].place.endswith("spec.rkeConfig.chartValues.rke2-canal.flannel.iface")
    assert found["cluster-cidr"].subject == "Cluster fleet-default/c"


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    files: dict[str, str | None] = {samples.K3S: None, "etc/rancher/k3s/config.yaml.d/1.yaml": "x" * (512 * 1024 + 1)}
    hosts = {"a": samples.k3s(tmp_path / "a", files=files)}
    problems = {str(each.place): each.text for each in report.read(hosts, None)[1]}
    assert "directory" in problems[MAIN]
    assert "characters" in problems[f"{MAIN}.d/1.yaml"]
