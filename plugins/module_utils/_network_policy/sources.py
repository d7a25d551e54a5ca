# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the objects come from: a cluster or manifests.

Private to podnet.cni: may change in any release.

Pods, Namespaces and NetworkPolicies have to be readable. Everything else only makes the report richer; what is refused
is named and left out.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from importlib import import_module
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, NotFound
from ansible_collections.podnet.cni.plugins.module_utils._network_policy import report
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.model import Address
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.parse import (
    ApiServer,
    Inventory,
    Source,
    Unreadable,
    inventory,
)
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.parse_admin import KINDS as ADMIN_KINDS
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.profile import Profile

_ADMIN = "/apis/policy.networking.k8s.io"
_SUFFIXES = (".yaml", ".yml", ".json")
_DOCUMENT = re.compile(r"^---(?=\s|$)", re.MULTILINE)


class _Collection(NamedTuple):
    group: str
    kind: str
    path: str
    loss: str  # what the report lacks without it, empty for what has to be readable
    query: tuple[tuple[str, str], ...] = ()
    metadata_only: bool = False


_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_WEBHOOKS = "webhooks are not looked at"

_ADDRESSES = "addresses of the overlay and of bridges are not known, nodes are judged by their own address"

COLLECTIONS: Sequence[_Collection] = (
    _Collection("", "Namespace", "/api/v1/namespaces", "", metadata_only=True),
    _Collection("", "Pod", "/api/v1/pods", ""),
    _Collection("networking.k8s.io", "NetworkPolicy", "/apis/networking.k8s.io/v1/networkpolicies", ""),
    _Collection(
        "",
        "Node",
        "/api/v1/nodes",
        _ADDRESSES,
    ),
    _Collection("", "Service", "/api/v1/services", "webhooks and blocks on addresses of Services are not looked at"),
    _Collection(
        "discovery.k8s.io",
        "EndpointSlice",
        "/apis/discovery.k8s.io/v1/endpointslices",
        "connections to Services are not judged",
    ),
    _Collection(
        "admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration",
        f"{_ADMISSION}/validatingwebhookconfigurations",
        _WEBHOOKS,
    ),
    _Collection(
        "admissionregistration.k8s.io",
        "MutatingWebhookConfiguration",
        f"{_ADMISSION}/mutatingwebhookconfigurations",
        _WEBHOOKS,
    ),
    _Collection(
        "apiregistration.k8s.io",
        "APIService",
        "/apis/apiregistration.k8s.io/v1/apiservices",
        "aggregated APIs are not looked at",
    ),
    _Collection(
        "policy.networking.k8s.io",
        "AdminNetworkPolicy",
        f"{_ADMIN}/v1alpha1/adminnetworkpolicies",
        "policies of policy.networking.k8s.io are not looked at",
    ),
    _Collection(
        "policy.networking.k8s.io",
        "BaselineAdminNetworkPolicy",
        f"{_ADMIN}/v1alpha1/baselineadminnetworkpolicies",
        "policies of policy.networking.k8s.io are not looked at",
    ),
    _Collection(
        "policy.networking.k8s.io",
        "ClusterNetworkPolicy",
        f"{_ADMIN}/v1alpha2/clusternetworkpolicies",
        "policies of policy.networking.k8s.io are not looked at",
    ),
)


def run(options: Mapping[str, Any]) -> dict[str, Any]:
    """The report for the options of the module. Raises PodnetError."""
    profile = Profile.parse(options["sidecar_version"])
    servers = [_api_server(text) for text in options["api_servers"]]
    unknown: list[str] = []
    if options["src"]:
        found = from_files(options["src"])
    else:
        with KubeClient.from_options(options) as client:
            found = from_cluster(client, unknown)
    if servers:
        found.api_servers = servers
    if options["direct_routing"]:
        found.nodes = {name: replace(node, direct_routing=True) for name, node in found.nodes.items()}
    return report.build(found, profile, flows=options["flows"], namespaces=options["namespaces"], unknown=unknown)


def _api_server(text: str) -> ApiServer:
    """From an address, or an address and a port (in brackets for IPv6)."""
    host, port = text, "6443"
    match = re.match(r"^\[([^\]]+)\]:(\d+)$|^([^:]+):(\d+)$", text)
    if match is not None:
        host, port = match.group(1) or match.group(3), match.group(2) or match.group(4)
    try:
        parsed = ApiServer(Address.parse(host), int(port))
    except ValueError:
        raise InputError(
            f"api_servers: {text!r} is not an address. Write 192.0.2.1:6443 or [2001:db8::1]:6443."
        ) from None
    if not 1 <= parsed.port <= 65535:
        raise InputError(f"api_servers: {text!r} has a port outside of 1 to 65535.")
    return parsed


