# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module pod_network_backup. Private to podnet.cni: may change in any release."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._backup import collect, directory, objects, restore
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

_UNCHANGED: Mapping[str, Any] = {"changed": False, "actions": [], "diff": [], "rollouts": []}


def run(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The result of the module. Raises PodnetError."""
    if params["state"] == "present":
        return _present(params, check_mode)
    listed, documents = directory.read(params["path"])
    result: dict[str, Any] = {**_UNCHANGED, **_content(listed, documents)}
    if params["state"] == "verified" or not listed.get("cluster_wide"):
        return result
    with KubeClient.from_options(params) as client:
        there = collect.identity(client)
        if listed.get("cluster") and there and listed["cluster"] != there:
            raise ConflictError(
                f"the backup {params['path']} is of another cluster. Give the kubeconfig and context of that one."
            )
        work = restore.Restore(client, documents, dry_run=check_mode)
        work.run()
    rollouts = [{**each, "config_backup": params["path"] if each["config_map"] else ""} for each in work.rollouts]
    changed = {"changed": bool(work.actions), "actions": work.actions, "diff": work.diff}
    return {**result, **changed, "rollouts": rollouts}


def _present(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """A backup that is there is never written over: it holds what was before the first change."""
    path = params["path"]
    if directory.exists(path):
        return {**_UNCHANGED, **_content(*directory.read(path))}
    directory.check_writable(path)
    documents: dict[str, Any] = {}
    about: dict[str, Any] = {"cluster": "", "cluster_wide": bool(params["daemonsets"])}
    if params["daemonsets"]:
        with KubeClient.from_options(params) as client:
            about["cluster"] = collect.identity(client)
            documents = collect.collect(client, params)
    for kind, given in (("nodes", params["node_files"]), ("records", params["records"])):
        for name, content in given.items():
            if not name or "/" in name or name.startswith("."):
                raise InputError(f"{name!r} cannot be the name of a file in a backup.")
            documents[f"{kind}/{name}{'.files' if kind == 'nodes' else ''}.json"] = content
    listed = {**about, "created": "", "files": dict.fromkeys(documents, "")}
    if not check_mode:
        listed = directory.write(path, documents, about)
    return {
        "changed": True,
        "actions": [f"back up {len(documents)} documents to {path}"],
        "diff": {"before": {}, "after": {path: sorted(documents)}},
        "rollouts": [],
        **_content(listed, documents),
    }


def _content(listed: Mapping[str, Any], documents: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "created": listed["created"],
        "documents": sorted(documents),
        "node_files": {
            name[len("nodes/") : -len(".files.json")]: content
            for name, content in documents.items()
            if name.startswith("nodes/") and name.endswith(".files.json")
        },
        "records": {
            name[len("records/") : -len(".json")]: content
            for name, content in documents.items()
            if name.startswith("records/")
        },
    }


def with_config(params: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a rollout, with C(config_data) out of the backup C(config_backup) where that is given.

    Raises InputError for a backup that cannot be used, or that does not hold C(config_map).
    """
    found = dict(params)
    path = params["config_backup"]
    if path:
        place = {"namespace": params["namespace"], "name": params["config_map"] or ""}
        _listed, documents = directory.read(path)
        document = documents.get(objects.file_name({"kind": "ConfigMap", "metadata": place}))
        if document is None:
            raise InputError(f"config_backup: {path} holds no ConfigMap {place['namespace']}/{place['name']}.")
        found["config_data"] = document.get("data") or {}
    return found
