# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rollout is to change: pod template and ConfigMap; no I/O. Private to podnet.cni: may change in any release."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

CHECKSUM = "podnet.cni/rollout-config"
"""Annotation of the pod template that makes a changed ConfigMap restart the pods."""

ON_DELETE = {"type": "OnDelete", "rollingUpdate": None}


def check(params: Mapping[str, Any]) -> None:
    """Raise InputError for options that contradict each other."""
    if bool(params["config_map"]) != bool(params["config_data"]):
        raise InputError("config_map and config_data belong together: give both or neither.")
    for key, value in (params["config_data"] or {}).items():
        if not isinstance(value, str):
            raise InputError(f"config_data[{key}] is {type(value).__name__}: a ConfigMap holds texts only.")
    for option in ("wave_timeout", "poll"):
        if params[option] <= 0:
            raise InputError(f"{option} is {params[option]:g}: give seconds above 0.")
    if params["until_wave"] < 0:
        raise InputError(f"until_wave is {params['until_wave']}: give the number of a wave, or 0 for all.")
    if params["replace_template"] and not params["template"]:
        raise InputError("replace_template needs template: give the whole pod template.")
    if params["image_pull_timeout"] < 0:
        raise InputError(f"image_pull_timeout is {params['image_pull_timeout']:g}: give 0 or more seconds.")
    if params["soak"] < 0:
        raise InputError(f"soak is {params['soak']:g}: give 0 or more seconds.")


def digest(params: Mapping[str, Any]) -> str:
    """Tells one wish from another."""
    wish = [params["template"], params["config_map"], params["config_data"]]
    wish += [True] if params["replace_template"] else []
    return hashlib.sha256(json.dumps(wish, sort_keys=True).encode()).hexdigest()[:16]


def config_before(config_map: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, Any]:
    """The keys that are going to change, as they are now; None for one that is not there."""
    data = config_map.get("data") or {}
    return {key: data.get(key) for key, value in wanted.items() if data.get(key) != value}


def template_patch(params: Mapping[str, Any], live: Mapping[str, Any], restart: bool) -> dict[str, Any]:
    """The strategic merge patch for the pod template, or all of the new one; empty when there is nothing to change.

    C(restart) tells that the ConfigMap differs and nothing else would restart the pods. A checksum that is there
    already is kept up to date; a whole template gets none, or what applies that template later would remove it.
    """
    patch = json.loads(json.dumps(params["template"] or {}))
    notes = fields.mapping(live["spec"]["template"], "metadata", "annotations")
    kept = CHECKSUM in notes and not params.get("replace_template")
    if params["config_data"] and (restart or kept):
        text = json.dumps(params["config_data"], sort_keys=True)
        metadata = patch.setdefault("metadata", {})
        metadata["annotations"] = {
            **(metadata.get("annotations") or {}),
            CHECKSUM: hashlib.sha256(text.encode()).hexdigest()[:16],
        }
    return dict(patch)
