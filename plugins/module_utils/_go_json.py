# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decode JSON objects the way Go's encoding/json decodes them into a struct.

Private to podnet.cni: may change in any release.

flanneld reads its network config and its leases with encoding/json: member names match a field whatever their case,
the last of several spellings wins, numbers for integer fields must be whole, and ``null`` leaves a plain field alone
(https://pkg.go.dev/encoding/json#Unmarshal). Being laxer than that would accept what flanneld refuses.
"""

from __future__ import annotations

import json
import re
from typing import Any, Iterable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


# Python alone would read NaN and Infinity, too.
_DECODER = json.JSONDecoder(parse_constant=_refuse)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def load_object(text: str, what: str, *, secret: bool = False) -> dict[str, Any]:
    """Return the JSON object in *text*; *what* names it in the error, which quotes no *secret* text."""
    quoted = "" if secret else f" Its text is {text[:200]!r}"
    try:
        value = _DECODER.decode(text)
        if _SURROGATE.search(text):
            value = _with_replacements(value)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is not JSON: {error}.{quoted}") from error
    if not isinstance(value, dict):
        raise InputError(f"{what} must be a JSON object, not {kind_of(value)}.{quoted}")
    return value


def _with_replacements(value: Any) -> Any:
    """Return *value* with U+FFFD for each half of a surrogate pair, which no output could carry; Go does the same."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_with_replacements(item) for item in value]
    if isinstance(value, dict):
        return {_with_replacements(key): _with_replacements(item) for key, item in value.items()}
    return value


def fold(data: Mapping[Any, Any], fields: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split *data* into (members named like one of *fields*, spelled canonically; all other members)."""
    canonical = {field.lower(): field for field in fields}
    known: dict[str, Any] = {}
    other: dict[str, Any] = {}
    for key, value in data.items():
        field = canonical.get(str(key).lower())
        if field is None:
            other[str(key)] = value
        else:
            known[field] = value
    return known, other


def kind_of(value: Any) -> str:
    """Name *value*'s JSON type for a message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an object" if isinstance(value, Mapping) else "a list"


def read_bool(known: Mapping[str, Any], field: str, default: bool, what: str) -> bool:
    """Return the boolean member *field*, *default* when it is absent or null."""
    value = known.get(field)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InputError(f"{what}: {field} must be true or false, not {kind_of(value)} {value!r}")
    return value


def read_int(known: Mapping[str, Any], field: str, default: int, what: str) -> int:
    """Return the whole-number member *field*, *default* when it is absent or null."""
    value = known.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{what}: {field} must be a whole number without quotes, not {kind_of(value)} {value!r}")
    return value


def read_str(known: Mapping[str, Any], field: str, default: str, what: str, *, secret: bool = False) -> str:
    """Return the string member *field*, *default* when it is absent or null; no error quotes a *secret* one."""
    value = known.get(field)
    if value is None:
        return default
    if not isinstance(value, str):
        quoted = "" if secret else f" {value!r}"
        raise InputError(f"{what}: {field} must be a string, not {kind_of(value)}{quoted}")
    return value


def dump(value: Any) -> str:
    """Encode *value* byte for byte as Go's json.Marshal does: compact, UTF-8, with <, > and & escaped."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for character in ("<", ">", "&", "\u2028", "\u2029"):
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
