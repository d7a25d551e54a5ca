# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether objects of a CustomResourceDefinition can be used, and what is missing.

Established alone is not enough: a definition that was established keeps that condition when its names are no longer
accepted (k8s.io/apiextensions-apiserver v0.36 pkg/controller/status/naming_controller.go), and discovery and the paths
of its objects follow the conditions with a delay.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import NotFound, Unreachable

KIND = "CustomResourceDefinition"
COLLECTION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CONDITIONS = ("NamesAccepted", "Established")


def condition_text(item: Mapping[str, Any], name: str, wanted: str = "True") -> str:
    """What keeps a condition of an object from being as wanted, with the API's own words; empty when nothing does."""
    for each in fields.sequence(item, "status", "conditions"):
        if each.get("type") == name:
            if each.get("status") == wanted:
                return ""
            text = f"{name} is {each.get('status')}"
            text += f", reason {each['reason']}" if each.get("reason") else ""
            return text + (f": {each['message']}" if each.get("message") else "")
    return f"the API server has not set the condition {name} yet"


def unaccepted(definition: Mapping[str, Any]) -> str:
    """What the conditions of a definition lack; no I/O."""
    return next(filter(None, (condition_text(definition, name) for name in CONDITIONS)), "")


def unlisted(client: KubeClient, definition: Mapping[str, Any]) -> str:
    """Which version of an established definition the API server does not serve yet. Raises KubeError."""
    spec = definition.get("spec") or {}
    group, plural = str(spec.get("group")), str(fields.at(spec, "names", "plural"))
    for version in spec.get("versions") or []:
        if not version.get("served"):
            continue
        where = f"{group}/{version.get('name')}"
        try:
            listed = client.get(f"/apis/{where}").get("resources") or []
            if plural not in (item.get("name") for item in listed):
                return f"the API server does not list {plural} in {where} yet"
            client.request("GET", f"/apis/{where}/{plural}", query={"limit": 1})
        except NotFound:
            return f"the API server does not serve {plural} in {where} yet"
    return ""


def missing(client: KubeClient, name: str) -> str:
    """What a definition lacks until its objects can be used, empty when nothing.

    A server that does not answer, or not yet, is something that is missing too. Raises other KubeErrors.
    """
    try:
        definition = client.get(f"{COLLECTION}/{name}")
        return unaccepted(definition) or unlisted(client, definition)
    except NotFound:
        return "it does not exist"
    except Unreachable as error:
        return f"it cannot be read: {error}"
