# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A support bundle: files for somebody who helps, without keys, tokens and passwords, in one archive.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import ipaddress
import json
import re
import tarfile
from pathlib import PurePosixPath
from typing import Any, Mapping
from urllib.parse import quote

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

TOP = "podnet-support"
CONTENTS = "CONTENTS.txt"
REDACTED = "(redacted)"

_WORDS = (
    r"(?:psk|pre[_-]?shared[_-]?key|pass(?:word|wd)|token|secret|private[_-]?key|api[_-]?key|client[_-]?key[_-]?data)"
)
_SECRET_KEY = re.compile(_WORDS, re.IGNORECASE)
_PATTERNS = (
    (re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL), REDACTED),
    (re.compile(r"(://)[^/\s:@]+:[^/\s@]+(@)"), rf"\1{REDACTED}\2"),
    (re.compile(r"\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1\2{REDACTED}"),
    (re.compile(rf"(--?[\w-]*{_WORDS}[\w-]*[ =])(?!{re.escape(REDACTED)})\S+", re.IGNORECASE), rf"\1{REDACTED}"),
    (
        re.compile(rf"({_WORDS}\w*[\"']?\s*[:=]\s*)(?:\"[^\"]*\"|'[^']*'|(?![\"'{{\[(])[^\s,;}}\]]+)", re.IGNORECASE),
        rf"\1{REDACTED}",
    ),
)
_MAC = re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}(?![\w:])")
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)")
_IPV6 = re.compile(r"(?<![\w.:])[0-9a-fA-F:]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*[0-9a-fA-F:](?![\w:])")


def files(
    document: Mapping[str, Any], gathered: Mapping[str, Any], text: str, versions: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a bundle holds, by its paths: the document and its text, versions, leases, what each host told.

    The C(journal) of a host becomes a text of its own.
    """
    made: dict[str, Any] = {
        "status.json": document,
        "status.txt": text,
        "versions.json": versions,
        "leases.json": gathered["store"],
    }
    if gathered.get("cluster"):
        made["cluster.json"] = gathered["cluster"]
    for name, entry in gathered["hosts"].items():
        # The name of a host may be any text, and no two hosts may share a file.
        file = quote(str(name), safe=":")
        made[f"hosts/{file}.json"] = {key: value for key, value in entry.items() if key != "journal"}
        made[f"logs/{file}.txt"] = entry.get("journal") or "nothing was read"
    return made


def redacted(value: Any) -> Any:
    """Return C(value), of which every text that looks like a secret, or stands under such a key, is replaced."""
    if isinstance(value, Mapping):
        return {
            key: REDACTED if isinstance(one, str) and one and _SECRET_KEY.search(str(key)) else redacted(one)
            for key, one in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redacted(one) for one in value]
    if isinstance(value, str):
        for pattern, instead in _PATTERNS:
            value = pattern.sub(instead, value)
    return value


class Pseudonyms:
    """Names in place of addresses, the same name for the same address in all texts."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        """Return C(text) with names like C(ipv4-1) and C(mac-2) in place of addresses; prefix lengths stay."""
        text = _MAC.sub(lambda match: self._name("mac", match.group().lower()), text)
        return _IPV4.sub(self._address, _IPV6.sub(self._address, text))

    def _address(self, match: re.Match[str]) -> str:
        try:
            found = ipaddress.ip_address(match.group())
        except ValueError:
            return match.group()
        return self._name(f"ipv{found.version}", str(found))

    def _name(self, kind: str, address: str) -> str:
        if address not in self._names:
            number = sum(1 for name in self._names.values() if name.startswith(f"{kind}-")) + 1
            self._names[address] = f"{kind}-{number}"
        return self._names[address]


def contents(files: Mapping[str, Any], *, show_addresses: bool) -> dict[str, bytes]:
    """Return what the archive holds, by its paths: each of C(files), redacted, and a list of them with their SHA-256.

    A value that is not text is written as JSON. Raises InputError for a path that leads out of the archive.
    """
    name = (lambda text: text) if show_addresses else Pseudonyms()
    made: dict[str, bytes] = {}
    for path, value in files.items():
        parts = PurePosixPath(path).parts
        if not parts or PurePosixPath(path).is_absolute() or ".." in parts or path == CONTENTS:
            raise InputError(f"files: {path!r} is not a relative path of a file; write it like hosts/node1.json")
        clean = redacted(value)
        text = clean if isinstance(clean, str) else json.dumps(clean, indent=2, sort_keys=True, default=str)
        made[name(path)] = (name(text).rstrip("\n") + "\n").encode()
    lines = [f"{hashlib.sha256(text).hexdigest()}  {path}  {len(text)} bytes" for path, text in sorted(made.items())]
    shown = "Addresses are as they were." if show_addresses else "Addresses have names instead, the same in all files."
    head = ["What this archive holds. Keys, tokens and passwords are replaced.", shown, ""]
    made[CONTENTS] = "\n".join([*head, *lines, ""]).encode()
    return made


def archive(made: Mapping[str, bytes]) -> bytes:
    """Return the gzipped tar of files by their paths; the same files make the same bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="") as packed, tarfile.open(
        fileobj=packed, mode="w", format=tarfile.PAX_FORMAT
    ) as tar:
        for path, text in sorted(made.items()):
            member = tarfile.TarInfo(f"{TOP}/{path}")
            member.size, member.mode = len(text), 0o600
            tar.addfile(member, io.BytesIO(text))
    return buffer.getvalue()


def listing(packed: bytes) -> str:
    """Return the list of what an archive holds, an empty text for any other file."""
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
            member = tar.extractfile(f"{TOP}/{CONTENTS}")
            return member.read().decode() if member else ""
    except (tarfile.TarError, OSError, EOFError, KeyError):
        return ""
