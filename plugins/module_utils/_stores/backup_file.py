# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file that keeps the leases of a network: versioned JSON whose last member is a checksum of all before it.

Private to podnet.cni: may change in any release. Pure: no input or output.

The checksum is compared before anything is read, so a file that was changed by one octet, or whose end is missing, is
never read as other leases. No secret is in it: what a network config has of them is left out, and its place named.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import go_json
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease, from_dict, to_dict

FORMAT = "podnet.cni flannel leases"
VERSION = 1
_START = re.compile(rb'\{\n "format": "' + re.escape(FORMAT.encode()) + rb'",\n "version": ([0-9]{1,9}),\n')
_END = re.compile(rb',\n "sha256": "([0-9a-f]{64})"\n\}\n\Z')
_ANOTHER = "Use another copy of it"
_TEXTS = ("created", "store", "where")


@dataclass(frozen=True)
class Backup:
    """What a file holds.

    C(store) is C(etcd) or C(kubernetes), C(where) the place there. C(network_config) is the config as it was written,
    C(secrets) names the members that were left out of it. The C(ttl) of a lease is what was left of it.
    """

    created: str
    store: str
    where: str
    network_config: Mapping[str, Any]
    secrets: tuple[str, ...]
    leases: tuple[Lease, ...]


def render(backup: Backup) -> str:
    """Return the text of the file, a line for each lease. Raises InputError for a value that no JSON stands for."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "created": backup.created,
        "store": backup.store,
        "where": backup.where,
        "network_config": dict(backup.network_config),
        "secrets_left_out": list(backup.secrets),
    }
    lines = [f' "{name}": {_json(value, name)},\n' for name, value in head.items()]
    leases = [f"  {_json(to_dict(lease), 'leases')}" for lease in backup.leases]
    joined = ",\n".join(leases)
    body = "{\n" + "".join(lines) + ' "leases": [' + (f"\n{joined}\n ]" if leases else "]")
    return f'{body},\n "sha256": "{hashlib.sha256(body.encode()).hexdigest()}"\n}}\n'


def parse(content: bytes, path: str) -> Backup:
    """Return what the file C(path) holds. Raises InputError, which names the file, for one that is not as it was."""
    start = _START.match(content)
    if start is None:
        raise InputError(
            f"path: {path} is not a backup of leases, or its beginning is damaged. Name the file that "
            "flannel_lease_backup wrote"
        )
    version = int(start.group(1))
    if version > VERSION:
        raise InputError(
            f"path: {path} is a backup of leases of version {version}, and this release of podnet.cni reads version "
            f"{VERSION}. Use the release that wrote it, or a newer one"
        )
    end = _END.search(content)
    if end is None:
        raise InputError(f"path: {path} does not end with its checksum, so a part of it is missing. {_ANOTHER}")
    if hashlib.sha256(content[: end.start()]).hexdigest().encode() != end.group(1):
        raise InputError(f"path: {path} does not match its checksum, so it is damaged or was edited. {_ANOTHER}")
    try:
        return _read(go_json.load_object(content.decode("utf-8"), "it", secret=True), version)
    except (InputError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"path: {path} cannot be read as a backup of leases: {error}. {_ANOTHER}") from error


def same(one: Backup, other: Backup) -> bool:
    """Whether two backups hold the same network and leases; time passes for a lease that expires."""
    return _timeless(one) == _timeless(other)


def _timeless(backup: Backup) -> Backup:
    leases = tuple(lease if lease.ttl is None else replace(lease, ttl=0) for lease in backup.leases)
    return replace(backup, created="", leases=leases)


def _json(value: Any, what: str) -> str:
    go_json.check(value, what)
    return json.dumps(value, ensure_ascii=False)


def _read(found: Mapping[str, Any], version: int) -> Backup:
    created, store, where = (_of(found, name, str) for name in _TEXTS)
    if version != VERSION or store not in ("etcd", "kubernetes"):
        raise ValueError(f"version {version} of a store {store!r} was never written")
    return Backup(
        created=created,
        store=store,
        where=where,
        network_config=_of(found, "network_config", dict),
        secrets=tuple(str(place) for place in _of(found, "secrets_left_out", list)),
        leases=tuple(_lease(item, f"leases[{place}]") for place, item in enumerate(_of(found, "leases", list))),
    )


def _lease(item: Any, where: str) -> Lease:
    lease = from_dict(item, where)
    if lease.subnet is None and lease.ipv6_subnet is None:
        raise ValueError(f"{where} has no subnet")
    # Upstream's JSON as it stands, also where it says nothing, like {}.
    return replace(lease, backend_data=item["backend_data"], backend_v6_data=item["backend_v6_data"])


def _of(found: Mapping[str, Any], name: str, kind: type) -> Any:
    if not isinstance(found[name], kind):
        raise ValueError(f"{name} is {go_json.kind_of(found[name])}")
    return found[name]
