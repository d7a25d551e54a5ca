# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an old flannel has that the role's would not have, and what becomes of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.podnet.cni.plugins.module_utils._adoption.flannel import adoption, patch, takeover, values
from ansible_collections.podnet.cni.plugins.module_utils._adoption.flannel.takeover import Takeover
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError

ROOT = Path(__file__).resolve().parents[6]
Obj = dict[str, Any]
CONFIG: Obj = {"Network": "10.244.0.0/16", "EnableNFTables": False, "Backend": {"Type": "vxlan"}}


def config_map(config: Obj | None = None, cni: Obj | None = None) -> Obj:
    data = {"net-conf.json": json.dumps(config or CONFIG), "cni-conf.json": json.dumps(cni or values.CNI_CONF)}
    return {
        "kind": "ConfigMap",
        "metadata": {"name": "kube-flannel-cfg", "namespace": "kube-flannel", "resourceVersion": "1"},
        "data": data,
    }


def rendered() -> Obj:
    """The DaemonSet of the role with its defaults."""
    installer = {
        "name": "install-cni",
        "volumeMounts": [
            {"name": "cni", "mountPath": "/etc/cni/net.d"},
            {"name": "cni-plugin", "mountPath": "/opt/cni/bin"},
        ],
    }
    daemon = {
        "name": "kube-flannel",
        "image": "ghcr.io/flannel-io/flannel:v0.28.9",
        "command": ["/opt/bin/flanneld"],
        "args": [*values.ARGS, "--healthz-port=8081"],
        "resources": copy.deepcopy(values.RESOURCES),
        "securityContext": {"privileged": False, "capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}},
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "EVENT_QUEUE_DEPTH", "value": "5000"},
        ],
        "volumeMounts": [{"name": "run", "mountPath": "/run/flannel"}],
    }
    spec = {
        "hostNetwork": True,
        "priorityClassName": "system-node-critical",
        "tolerations": [
            {"effect": "NoExecute", "operator": "Exists"},
            {"effect": "NoSchedule", "operator": "Exists"},
        ],
        "initContainers": [installer],
        "containers": [daemon],
        "volumes": [
            {"name": "run", "hostPath": {"path": "/run/flannel"}},
            {"name": "cni", "hostPath": {"path": "/etc/cni/net.d"}},
            {"name": "cni-plugin", "hostPath": {"path": "/opt/cni/bin"}},
        ],
    }
    return {
        "kind": "DaemonSet",
        "metadata": {"name": "kube-flannel-ds", "namespace": "kube-flannel", "labels": {"app": "flannel"}},
        "spec": {
            "selector": {"matchLabels": {"app": "flannel"}},
            "updateStrategy": copy.deepcopy(values.UPDATE_STRATEGY),
            "template": {"metadata": {"labels": {"app": "flannel"}}, "spec": spec},
        },
    }


def pod(item: Obj) -> Obj:
    return dict(item["spec"]["template"]["spec"])


def daemon(item: Obj) -> Obj:
    found: Obj = item["spec"]["template"]["spec"]["containers"][0]
    return found


