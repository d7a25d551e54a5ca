# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a flannel of somebody else has that the role's own would not have: comparisons, no requests.

Private to podnet.cni: may change in any release.

Facts: flannel v0.28.9 pkg/config, main.go (flags, each also as FLANNELD_*), Documentation/kube-flannel.yml, chart
kube-flannel; defaults that the API server fills in: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._adoption.flannel import settings
from ansible_collections.podnet.cni.plugins.module_utils._discovery import objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.recognisers.flannel import is_flanneld
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import loose_config
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

Obj = Mapping[str, Any]
CONTAINER = "kube-flannel"
PATCH = "flannel_daemonset_patch"

# What the role's manifest has where its variables are left alone; a test compares them with the role's defaults.
ARGS = ("--ip-masq", "--kube-subnet-mgr")
RESOURCES = {"requests": {"cpu": "100m", "memory": "50Mi"}}
UPDATE_STRATEGY = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}
DIRECTORIES = {"/opt/cni/bin": "/opt/cni/bin", "/etc/cni/net.d": "/etc/cni/net.d"}
HEALTH_PORT = "8081"
CNI_CONF: Mapping[str, Any] = {
    "name": "cbr0",
    "cniVersion": "0.3.1",
    "plugins": [
        {"type": "flannel", "delegate": {"hairpinMode": True, "isDefaultGateway": True}},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}

_DIRECTORY_OPTIONS = {
    "/opt/cni/bin": ("cniBinDir", "flannel_cni_bin_dir"),
    "/etc/cni/net.d": ("cniConfDir", "flannel_cni_conf_dir"),
}
_OPTION_VARIABLES = {
    "vni": "flannel_vni",
    "backendPort": "flannel_backend_port",
    "backendPortv6": "flannel_backend_port_v6",
    "mtu": "flannel_mtu",
    "GBP": "flannel_gbp",
    "directRouting": "flannel_direct_routing",
    "macPrefix": "flannel_mac_prefix",
    "tunnelMode": "flannel_tunnel_mode",
    "keepaliveInterval": "flannel_keepalive_interval",
}
# Flags that only matter to how flanneld logs, reports its health or repeats its rules.
_QUIET_FLAGS = (
    *("v", "vmodule", "log_backtrace_at", "logtostderr", "stderrthreshold", "version"),
    *("healthz-ip", "healthz-port", "iptables-resync", "subnet-lease-renew-margin"),
)
_SWITCHES = {
    "ip-masq": False,
    "kube-subnet-mgr": False,
    "ip-masq-fully-random-disable": False,
    "iptables-forward-rules": True,
    "ip-blackhole-route": False,
    "set-node-network-unavailable": True,
    "logtostderr": True,
    "version": False,
}
_INSTALLERS = ("install-cni", "install-cni-plugin", "install-cni-plugins")
_SIDECARS = ("kube-network-policies",)
_ADDRESSES = ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")
_SECRET = ("password", "secret", "token", "key", "psk")
_STANDARD_MOUNTS = ("/run", "/run/flannel", "/etc/cni/net.d", "/opt/cni/bin", "/etc/kube-flannel", "/run/xtables.lock")
_TARGETS = ("kubernetes.io/os", "beta.kubernetes.io/os")
_ARCHITECTURES = ("kubernetes.io/arch", "beta.kubernetes.io/arch")
_POD_DEFAULTS: Mapping[str, Any] = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
    "securityContext": {},
    "hostNetwork": True,
}
_POD_ELSEWHERE = (
    *("containers", "initContainers", "volumes", "nodeSelector", "affinity", "tolerations", "imagePullSecrets"),
    *("serviceAccountName", "serviceAccount", "nodeName"),
)
_CONTAINER_ELSEWHERE = (
    *("name", "image", "command", "args", "env", "resources", "volumeMounts", "securityContext", "imagePullPolicy"),
    *("terminationMessagePath", "terminationMessagePolicy", "livenessProbe", "readinessProbe", "ports"),
)
# Notes of the programs that write objects; they mean nothing in an object of another writer.
_BOOKKEEPING = (
    *("kubectl.kubernetes.io/", "deprecated.daemonset.template.generation", "meta.helm.sh/", "helm.sh/", "podnet.cni/"),
    *("app.kubernetes.io/managed-by", "checksum/", "scheduler.alpha.kubernetes.io/critical-pod"),
)


