# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decode JSON objects the way Go's encoding/json decodes them into a struct.

Private to podnet.cni: may change in any release.

flanneld reads its network config and its leases with encoding/json: member names match a field whatever their case,
of a member that is given several times the last one wins but every one has to be good, numbers for integer fields must
be whole and fit 64 bits, and C(null) leaves a plain field alone (https://pkg.go.dev/encoding/json#Unmarshal). Being
laxer than that would accept what flanneld refuses.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Dict, Iterable, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


class _Escaped(str):
    """A string that was written with an escape."""

    __slots__ = ()


class _MinusZero(int):
    """The number C(-0), which Go reads into a signed field only."""

    __slots__ = ()


class _Repeated(Dict[str, Any]):
    """An object with a name that stands in it more than once; as a dict it has the last value of each name."""

    def __init__(self, members: Iterable[tuple[str, Any]]) -> None:
        self.members = tuple(members)
        super().__init__(self.members)


class Fields(Dict[str, Any]):
    """Members by the name of their field; C(earlier) has the values that stand before the last one."""

    def __init__(self) -> None:
        super().__init__()
        self.earlier: dict[str, list[Any]] = {}


def _object(members: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    return found if len(found) == len(members) else _Repeated(members)


def _whole(text: str) -> int:
    return _MinusZero() if text == "-0" else int(text)


def _mark(literal: re.Match[str]) -> str:
    return f'{literal.group()[:-1]}{_MARK}"' if "\\" in literal.group() else literal.group()


def _unmark(value: Any) -> Any:
    if isinstance(value, str):
        return _Escaped(value[:-1]) if value.endswith(_MARK) else value
    if isinstance(value, list):
        return [_unmark(item) for item in value]
    if isinstance(value, dict):
        return _object([(str(_unmark(key)), _unmark(item)) for key, item in members(value)])
    return value


# Python alone would read NaN and Infinity, too.
_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=_whole, object_pairs_hook=_object)
# Good JSON has no such character as it stands, so it can mark the strings that are written with an escape.
_MARK = "\0"
_MARKED_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=_whole, object_pairs_hook=_object, strict=False)
_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"')
# encoding/json folds these two into ASCII letters as well (foldRune: the long s and the Kelvin sign).
_FOLDED = {0x017F: "s", 0x212A: "k"}
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")
_INT = (-(2**63), 2**63 - 1)
_UINT = (0, 2**64 - 1)


def load_object(text: str, what: str, *, secret: bool = False) -> dict[str, Any]:
    """Return the JSON object in C(text); C(what) names it in the error, which quotes no C(secret) text."""
    value = load(text, what, secret=secret)
    if not isinstance(value, dict):
        quoted = "" if secret else f" Its text is {text[:200]!r}"
        raise InputError(f"{what} must be a JSON object, not {kind_of(value)}.{quoted}")
    return value


def load(text: str, what: str, *, secret: bool = False) -> Any:
    """Return the JSON value in C(text); C(what) names it in the error, which quotes no C(secret) text."""
    quoted = "" if secret else f" Its text is {text[:200]!r}"
    if text.startswith("\ufeff"):
        raise InputError(
            f"{what} is not JSON for Go's decoder: it starts with a byte order mark (EF BB BF). Write it without one."
            f"{quoted}"
        )
    if not text.strip():
        raise InputError(f"{what} is not JSON: it is empty.{quoted}")
    try:
        value = _DECODER.decode(text)
        if "\\" in text:
            value = _unmark(_MARKED_DECODER.decode(_LITERAL.sub(_mark, text)))
        if _SURROGATE.search(text):
            value = _with_replacements(value)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is not JSON: {error}.{quoted}") from error
    return value