def old(change: Callable[[Obj], Any] = lambda item: None) -> Obj:
    """That DaemonSet as the API server gives it back, made by kubectl, and changed."""
    item = rendered()
    item["metadata"].update(
        uid="u",
        resourceVersion="1",
        annotations={"deprecated.daemonset.template.generation": "1"},
        managedFields=[{"manager": "kubectl", "operation": "Apply", "fieldsV1": {}}],
    )
    daemon(item)["image"] = "docker.io/flannel/flannel:v0.22.0"
    daemon(item)["args"] = list(values.ARGS)
    daemon(item)["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] = "v1"
    daemon(item).update(imagePullPolicy="IfNotPresent", terminationMessagePath="/dev/termination-log")
    spec = item["spec"]["template"]["spec"]
    spec.update(restartPolicy="Always", dnsPolicy="ClusterFirst", securityContext={}, serviceAccountName="flannel")
    spec.update(schedulerName="default-scheduler", terminationGracePeriodSeconds=30, serviceAccount="flannel")
    item["spec"]["updateStrategy"]["rollingUpdate"]["maxSurge"] = 0
    item["spec"]["revisionHistoryLimit"] = 10
    change(item)
    return item


def taken(
    item: Obj, *, found_map: Obj | None = None, wanted: list[Obj] | None = None, **options: Any
) -> tuple[adoption.Decision, Takeover]:
    record = {"plugin": "flannel", "role": "primary", "install_method": "manifest", "namespace": "x", "warnings": []}
    found = adoption.FlannelFound([record], [item], found_map or config_map())
    wanted = [config_map(), rendered()] if wanted is None else wanted
    asked = adoption.Wanted(adoption.new_place(), CONFIG, objects=wanted, **options)
    return adoption.take_over(asked, found, "podnet.cni")


def env(name: str, value: str) -> Callable[[Obj], Any]:
    return lambda item: daemon(item)["env"].append({"name": name, "value": value})


def flags(*more: str) -> Callable[[Obj], Any]:
    return lambda item: daemon(item)["args"].extend(more)


def in_pod(**fields: Any) -> Callable[[Obj], Any]:
    return lambda item: item["spec"]["template"]["spec"].update(fields)


def in_daemon(**fields: Any) -> Callable[[Obj], Any]:
    return lambda item: daemon(item).update(fields)


def modules_mount(item: Obj) -> None:
    daemon(item)["volumeMounts"].append({"name": "modules", "mountPath": "/lib/modules", "readOnly": True})
    item["spec"]["template"]["spec"]["volumes"].append({"name": "modules", "hostPath": {"path": "/lib/modules"}})


def helper(kind: str) -> Callable[[Obj], Any]:
    def change(item: Obj) -> None:
        spec = item["spec"]["template"]["spec"]
        spec[kind].append({"name": "helper", "image": "h:1", "volumeMounts": [{"name": "run", "mountPath": "/x"}]})
        spec["volumes"][0]["hostPath"]["path"] = "/run/old"

    return change


def cni_directory(item: Obj) -> None:
    item["spec"]["template"]["spec"]["volumes"][1]["hostPath"]["path"] = "/var/lib/cni/net.d"


IFACE = ["--iface=eth1"]
CASES: dict[str, tuple[Callable[[Obj], Any], str, bool, str]] = {
    # What the old one has: the name it gets, whether traffic depends on it, and the variable.
    "interface": (flags("--iface=eth1"), "--iface", True, "flannel_args"),
    "two words": (flags("--iface-regex", "eth[12]"), "--iface-regex", True, "flannel_args"),
    "can reach": (flags("--iface-can-reach=198.18.0.1"), "--iface-can-reach", True, "flannel_args"),
    "public IP": (flags("-public-ip=198.18.0.9"), "--public-ip", True, "flannel_args"),
    "no masquerade": (in_daemon(args=["--kube-subnet-mgr"]), "--ip-masq", True, "flannel_args"),
    "switch": (flags("--iptables-forward-rules=false"), "--iptables-forward-rules", True, "flannel_args"),
    "log": (flags("-v=4"), "--v", False, "flannel_args"),
    "API server": (env("KUBERNETES_SERVICE_HOST", "198.18.0.10"), "env.KUBERNETES_SERVICE_HOST", True, values.PATCH),
    "flag by environment": (env("FLANNELD_IFACE", "eth1"), "env.FLANNELD_IFACE", True, values.PATCH),
    "environment": (env("GOMAXPROCS", "1"), "env.GOMAXPROCS", False, values.PATCH),
    "other value": (
        lambda item: daemon(item)["env"][1].update(value="9"),
        "env.EVENT_QUEUE_DEPTH",
        False,
        values.PATCH,
    ),
    "envFrom": (in_daemon(envFrom=[{"configMapRef": {"name": "x"}}]), "kube-flannel.envFrom", True, values.PATCH),
    "node selector": (in_pod(nodeSelector={"net": "yes"}), "nodeSelector", True, "flannel_node_selector"),
    "affinity": (
        in_pod(affinity={"podAntiAffinity": {"x": []}, "nodeAffinity": {}}),
        "affinity",
        True,
        values.PATCH,
    ),
    "limits": (
        in_daemon(resources={"limits": {"cpu": "50m"}, "requests": {"cpu": "50m"}}),
        "resources",
        False,
        "flannel_resources",
    ),
    "mount": (modules_mount, "volumeMount./lib/modules", False, values.PATCH),
    "init container": (helper("initContainers"), "initContainer.helper", False, values.PATCH),
    "container": (helper("containers"), "container.helper", False, values.PATCH),
    "directory": (cni_directory, "cniConfDir", True, "flannel_cni_conf_dir"),
    "pull secret": (
        in_pod(imagePullSecrets=[{"name": "mirror"}]),
        "imagePullSecrets",
        False,
        "flannel_image_pull_secrets",
    ),
    "DNS": (in_pod(dnsPolicy="ClusterFirstWithHostNet"), "pod.dnsPolicy", False, values.PATCH),
    "priority": (in_pod(priorityClassName="mine"), "pod.priorityClassName", False, values.PATCH),
    "privileged": (in_daemon(securityContext={"privileged": True}), "securityContext.privileged", False, values.PATCH),
    "capability": (
        in_daemon(securityContext={"capabilities": {"add": ["NET_ADMIN", "SYS_MODULE"]}}),
        "securityContext.capabilities",
        False,
        values.PATCH,
    ),
    "pull policy": (in_daemon(imagePullPolicy="Never"), "kube-flannel.imagePullPolicy", False, values.PATCH),
    "life cycle": (in_daemon(lifecycle={"preStop": {}}), "kube-flannel.lifecycle", False, values.PATCH),
    "strategy": (
        lambda item: item["spec"].update(updateStrategy={"type": "OnDelete"}),
        "updateStrategy",
        False,
        "flannel_update_strategy",
    ),
    "seconds": (
        lambda item: item["spec"].update(minReadySeconds=5),
        "daemonset.minReadySeconds",
        False,
        values.PATCH,
    ),
    "label": (
        lambda item: item["spec"]["template"]["metadata"]["labels"].update(team="net"),
        "label.team",
        False,
        values.PATCH,
    ),
    "annotation": (
        lambda item: item["spec"]["template"]["metadata"].update(annotations={"prometheus.io/scrape": "true"}),
        "annotation.prometheus.io/scrape",
        False,
        values.PATCH,
    ),
    "label of the object": (
        lambda item: item["metadata"]["labels"].update(team="net"),
        "daemonset.label.team",
        False,
        values.PATCH,
    ),
}


def test_nothing_is_missed_in_the_roles_own() -> None:
    assert values.compare(old(), config_map(), [config_map(), rendered()]) == []


@pytest.mark.parametrize("name", CASES)
def test_everything_of_the_old_one_is_told_kept_and_not_lost_without_a_word(name: str) -> None:
    change, called, traffic, variable = CASES[name]
    item = old(change)
    _decision, kept = taken(item)
    entries = {entry["name"]: entry for entry in kept.entries()}
    assert called in entries, list(entries)
    assert entries[called]["becomes"] == "kept"
    assert (entries[called]["traffic"], entries[called]["variable"]) == (traffic, variable)
    assert called in kept.shown()["before"]["set by the former installation"]

    if traffic:
        with pytest.raises(ConflictError, match="flannel_adopt_drop"):
            taken(item, adopt_values="drop")
    decision, gone = taken(item, adopt_values="drop", adopt_drop=[called])
    assert {entry["becomes"] for entry in gone.entries()} == {"dropped"}
    assert called in " ".join(decision.warnings)
    assert gone.adopted == {"names": [], "settings": {}, "patches": []}


def applied(adopted: Obj) -> list[Obj]:
    """The objects of the role with what was kept, as its templates make them."""
    item = rendered()
    given = dict(adopted["settings"])
    more = given.pop("args", [])
    names = [word.partition("=")[0] for word in more]
    args = daemon(item)["args"]
    daemon(item)["args"] = [word for word in args if word not in names] + more
    for name, key in (("resources", "resources"), ("nodeSelector", "nodeSelector")):
        if name in given:
            (daemon(item) if name == "resources" else item["spec"]["template"]["spec"])[key] = given[name]
    if "cniConfDir" in given:
        cni_directory(item)
    return patch.into_daemonsets([config_map(), item], adopted["patches"])


@pytest.mark.parametrize("name", CASES)
def test_what_is_kept_is_there_afterwards(name: str) -> None:
    item = old(CASES[name][0])
    adopted = taken(item)[1].adopted
    left = values.compare(item, config_map(), applied(adopted))
    assert [each.name for each in left] == []


def test_later_runs_keep_what_is_recorded_and_nothing_else() -> None:
    item = old(flags("--iface=eth1", "--public-ip=198.18.0.9"))
    fields = {"f:template": {"f:spec": {"f:containers": {'k:{"name":"kube-flannel"}': {"f:args": {}}}}}}
    item["metadata"]["managedFields"] = [
        {"manager": "podnet.cni", "operation": "Apply", "fieldsV1": {"f:spec": fields}}
    ]
    assert taken(item)[1].entries() == [], "what the role itself wrote goes with its variable"
    item["metadata"]["annotations"][takeover.RECORD] = json.dumps(["--iface"])
    assert taken(item)[1].adopted["names"] == ["--iface"]
    assert taken(item, adopt_drop=["--iface"])[1].adopted["names"] == []
    item["metadata"]["managedFields"][0]["fieldsV1"] = {"f:spec": {"f:updateStrategy": {}}}
    del item["metadata"]["annotations"][takeover.RECORD]
    assert taken(item)[1].adopted["names"] == ["--iface", "--public-ip"], "a field of ours does not make it ours"


def test_what_the_user_set_counts() -> None:
    mine = rendered()
    daemon(mine)["args"] = [*values.ARGS, "--iface=eth2"]
    decision, found = taken(old(flags("--iface=eth1", "--public-ip=198.18.0.9")), wanted=[config_map(), mine])
    assert {entry["name"]: entry["becomes"] for entry in found.entries()} == {
        "--iface": "replaced",
        "--public-ip": "kept",
    }
    assert "--iface = eth1 (flannel_args)" in " ".join(decision.warnings)


def test_options_of_the_backend_are_kept_and_a_key_is_not_handed_on() -> None:
    backend = {"Type": "vxlan", "VNI": 7, "MTU": 1400, "DirectRouting": True, "Learning": True}
    before = config_map({**CONFIG, "EnableNFTables": True, "Backend": backend})
    with pytest.raises(ConflictError, match=r"backend\.learning = true"):
        taken(old(), found_map=before)
    decision, found = taken(old(), found_map=before, adopt_drop=["backend.learning"])
    assert found.adopted["settings"] == {"enableNFTables": True, "vni": 7, "mtu": 1400, "directRouting": True}
    assert decision.action == "upgrade"
    with pytest.raises(ConflictError, match="VNI 7 -> 1"):
        taken(old(), found_map=before, adopt_values="drop", adopt_drop=["backend.learning"])
    key = config_map({**CONFIG, "Backend": {"Type": "wireguard", "PSK": "A" * 43 + "="}})
    mine = config_map({**CONFIG, "Backend": {"Type": "wireguard"}})
    assert values.compare(old(), key, [mine, rendered()]) == []


def test_the_cni_configuration_is_kept_where_it_is_a_list() -> None:
    other = {"name": "cbr1", "cniVersion": "0.3.1", "plugins": [{"type": "flannel"}]}
    found = taken(old(), found_map=config_map(cni=other))[1]
    assert json.loads(found.adopted["settings"]["cniConf"]) == other
    single = taken(old(), found_map=config_map(cni={"name": "cbr0", "type": "flannel"}))[1]
    assert [entry["becomes"] for entry in single.entries()] == ["dropped"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (in_daemon(args=["--etcd-endpoints=http://198.18.0.1:2379"]), "--kube-subnet-mgr = leases in etcd"),
        (
            in_daemon(command=["/bin/sh", "-c"], args=["exec flanneld --kube-subnet-mgr --ip-masq"]),
            "command = /bin/sh -c",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused(change: Callable[[Obj], Any], text: str) -> None:
    with pytest.raises(ConflictError, match=text):
        taken(old(change))


def test_a_chart_keeps_what_it_has_a_value_for() -> None:
    item = old(lambda each: [flags("--iface=eth1")(each), env("KUBERNETES_SERVICE_HOST", "198.18.0.10")(each)])
    with pytest.raises(ConflictError, match=r"env\.KUBERNETES_SERVICE_HOST"):
        taken(item, method="helm")
    item["metadata"]["annotations"]["meta.helm.sh/release-name"] = "net"
    decision, found = taken(item, method="helm")
    assert decision.action == "upgrade"
    assert [entry["text"] for entry in found.entries()] == ["--iface = eth1 (flannel_args): kept"]


def test_architectures_are_no_choice_of_nodes_where_each_has_a_daemonset() -> None:
    def one(name: str) -> Obj:
        item = old(in_pod(nodeSelector={"kubernetes.io/arch": name, "kubernetes.io/os": "linux"}))
        item["metadata"]["name"] = f"flannel-{name}"
        return item

    wanted = [config_map(), rendered()]
    both = takeover.foreign_values([one("amd64"), one("arm64")], config_map(), wanted, "podnet.cni")
    assert both == []
    single = takeover.foreign_values([one("amd64")], config_map(), wanted, "podnet.cni")
    assert [(item.name, item.was) for item in single] == [("nodeSelector", {"kubernetes.io/arch": "amd64"})]
    other = one("arm64")
    flags("--iface=eth9")(other)
    several = takeover.foreign_values([one("amd64"), other], config_map(), wanted, "podnet.cni")
    with pytest.raises(ConflictError, match="--iface = eth9"):
        takeover.refuse_loss(takeover.settle(several, adopt="keep", drop=(), chart=False, anew=True), "x", ())


def test_pods_without_a_daemonset_tell_what_it_had() -> None:
    spec = pod(old(flags("--iface=eth1")))
    spec["volumes"].append({"name": "kube-api-access-x", "projected": {}})
    spec["containers"][0]["volumeMounts"].append(
        {"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    )
    spec["tolerations"].append({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"})
    spec.update(nodeName="n1", priority=2000001000, preemptionPolicy="PreemptLowerPriority", enableServiceLinks=True)
    spec["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}
    found = values.compare(values.from_pod({"spec": spec}), config_map(), [config_map(), rendered()])
    assert [(item.name, item.was) for item in found] == [("--iface", "eth1")]


def test_secrets_are_not_shown() -> None:
    found = taken(old(env("ETCD_PASSWORD", "hunter2")))[1]
    assert "hunter2" not in json.dumps(found.entries())


def test_what_counts_as_a_default_is_the_roles() -> None:
    defaults = yaml.safe_load((ROOT / "roles/flannel/defaults/main.yml").read_text())
    assert defaults["flannel_args"] == list(values.ARGS)
    assert defaults["flannel_resources"] == values.RESOURCES
    assert defaults["flannel_update_strategy"] == values.UPDATE_STRATEGY
    assert defaults["flannel_cni_conf"] == values.CNI_CONF
    assert str(defaults["flannel_health_port"]) == values.HEALTH_PORT
    directories = [defaults["flannel_cni_bin_dir"], defaults["flannel_cni_conf_dir"]]
    assert directories == list(values.DIRECTORIES.values())
    assert defaults["flannel_node_selector"] == {}
    specs = yaml.safe_load((ROOT / "roles/flannel/meta/argument_specs.yml").read_text())
    named = {*values._OPTION_VARIABLES.values(), *(variable for _change, _name, _traffic, variable in CASES.values())}
    assert named <= set(specs["argument_specs"]["main"]["options"])
