# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects of a cluster brought to a wanted state, in order: server-side apply, judged by a dry run.

Private to podnet.cni: may change in any release.

What the server does with an apply patch is https://kubernetes.io/docs/reference/using-api/server-side-apply/.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import crds, fields, hiding, order
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import NotFound

FIELD_MANAGER = "podnet.cni"
NAMESPACE = "Namespace"
_NOISE = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")
GIVEN = "given"
START = "start"
ORDERS = (GIVEN, START)


@dataclass(frozen=True)
class Identity:
    """Which object: API version, kind, namespace (empty for cluster-wide ones) and name."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace + '/' if self.namespace else ''}{self.name}"


@dataclass
class Step:
    """What is to be done about one object: create, update, adopt, delete or nothing.

    adopt means that the object is as wanted, but the server does not know yet that the fields are ours.
    """

    identity: Identity
    action: str
    path: str = ""
    wanted: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, str]:
        """As the module returns it."""
        identity = self.identity
        return {
            "api_version": identity.api_version,
            "kind": identity.kind,
            "namespace": identity.namespace,
            "name": identity.name,
            "action": self.action or "none",
        }


class Resources:
    """Where the server keeps objects of a kind, asked once for each API version."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._known: dict[str, dict[str, tuple[str, bool]]] = {}

    def path(self, identity: Identity) -> str | None:
        """Path of an object, None when the server does not serve its kind. Raises InputError for a wrong namespace."""
        found = self._kinds(identity.api_version).get(identity.kind)
        if found is None:
            return None
        plural, namespaced = found
        if namespaced != bool(identity.namespace):
            remedy = "give metadata.namespace" if namespaced else "leave metadata.namespace out"
            raise InputError(f"{identity}: {remedy}.")
        parts = [_root(identity.api_version)]
        parts += ["namespaces", identity.namespace] if namespaced else []
        return "/".join([*parts, plural, identity.name])

    def forget(self) -> None:
        """Ask again, because a CustomResourceDefinition was made."""
        self._known.clear()

    def _kinds(self, api_version: str) -> dict[str, tuple[str, bool]]:
        if api_version not in self._known:
            try:
                listed = self._client.get(_root(api_version)).get("resources") or []
            except NotFound:
                listed = []
            self._known[api_version] = {
                str(item.get("kind")): (str(item.get("name")), bool(item.get("namespaced")))
                for item in listed
                if "/" not in str(item.get("name"))
            }
        return self._known[api_version]


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def served(client: KubeClient, groups: Iterable[str]) -> dict[str, list[str]]:
    """Names of the resources that the server serves, by API version, for API groups; the core group is empty."""
    wanted = list(groups)
    versions = ["v1"] if "" in wanted else []
    for group in client.get("/apis").get("groups") or []:
        if group.get("name") in wanted:
            versions += [str(version.get("groupVersion")) for version in group.get("versions") or []]
    found = {}
    for version in versions:
        names = {str(item.get("name")) for item in client.get(_root(version)).get("resources") or []}
        found[version] = sorted(name for name in names if "/" not in name)
    return found


def identify(definitions: Sequence[Any]) -> list[tuple[Identity, Mapping[str, Any]]]:
    """The objects of a list, lists in it taken apart and empty documents left out. Raises InputError."""
    found: list[tuple[Identity, Mapping[str, Any]]] = []
    for index, item in enumerate(definitions):
        if item is None:
            continue
        where = f"definitions[{index}]"
        if not isinstance(item, Mapping):
            raise InputError(f"{where} is {type(item).__name__}: give a dictionary with apiVersion, kind and metadata.")
        if str(item.get("kind") or "").endswith("List") and isinstance(item.get("items"), list):
            found += identify(item["items"])
            continue
        metadata = item.get("metadata")
        for name, value in (
            ("apiVersion", item.get("apiVersion")),
            ("kind", item.get("kind")),
            ("metadata.name", metadata.get("name") if isinstance(metadata, Mapping) else None),
        ):
            if not isinstance(value, str) or not value:
                raise InputError(f"{where} has no {name}: every object needs one.")
        metadata = dict(item["metadata"])
        namespace = str(metadata.get("namespace") or "")
        found.append((Identity(str(item["apiVersion"]), str(item["kind"]), namespace, str(metadata["name"])), item))
    names = [identity for identity, _item in found]
    twice = sorted({str(identity) for identity in names if names.count(identity) > 1})
    if twice:
        raise InputError(f"{twice[0]} is in the list twice: keep one.")
    return found


def without_noise(item: Mapping[str, Any]) -> dict[str, Any]:
    """An object without what the server adds to it."""
    kept = {key: value for key, value in item.items() if key != "status"}
    kept["metadata"] = {key: value for key, value in (item.get("metadata") or {}).items() if key not in _NOISE}
    return kept