@dataclass(frozen=True)
class Value:
    """Something of the old installation that the new one would not have.

    C(name) is what C(flannel_adopt_drop) calls it, C(was) its value, C(variable) what sets it in the role. C(traffic)
    says that packets go another way, or nodes are not reached, without it. C(chosen) says that the variable was set to
    something else. C(values) keep it by the chart's names, C(patch) is merged into the DaemonSet; without either it
    cannot be kept.
    """

    name: str
    was: Any
    variable: str
    traffic: bool = False
    chosen: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)
    patch: Mapping[str, Any] = field(default_factory=dict)


def compare(old: Obj, old_map: Obj | None, wanted: Sequence[Obj], several: bool = False) -> list[Value]:
    """What the wanted objects lack of a DaemonSet and its ConfigMap; C(several) says that others share it."""
    new = next((item for item in wanted if item.get("kind") == "DaemonSet"), None)
    daemon = next((item for item in objects.containers(old) if is_flanneld(item)), None)
    if new is None or daemon is None:
        return []
    ours = next(item for item in objects.containers(new) if item.get("name") == CONTAINER)
    there, here = fields.mapping(old, "spec", "template", "spec"), fields.mapping(new, "spec", "template", "spec")
    found = [
        *_arguments(daemon, ours),
        *_environment(daemon, ours),
        *_node_choice(there, here, several),
        *_plain(there, here, daemon, ours),
        *_rest_of_container(daemon, ours),
        *_rest_of_pod(there, here),
        *_other_containers(there, here, daemon),
        *_mounts(there, here, daemon, ours),
        *_directories(there, here),
        *_metadata(old, new),
    ]
    config = next((item for item in wanted if item.get("kind") == "ConfigMap"), {})
    return [*found, *_network(old_map, config), *_cni_conf(old_map, config)]


def from_pod(pod: Obj) -> dict[str, Any]:
    """A DaemonSet as its pod tells it, without what the API server and the controllers add to a pod."""
    spec = fields.mapping(pod, "spec")
    added = {
        fields.text(volume, "name")
        for volume in fields.sequence(spec, "volumes")
        if fields.text(volume, "name").startswith("kube-api-access-")
    }
    for kind in ("containers", "initContainers"):
        spec[kind] = [
            {**item, "volumeMounts": [each for each in item.get("volumeMounts") or [] if each.get("name") not in added]}
            for item in fields.sequence(spec, kind)
        ]
    spec["volumes"] = [item for item in fields.sequence(spec, "volumes") if item.get("name") not in added]
    spec["tolerations"] = [
        item
        for item in fields.sequence(spec, "tolerations")
        if not str(item.get("key") or "").startswith("node.kubernetes.io/")
    ]
    for name in ("affinity", "priority", "preemptionPolicy", "enableServiceLinks"):
        spec.pop(name, None)
    return {"spec": {"template": {"spec": spec}}}


def _patched(container: Mapping[str, Any]) -> dict[str, Any]:
    return _in_pod({"containers": [{"name": CONTAINER, **container}]})


def _in_pod(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"spec": {"template": {"spec": dict(spec)}}}


def _given(container: Obj) -> dict[str, list[str]]:
    """The flags of flanneld's command line with their values, as its parser takes them."""
    words = objects.arguments(container)
    found: dict[str, list[str]] = {}
    for position, word in enumerate(words):
        if not word.startswith("-") or word in ("-", "--"):
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not equals and name not in _SWITCHES:
            following = words[position + 1] if position + 1 < len(words) else ""
            value = "" if following.startswith("-") else following
        found.setdefault(name, []).append(value.strip("\"'") if equals or name not in _SWITCHES else "true")
    return found


def _on(value: str) -> bool:
    return value.lower() in ("1", "t", "true")


