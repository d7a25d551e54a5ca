# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON bodies of etcd's v3 gateway: ranges, comparisons, puts, deletes.

Private to podnet.cni: may change in any release. Pure: no input or output.

Field names: etcd v3.4 etcdserver/etcdserverpb/rpc.proto. Keys and values travel in base64, 64-bit numbers as strings,
and members with a zero value are left out of answers (https://protobuf.dev/programming-guides/json/).
"""

from __future__ import annotations

import base64
from typing import Any, Sequence

# etcd's --max-txn-ops counts comparisons, successes or failures, whichever is most.
MAX_TXN_OPS = 128
# The two comparisons that guard a whole batch: leases unchanged, config unchanged.
MAX_BATCH_OPS = MAX_TXN_OPS - 2
PAGE = 5000


def encode(text: str) -> str:
    """Return C(text) as the gateway wants keys and values."""
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode("ascii")


def decode_key(text: str) -> str:
    """Return the key in C(text); octets that are not UTF-8 become surrogates, so that the key can still be named."""
    return base64.b64decode(text).decode("utf-8", "surrogateescape")


def decode_value(text: str) -> str:
    """Return the value in C(text); octets that are not UTF-8 become U+FFFD, as Go's JSON decoder has it."""
    return base64.b64decode(text).decode("utf-8", "replace")


def printable(key: str) -> str:
    """Return C(key) for people: surrogates as escapes."""
    return key.encode("utf-8", "backslashreplace").decode("utf-8")


def number(message: dict[str, Any], name: str) -> int:
    """Return the 64-bit member C(name), 0 when it was left out."""
    return int(message.get(name, 0))


def end_of_prefix(prefix: str) -> str:
    """Return the first key behind all keys that start with C(prefix)."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def range_request(key: str, end: str = "", *, revision: int = 0, limit: int = 0) -> dict[str, Any]:
    """Read C(key), or all keys from C(key) up to C(end)."""
    body: dict[str, Any] = {"key": encode(key)}
    if end:
        body["range_end"] = encode(end)
    if revision:
        body["revision"] = str(revision)
    if limit:
        body["limit"] = str(limit)
    return body


def unchanged(key: str, version: int) -> dict[str, Any]:
    """Compare: C(key) was last changed by revision C(version) (0: it does not exist)."""
    return {"key": encode(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(version)}


def nothing_newer(key: str, end: str, revision: int) -> dict[str, Any]:
    """Compare: no key from C(key) up to C(end) was changed after C(revision)."""
    return {
        "key": encode(key),
        "range_end": encode(end),
        "target": "MOD",
        "result": "LESS",
        "mod_revision": str(revision + 1),
    }


def put(key: str, value: str, handle: int = 0) -> dict[str, Any]:
    """Store C(value) under C(key) with the etcd lease C(handle) (0: none)."""
    request: dict[str, Any] = {"key": encode(key), "value": encode(value)}
    if handle:
        request["lease"] = str(handle)
    return {"request_put": request}


def delete(key: str) -> dict[str, Any]:
    """Delete C(key)."""
    return {"request_delete_range": {"key": encode(key)}}


def transaction(compare: Sequence[dict[str, Any]], success: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Do all of C(success) when all of C(compare) hold, else nothing."""
    return {"compare": list(compare), "success": list(success)}