def _with_replacements(value: Any) -> Any:
    """Return C(value) with U+FFFD for each half of a surrogate pair, which no output could carry; Go does the same."""
    if isinstance(value, str):
        return type(value)(value.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    if isinstance(value, list):
        return [_with_replacements(item) for item in value]
    if isinstance(value, dict):
        return _object([(_with_replacements(key), _with_replacements(item)) for key, item in members(value)])
    return value


def raw(value: Any) -> str:
    """Return the text of a string member that Go reads as it stands in the JSON text, without undoing escapes.

    The UnmarshalJSON methods of flannel v0.28.9 pkg/ip and pkg/backend/vxlan do so for addresses, prefixes and MACs.
    Raises ValueError for another type and for a text with an escape.
    """
    if not isinstance(value, str):
        raise ValueError(f"it must be a quoted text, not {kind_of(value)}")
    if isinstance(value, _Escaped):
        raise ValueError("it is written with an escape, which flanneld does not undo here")
    return value


def members(data: Mapping[Any, Any]) -> Iterable[tuple[Any, Any]]:
    """Return the members of C(data) in their order, each as often as it was written."""
    return data.members if isinstance(data, _Repeated) else data.items()


def fold(data: Mapping[Any, Any], fields: Iterable[str]) -> tuple[Fields, dict[str, Any]]:
    """Split C(data) into (members named like one of C(fields), spelled canonically; all other members)."""
    canonical = {field.lower(): field for field in fields}
    known = Fields()
    other: list[tuple[str, Any]] = []
    for key, value in members(data):
        field = canonical.get(str(key).translate(_FOLDED).lower())
        if field is None:
            other.append((str(key), value))
            continue
        if field in known:
            known.earlier.setdefault(field, []).append(known[field])
        known[field] = value
    return known, _object(other)


def every(known: Fields, field: str) -> list[Any]:
    """Return all values of C(field), in their order: Go decodes each of them, and a bad one spoils the rest."""
    return [*known.earlier.get(field, ()), known[field]] if field in known else []


def last(known: Fields, field: str) -> Any:
    """Return the value that stands in a plain C(field) in the end: the last one but C(null), which leaves it alone."""
    return next((value for value in reversed(every(known, field)) if value is not None), None)


def member(data: Any, field: str) -> Any:
    """Return the member of C(data) with a name like C(field), None where there is none or C(data) is not an object."""
    return last(fold(data, (field,))[0], field) if isinstance(data, Mapping) else None


def kind_of(value: Any) -> str:
    """Name C(value)'s JSON type for a message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an object" if isinstance(value, Mapping) else "a list"


def read_bool(known: Fields, field: str, default: bool, what: str) -> bool:
    """Return the boolean member C(field), C(default) when it is absent or null."""
    for value in every(known, field):
        if value is not None and not isinstance(value, bool):
            raise InputError(f"{what}: {field} must be true or false, not {kind_of(value)} {value!r}")
    value = last(known, field)
    return default if value is None else bool(value)


def read_int(known: Fields, field: str, default: int, what: str) -> int:
    """Return the whole-number member C(field), C(default) when it is absent or null."""
    return _read_number(known, field, default, what, _INT)


def read_uint(known: Fields, field: str, default: int, what: str) -> int:
    """Return the member C(field), a whole number without a sign; C(default) when it is absent or null."""
    for value in every(known, field):
        if isinstance(value, int) and (value < 0 or isinstance(value, _MinusZero)):
            raise InputError(f"{what}: {field} {value or '-0'} is negative; write it without a sign, or leave it out")
    return _read_number(known, field, default, what, _UINT)


def _read_number(known: Fields, field: str, default: int, what: str, bounds: tuple[int, int]) -> int:
    low, high = bounds
    for value in every(known, field):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise InputError(f"{what}: {field} must be a whole number without quotes, not {kind_of(value)} {value!r}")
        if value is not None and not low <= value <= high:
            raise InputError(f"{what}: {field} {value} is too large for flanneld; write one from {low} to {high}")
    value = last(known, field)
    return default if value is None else int(value)


def is_uint(value: Any, bits: int) -> bool:
    """Whether Go reads C(value) into an unsigned field of so many C(bits); null leaves it at zero."""
    if value is None:
        return True
    return isinstance(value, int) and not isinstance(value, (bool, _MinusZero)) and 0 <= value < 2**bits


def read_str(known: Fields, field: str, default: str, what: str, *, secret: bool = False) -> str:
    """Return the string member C(field), C(default) when it is absent or null; no error quotes a C(secret) one."""
    for value in every(known, field):
        if value is not None and not isinstance(value, str):
            quoted = "" if secret else f" {value!r}"
            raise InputError(f"{what}: {field} must be a string, not {kind_of(value)}{quoted}")
    value = last(known, field)
    return default if value is None else str(value)


def dump(value: Any, what: str) -> str:
    """Encode C(value) byte for byte as Go's json.Marshal does: compact, UTF-8, with <, > and & escaped."""
    check(value, what)
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for character in ("<", ">", "&", "\u2028", "\u2029"):
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def check(value: Any, what: str) -> None:
    """Raise InputError, which names the member of C(what), for a value that no JSON text stands for."""
    try:
        found = next(_unwritable(value), None)
    except RecursionError:
        raise InputError(f"{what}: it is nested too deeply to be written; flanneld knows no such member") from None
    if found is not None:
        where, problem = found
        raise InputError(
            f"{what}: {where or 'its value'} cannot be written: {problem}, and flanneld would refuse the whole; write "
            "another value, or leave it out"
        )


def _unwritable(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield (the place, what is there) for each part of C(value) that Python would write and Go would not read."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _unwritable(str(key), where)
            yield from _unwritable(item, f"{where}.{key}" if where else str(key))
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from _unwritable(item, f"{where}[{place}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield where, f"{json.dumps(value)} is not a JSON number"
    elif isinstance(value, str) and _HALF.search(value):
        yield where, "the text has half a character"