def from_cluster(client: KubeClient, unknown: list[str]) -> Inventory:
    """Read a cluster. What may be refused and is refused is added to C(unknown)."""
    sources: list[Source] = []
    hidden: list[str] = []
    for each in COLLECTIONS:
        try:
            listing = client.list(each.path, dict(each.query), metadata_only=each.metadata_only)
        except NotFound:
            if not each.loss:
                raise
            continue
        except Forbidden as error:
            if not each.loss:
                raise
            if not any(note.startswith(each.loss) for note in unknown) and _served(client, each.group):
                unknown.append(f"{each.loss}: {error}")
                hidden.append(each.kind)
            if each.kind == "EndpointSlice":
                sources += _api_server_slices(client, unknown)
            continue
        sources += [Source(each.group, each.kind, item, client.target.label) for item in listing.items]
    found = inventory(sources)
    if any(kind in ADMIN_KINDS for kind in hidden):
        # One note stands for all kinds of the group.
        found.hidden = frozenset(ADMIN_KINDS)
    return found


def _api_server_slices(client: KubeClient, unknown: list[str]) -> list[Source]:
    """The API server's own slices, for users who may not list those of all namespaces."""
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    try:
        items = client.list(path, {"labelSelector": "kubernetes.io/service-name=kubernetes"}).items
    except Forbidden as error:
        unknown.append(f"the API server's addresses are not known: {error}")
        return []
    return [Source("discovery.k8s.io", "EndpointSlice", item, client.target.label) for item in items]


def _served(client: KubeClient, group: str) -> bool:
    """Whether the server has the API group; to the unprivileged it says forbidden even where there is none."""
    try:
        client.get(f"/apis/{group}" if group else "/api/v1")
    except NotFound:
        return False
    except Forbidden:
        pass
    return True


def from_files(paths: Sequence[str]) -> Inventory:
    """Read manifests. A document that cannot be read is named in the inventory; a missing path raises InputError."""
    sources: list[Source] = []
    broken: list[Unreadable] = []
    for path in paths:
        for name in _files(path):
            for where, document in _documents(name, broken):
                sources += _objects(document, where)
    found = inventory(sources)
    found.unreadable[:0] = broken
    return found


def _files(path: str) -> list[str]:
    path = os.path.expanduser(path)
    if os.path.isfile(path):
        return [path]
    if not os.path.isdir(path):
        raise InputError(f"src: there is no file and no directory {path}.")
    found = [
        os.path.join(directory, name)
        for directory, _directories, names in os.walk(path)
        for name in names
        if name.endswith(_SUFFIXES)
    ]
    if not found:
        raise InputError(f"src: directory {path} has no file that ends in {', '.join(_SUFFIXES)}.")
    return sorted(found)


def _documents(path: str, broken: list[Unreadable]) -> Iterator[tuple[str, Any]]:
    """Documents of a file with their place. Each is parsed alone, so that a broken one does not hide the others."""
    try:
        with open(path, encoding="utf-8") as handle:
            text = handle.read()
    except OSError as error:
        raise InputError(f"src: {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        broken.append(Unreadable(path, "the file is not UTF-8 text", True))
        return
    try:
        # Whatever kubectl writes as JSON is read many times faster this way.
        document = json.loads(text)
    except ValueError:
        pass
    else:
        yield path, document
        return
    yaml = _yaml()
    for number, part in enumerate(_DOCUMENT.split(text)):
        where = f"{path} document {number}" if number else path
        if all(not line.strip() or line.startswith(("#", "%", "...")) for line in part.splitlines()):
            continue
        try:
            document = yaml.load(part, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (yaml.YAMLError, ValueError) as error:
            mark = getattr(error, "problem_mark", None)
            line = f" in its line {mark.line + 1}" if mark is not None else ""
            broken.append(Unreadable(where, f"this is not valid YAML{line}", True))
        else:
            yield where, document


def _yaml() -> Any:
    try:
        return import_module("yaml")
    except ImportError as error:
        raise InputError(
            f"src: reading YAML needs the Python package PyYAML ({error}). "
            "Install it for the Python that runs this task, or give JSON."
        ) from error


def _objects(document: Any, where: str) -> Iterator[Source]:
    """The objects of a document; lists are taken apart."""
    if isinstance(document, list):
        for item in document:
            yield from _objects(item, where)
        return
    if not isinstance(document, Mapping):
        return
    version, kind = str(document.get("apiVersion") or ""), str(document.get("kind") or "")
    items = document.get("items")
    if kind.endswith("List") and isinstance(items, list):
        for item in items:
            if isinstance(item, Mapping):
                # Items of a typed list need not repeat what the list says.
                inherited = {} if kind == "List" else {"apiVersion": version, "kind": kind[: -len("List")]}
                yield from _objects({**inherited, **item}, where)
        return
    yield Source(version.rpartition("/")[0], kind, document, where)