def shown(item: Mapping[str, Any]) -> dict[str, Any]:
    """An object as a diff shows it: without noise, and with hashes instead of secrets."""
    return hiding.masked(without_noise(item))


def _owned(item: Mapping[str, Any]) -> Any:
    """The fields that are ours, as the server records them."""
    for entry in fields.sequence(item, "metadata", "managedFields"):
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply":
            return entry.get("fieldsV1")
    return None


def ordered(definitions: Sequence[Any], how: str) -> list[tuple[Identity, Mapping[str, Any]]]:
    """The objects of a list, in their own order or, for C(start), in the one to start them. Raises InputError."""
    found = identify(definitions)
    return sorted(found, key=lambda pair: order.phase(pair[0].kind)) if how == START else found


def check_label(definitions: Sequence[Any], label: str) -> None:
    """Raise InputError for a Namespace of a list that does not carry the label it is to be known by."""
    for identity, item in identify(definitions):
        if identity.kind == NAMESPACE and not _labels(item).get(label):
            raise InputError(f"{identity} has no label {label}, which namespace_label names: put it on.")


def _foreign(item: Mapping[str, Any], live: Mapping[str, Any] | None, label: str) -> bool:
    """Whether an object of a list is a Namespace that somebody else made: it lacks the label we would have put on."""
    if not label or live is None or item.get("kind") != NAMESPACE:
        return False
    return bool(_labels(live).get(label) != _labels(item).get(label))


def _labels(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return fields.mapping(item, "metadata", "labels")


def plan_present(client: KubeClient, definitions: Sequence[Any], how: str = GIVEN, label: str = "") -> list[Step]:
    """Compare every object with what a dry run makes of it.

    An object whose namespace or kind an earlier one of the list makes cannot be tried; it is going to be created.
    With C(label), a Namespace that is there without it is left as it is. Raises InputError and KubeError, for an object
    that the server would refuse.
    """
    resources = Resources(client)
    made: set[tuple[str, str]] = set()
    steps = []
    for identity, item in ordered(definitions, how):
        path = resources.path(identity)
        group = identity.api_version.split("/", maxsplit=1)[0]
        if path is None:
            if (group, identity.kind) not in made:
                raise InputError(
                    f"{identity}: the server has no kind {identity.kind} in {identity.api_version}. Put its "
                    "CustomResourceDefinition before it (order=start does), or use a version that the server has."
                )
            steps.append(Step(identity, "create", wanted=item, after=item))
        else:
            may_lack = (NAMESPACE, identity.namespace) in made
            steps.append(_compare(client, identity, path, item, may_lack=may_lack, label=label))
        made.add(_made(identity, item))
    return steps


def _made(identity: Identity, item: Mapping[str, Any]) -> tuple[str, str]:
    """What an object defines for others: group and kind of a CustomResourceDefinition, or a namespace."""
    if identity.kind != crds.KIND:
        return identity.kind, identity.name
    spec = item.get("spec") or {}
    return str(spec.get("group")), str(fields.at(spec, "names", "kind"))


def _compare(
    client: KubeClient, identity: Identity, path: str, item: Mapping[str, Any], *, may_lack: bool, label: str
) -> Step:
    live = find(client, path)
    if _foreign(item, live, label):
        return Step(identity, "", path, item, live or {}, live or {})
    try:
        after = client.patch(path, dict(item), "apply", field_manager=FIELD_MANAGER, force=True, dry_run=True)
    except NotFound as error:
        if not may_lack:
            raise InputError(
                f"{identity} cannot be applied: {error} A namespace that the list makes has to stand before what is in "
                "it (order=start does that)."
            ) from None
        return Step(identity, "create", path, item, {}, item)
    if live is None:
        return Step(identity, "create", path, item, {}, after)
    if without_noise(live) != without_noise(after):
        return Step(identity, "update", path, item, live, after)
    return Step(identity, "" if _owned(live) == _owned(after) else "adopt", path, item, live, after)


def plan_absent(client: KubeClient, definitions: Sequence[Any], how: str = GIVEN, label: str = "") -> list[Step]:
    """Which objects of the list there are, in the order to delete them: the last one first. Raises InputError.

    With C(label), a Namespace that is there without it is not deleted.
    """
    resources = Resources(client)
    steps = []
    for identity, item in reversed(ordered(definitions, how)):
        path = resources.path(identity)
        live = find(client, path) if path else None
        if _foreign(item, live, label):
            live = None
        steps.append(Step(identity, "" if live is None or ending(live) else "delete", path or "", {}, live or {}))
    return steps


def ending(item: Mapping[str, Any]) -> bool:
    """Whether an object is being deleted already, which only its finalizers and contents still hold up."""
    return bool(fields.at(item, "metadata", "deletionTimestamp"))


def find(client: KubeClient, path: str) -> dict[str, Any] | None:
    """The object at a path, None when there is none."""
    try:
        return client.get(path)
    except NotFound:
        return None