def _arguments(daemon: Obj, ours: Obj) -> Iterator[Value]:
    old, new = _given(daemon), _given(ours)
    mine = [word for word in objects.arguments(ours)[1:] if not word.startswith("--healthz-port")]
    chosen = sorted(mine) != sorted(ARGS)
    by_environment = _on(objects.environment(daemon).get("FLANNELD_KUBE_SUBNET_MGR", ""))
    if not by_environment and not _on((old.get("kube-subnet-mgr") or ["false"])[-1]):
        yield Value("--kube-subnet-mgr", "leases in etcd", "flannel_install_method", traffic=True)
        return
    command = [*(daemon.get("command") or [])]
    if command and command[0].rsplit("/", 1)[-1] != "flanneld":
        yield Value("command", " ".join(map(str, command)), PATCH, traffic=True)
    lost: dict[str, list[str]] = {}
    for name, values in old.items():
        if name.startswith("etcd-") or name in ("healthz-port", "kube-subnet-mgr"):
            continue
        if name in _SWITCHES:
            before, after = _on(values[-1]), _on((new.get(name) or [str(_SWITCHES[name])])[-1])
            if before != after:
                lost[name] = [str(before).lower()]
        elif values != new.get(name):
            lost[name] = values
    masquerades = old.get("ip-masq") or [objects.environment(daemon).get("FLANNELD_IP_MASQ", "false")]
    if not _on(masquerades[-1]) and _on((new.get("ip-masq") or ["false"])[-1]):
        lost["ip-masq"] = ["false"]
    for name, values in lost.items():
        # A flag that the variable names itself is the user's word, unless it is the default.
        taken = chosen and name in new
        yield Value(
            f"--{name}",
            "(not shown)" if _is_secret(name) else values[0] if len(values) == 1 else values,
            "flannel_args",
            traffic=name not in _QUIET_FLAGS,
            chosen=taken,
            values={} if taken else {"args": [f"--{name}={value}" for value in values]},
        )
    port = (old.get("healthz-port") or ["0"])[-1]
    here = (new.get("healthz-port") or ["0"])[-1]
    if port not in ("0", here):
        yield Value("--healthz-port", port, "flannel_health_port", chosen=here != HEALTH_PORT)


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in _SECRET)


def _plainly(env: Any) -> Any:
    """An entry of an environment without what the API server adds to it."""
    found = json.loads(json.dumps(env))
    reference = fields.at(found, "valueFrom", "fieldRef")
    if isinstance(reference, dict):
        reference.pop("apiVersion", None)
    if found.get("value") == "":
        found.pop("value")
    return found


def _environment(daemon: Obj, ours: Obj) -> Iterator[Value]:
    here = {str(item.get("name")): _plainly(item) for item in ours.get("env") or []}
    for item in daemon.get("env") or []:
        name = str(item.get("name"))
        if _plainly(item) == here.get(name):
            continue
        flag = name[len("FLANNELD_") :].lower().replace("_", "-") if name.startswith("FLANNELD_") else ""
        was = item.get("value", item.get("valueFrom"))
        yield Value(
            f"env.{name}",
            "(not shown)" if _is_secret(name) else was,
            PATCH,
            traffic=name in _ADDRESSES or bool(flag and flag not in _QUIET_FLAGS),
            patch=_patched({"env": [{**item, **({"value": None} if "valueFrom" in item else {"valueFrom": None})}]}),
        )


def _node_choice(there: Obj, here: Obj, several: bool) -> Iterator[Value]:
    """Which nodes the pods run on: selector, affinity, tolerations."""
    own = _TARGETS + (_ARCHITECTURES if several else ())
    selector = {key: value for key, value in fields.mapping(there, "nodeSelector").items() if key not in own}
    chosen = fields.mapping(here, "nodeSelector")
    if any(chosen.get(key) != value for key, value in selector.items()):
        yield Value(
            "nodeSelector",
            selector,
            "flannel_node_selector",
            traffic=True,
            chosen=bool(chosen),
            values={"nodeSelector": selector},
        )
    affinity = fields.mapping(there, "affinity")
    if affinity and _says_more(affinity, own) and affinity != fields.mapping(here, "affinity"):
        patch = _in_pod({"affinity": affinity})
        yield Value("affinity", affinity, PATCH, traffic=True, patch=patch)
    tolerated = fields.sequence(here, "tolerations")
    lost = [item for item in fields.sequence(there, "tolerations") if not _tolerated(item, tolerated)]
    if lost:
        # The role's own tolerate everything, so they were set to less.
        yield Value("tolerations", lost, "flannel_tolerations", traffic=True, chosen=True)


