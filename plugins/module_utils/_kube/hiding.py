# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps secrets in objects out of what is shown: the values of Secrets, and preshared keys in ConfigMaps.

Private to podnet.cni: may change in any release.

A network's preshared keys can be in its config, a JSON text in a ConfigMap; kubectl keeps a copy of the whole object
in an annotation (https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/).
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Mapping, Sequence

SECRET_KEYS = frozenset(("psk", "accesskeysecret"))
"""In lower case, the keys whose values are secrets in a JSON text that a ConfigMap holds."""

_MAPS = ("data", "stringData")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# In JSON, in JSON that is a text of another JSON, and in what is not quite JSON.
_LONG_NUMBER = 10**7
_KEY = re.compile(r"""psk\\*"\s*:\s*\\*"([^"\\]+)""", re.IGNORECASE)


def secrets(definitions: Sequence[Any]) -> set[str]:
    """The secrets in a list of objects, whatever else is wrong with the list."""
    found = set()
    for item in definitions:
        if not isinstance(item, Mapping):
            continue
        found |= secrets(item["items"] if isinstance(item.get("items"), list) else [])
        for name in _MAPS:
            values = item.get(name)
            if item.get("kind") == "Secret" and isinstance(values, Mapping):
                found |= {str(value) for value in values.values() if value}
            elif item.get("kind") == "ConfigMap" and isinstance(values, Mapping):
                found |= config_secrets(values)
    return found


def config_secrets(data: Mapping[str, Any]) -> set[str]:
    """The preshared keys in the texts of a ConfigMap."""
    found: set[str] = set()
    for text in data.values():
        if not isinstance(text, str):
            continue
        found.update(_KEY.findall(text))
        try:
            found.update(_secret_values(json.loads(text)))
        except (ValueError, RecursionError):
            continue
    return found


def _secret_values(document: Any) -> set[str]:
    """The values of secret keys, however deep. A short number is none: hiding it would make the rest unreadable."""
    if isinstance(document, list):
        return set().union(*map(_secret_values, document))
    found: set[str] = set()
    for key, value in document.items() if isinstance(document, dict) else ():
        if key.lower() in SECRET_KEYS and (value if isinstance(value, str) else _is_long_number(value)):
            found.add(str(value))
        found |= _secret_values(value)
    return found


def _is_long_number(value: Any) -> bool:
    return isinstance(value, int) and value >= _LONG_NUMBER


def masked_config(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data of a ConfigMap, or its annotations, with hashes instead of preshared keys."""
    return {key: _masked(text) if isinstance(text, str) else text for key, text in data.items()}


def masked(item: Mapping[str, Any]) -> dict[str, Any]:
    """An object with hashes instead of secrets."""
    shown = dict(item)
    kind, metadata = item.get("kind"), item.get("metadata")
    notes = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    if kind == "Secret":
        for name in _MAPS:
            if isinstance(item.get(name), Mapping):
                shown[name] = {key: _hash(str(value)) for key, value in item[name].items()}
    elif kind == "ConfigMap" and isinstance(item.get("data"), Mapping):
        shown["data"] = masked_config(item["data"])
    if kind in ("Secret", "ConfigMap") and isinstance(metadata, Mapping) and isinstance(notes, Mapping):
        hidden = masked_config(notes)
        if kind == "Secret" and _LAST_APPLIED in hidden:
            hidden[_LAST_APPLIED] = _hash(str(notes[_LAST_APPLIED]))
        shown["metadata"] = {**metadata, "annotations": hidden}
    return shown


def _masked(text: str) -> str:
    for secret in sorted(config_secrets({"": text}), key=len, reverse=True):
        # As it is, and as JSON writes it.
        for form in (secret, json.dumps(secret)[1:-1]):
            text = text.replace(form, _hash(secret))
    return text


def _hash(value: str) -> str:
    return "sha256:" + hashlib.sha256(value.encode()).hexdigest()[:12]