def _says_more(affinity: Obj, own: Sequence[str]) -> bool:
    """Whether an affinity says more than which operating systems and architectures the images are for."""
    required = fields.mapping(affinity, "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    rest = {key: value for key, value in affinity.items() if value and key != "nodeAffinity"}
    preferred = fields.sequence(affinity, "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution")
    terms = fields.sequence(required, "nodeSelectorTerms")
    rules = [rule for term in terms for rule in fields.sequence(term, "matchExpressions")]
    by_field = [term for term in terms if fields.sequence(term, "matchFields")]
    return bool(rest or preferred or by_field or any(rule.get("key") not in own for rule in rules))


def _tolerated(wanted: Obj, tolerations: Sequence[Obj]) -> bool:
    effects = [str(wanted.get("effect") or "")]
    if not effects[0]:
        effects = ["NoSchedule", "NoExecute"]
    if effects == ["PreferNoSchedule"]:
        return True
    return all(any(_covers(item, wanted, effect) for item in tolerations) for effect in effects)


def _covers(item: Obj, wanted: Obj, effect: str) -> bool:
    if item.get("effect") not in (None, "", effect):
        return False
    if item.get("tolerationSeconds") is not None and item.get("tolerationSeconds") != wanted.get("tolerationSeconds"):
        return False
    if item.get("operator") == "Exists":
        return not item.get("key") or item.get("key") == wanted.get("key")
    return (item.get("key"), item.get("value")) == (wanted.get("key"), wanted.get("value")) and (
        wanted.get("operator") or "Equal"
    ) == "Equal"


def _plain(there: Obj, here: Obj, daemon: Obj, ours: Obj) -> Iterator[Value]:
    """What has a variable of its own."""
    before, after = fields.mapping(daemon, "resources"), fields.mapping(ours, "resources")
    if any(fields.at(after, kind, key) != value for kind in before for key, value in (before[kind] or {}).items()):
        chosen = after != RESOURCES
        yield Value("resources", before, "flannel_resources", chosen=chosen, values={"resources": before})
    secrets = fields.sequence(there, "imagePullSecrets")
    mine = fields.sequence(here, "imagePullSecrets")
    lost = [item for item in secrets if item not in mine]
    if lost:
        patch = _in_pod({"imagePullSecrets": lost})
        yield Value("imagePullSecrets", lost, "flannel_image_pull_secrets", chosen=bool(mine), patch=patch)


def _rest_of_container(daemon: Obj, ours: Obj) -> Iterator[Value]:
    for name, value in daemon.items():
        if name not in _CONTAINER_ELSEWHERE and value != ours.get(name):
            yield Value(f"{CONTAINER}.{name}", value, PATCH, traffic=name == "envFrom", patch=_patched({name: value}))
    pulled = daemon.get("imagePullPolicy")
    if pulled not in (None, "IfNotPresent", ours.get("imagePullPolicy")) and objects.split_image(
        str(daemon.get("image"))
    )[2] not in ("", "latest"):
        patch = _patched({"imagePullPolicy": pulled})
        yield Value(f"{CONTAINER}.imagePullPolicy", pulled, PATCH, patch=patch)
    before, after = fields.mapping(daemon, "securityContext"), fields.mapping(ours, "securityContext")
    for name, value in before.items():
        if name == "capabilities":
            held = fields.sequence(after, name, "add")
            more = [each for each in fields.sequence(before, name, "add") if each not in held]
            if more:
                patch = _patched({"securityContext": {name: {"add": [*held, *more]}}})
                yield Value("securityContext.capabilities", more, PATCH, patch=patch)
        elif value not in (after.get(name), None, False, {}):
            patch = _patched({"securityContext": {name: value}})
            yield Value(f"securityContext.{name}", value, PATCH, patch=patch)
    for name in ("livenessProbe", "readinessProbe"):
        probe = fields.mapping(daemon, name)
        if probe and ("httpGet" not in probe or name not in ours):
            variable = f"flannel_{'liveness' if name == 'livenessProbe' else 'readiness'}_probe"
            yield Value(f"{CONTAINER}.{name}", probe, variable)


def _rest_of_pod(there: Obj, here: Obj) -> Iterator[Value]:
    for name, value in there.items():
        if name not in _POD_ELSEWHERE and value not in (here.get(name), _POD_DEFAULTS.get(name), None, False):
            yield Value(f"pod.{name}", value, PATCH, patch=_in_pod({name: value}))


def _volumes(pod: Obj) -> dict[str, dict[str, Any]]:
    """What each volume of a pod is, without what the API server adds to it."""
    found = {}
    for volume in fields.sequence(pod, "volumes"):
        source = {key: value for key, value in volume.items() if key != "name"}
        if isinstance(source.get("hostPath"), Mapping):
            source["hostPath"] = {"path": str(source["hostPath"].get("path") or "").rstrip("/") or "/"}
        found[str(volume.get("name"))] = source
    return found


def _carried(names: Sequence[str], there: Obj, here: Obj) -> tuple[list[Any], dict[str, str]]:
    """The volumes that are to be added for those names, and what they are called then."""
    old, new = _volumes(there), _volumes(here)
    added, called = [], {}
    full = {str(item.get("name")): dict(item) for item in fields.sequence(there, "volumes")}
    for name in dict.fromkeys(names):
        same = next((mine for mine, source in new.items() if source == old.get(name)), None)
        called[name] = same or (f"{name}-former" if name in new else name)
        if same is None and name in full:
            added.append({**full[name], "name": called[name]})
    return added, called


def _with_volumes(container: Obj, there: Obj, here: Obj) -> tuple[dict[str, Any], list[Any]]:
    mounts = [dict(item) for item in fields.sequence(container, "volumeMounts")]
    added, called = _carried([str(item.get("name")) for item in mounts], there, here)
    for mount in mounts:
        mount["name"] = called[str(mount.get("name"))]
    return {**container, **({"volumeMounts": mounts} if mounts else {})}, added


def _other_containers(there: Obj, here: Obj, daemon: Obj) -> Iterator[Value]:
    for kind, title in (("containers", "container"), ("initContainers", "initContainer")):
        held = [item.get("name") for item in fields.sequence(here, kind)]
        for item in fields.sequence(there, kind):
            if item == daemon or item.get("name") in (*_INSTALLERS, *_SIDECARS, *held):
                continue
            kept, volumes = _with_volumes(item, there, here)
            patch = _in_pod({kind: [kept], **({"volumes": volumes} if volumes else {})})
            yield Value(f"{title}.{item.get('name')}", item.get("image"), PATCH, patch=patch)


def _mounts(there: Obj, here: Obj, daemon: Obj, ours: Obj) -> Iterator[Value]:
    mine = {str(item.get("mountPath")).rstrip("/") for item in fields.sequence(ours, "volumeMounts")}
    for item in fields.sequence(daemon, "volumeMounts"):
        path = str(item.get("mountPath")).rstrip("/") or "/"
        if path in mine or path in _STANDARD_MOUNTS:
            continue
        container, volumes = _with_volumes({"volumeMounts": [item]}, there, here)
        patch = _in_pod({"containers": [{"name": CONTAINER, **container}], **({"volumes": volumes} if volumes else {})})
        source = _volumes(there).get(str(item.get("name")), {})
        yield Value(f"volumeMount.{path}", source, PATCH, patch=patch)


def _mounted(pod: Obj) -> dict[str, str]:
    """The nodes' directories that the containers of a pod have at the paths of CNI."""
    volumes = _volumes(pod)
    found: dict[str, str] = {}
    for container in [*fields.sequence(pod, "initContainers"), *fields.sequence(pod, "containers")]:
        for mount in fields.sequence(container, "volumeMounts"):
            path = str(mount.get("mountPath")).rstrip("/")
            source = fields.text(volumes.get(str(mount.get("name"))), "hostPath", "path")
            if path in DIRECTORIES and source:
                found.setdefault(path, source)
    return found


def _directories(there: Obj, here: Obj) -> Iterator[Value]:
    old, new = _mounted(there), _mounted(here)
    for path, source in old.items():
        after = new.get(path)
        if after is not None and source != after:
            option, variable = _DIRECTORY_OPTIONS[path]
            chosen = after != DIRECTORIES[path]
            yield Value(option, source, variable, traffic=True, chosen=chosen, values={option: source})


def _metadata(old: Obj, new: Obj) -> Iterator[Value]:
    pairs = (("labels", "label"), ("annotations", "annotation"))
    for kind, title in pairs:
        held = fields.mapping(new, "spec", "template", "metadata", kind)
        selected = fields.mapping(old, "spec", "selector", "matchLabels") if kind == "labels" else {}
        for name, value in fields.mapping(old, "spec", "template", "metadata", kind).items():
            if name not in held and name not in selected and not name.startswith(_BOOKKEEPING):
                patch = {"spec": {"template": {"metadata": {kind: {name: value}}}}}
                yield Value(f"{title}.{name}", value, PATCH, patch=patch)
        for name, value in fields.mapping(old, "metadata", kind).items():
            if name not in fields.mapping(new, "metadata", kind) and not name.startswith(_BOOKKEEPING):
                yield Value(f"daemonset.{title}.{name}", value, PATCH, patch={"metadata": {kind: {name: value}}})
    strategy = fields.mapping(old, "spec", "updateStrategy")
    rolling = fields.mapping(strategy, "rollingUpdate")
    rolling = {key: value for key, value in rolling.items() if not (key == "maxSurge" and value in (0, "0%"))}
    before = {**strategy, **({"rollingUpdate": rolling} if rolling else {})}
    after = fields.mapping(new, "spec", "updateStrategy")
    if strategy and before not in (after, {"type": "RollingUpdate"}):
        # A strategy of another type must not inherit the fields of the role's.
        kept: dict[str, Any] = {"rollingUpdate": None, **before}
        chosen = after != UPDATE_STRATEGY
        yield Value(
            "updateStrategy", before, "flannel_update_strategy", chosen=chosen, patch={"spec": {"updateStrategy": kept}}
        )
    for name, usual in (("minReadySeconds", 0), ("revisionHistoryLimit", 10)):
        value = fields.at(old, "spec", name)
        if value not in (None, usual, fields.at(new, "spec", name)):
            yield Value(f"daemonset.{name}", value, PATCH, patch={"spec": {name: value}})


def _network(old_map: Obj | None, config_map: Obj) -> Iterator[Value]:
    """Options of the backend, where that stays the same; other changes of the network are refused elsewhere."""
    try:
        old = loose_config.read(fields.text(old_map, "data", "net-conf.json"))
        new = loose_config.read(fields.text(config_map, "data", "net-conf.json"))
    except InputError:
        return
    if old.nftables and not new.nftables:
        yield Value("EnableNFTables", True, "flannel_enable_nftables", values={"enableNFTables": True})
    if old.backend != new.backend:
        return
    names = {upstream.lower(): (upstream, name) for name, upstream in settings.OPTIONS.get(old.backend, {}).items()}
    for option, value in old.options.items():
        upstream, name = names.get(option, (option, ""))
        # Registers hide secrets, so a key could not be handed on; a changed key is refused on its own.
        if option == "psk" or value == new.options.get(option) or value in (None, "", 0, False):
            continue
        if not name:
            if option not in new.options:
                yield Value(f"backend.{upstream}", value, "", traffic=True)
            continue
        chosen = option in new.options
        values = {} if chosen else {name: value}
        yield Value(f"backend.{upstream}", value, _OPTION_VARIABLES[name], traffic=True, chosen=chosen, values=values)


def _cni_conf(old_map: Obj | None, config_map: Obj) -> Iterator[Value]:
    text = fields.text(old_map, "data", "cni-conf.json")
    mine = fields.text(config_map, "data", "cni-conf.json")
    try:
        old, new = json.loads(text), json.loads(mine)
    except ValueError:
        return
    if not old or old == new:
        return
    fits = isinstance(old, Mapping) and isinstance(old.get("plugins"), list)
    yield Value(
        "cniConf",
        old,
        "flannel_cni_conf",
        chosen=new != CNI_CONF,
        values={"cniConf": json.dumps(old, indent=2)} if fits else {},
    )
