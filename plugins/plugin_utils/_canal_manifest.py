# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Get a manifest from a file, a directory or a URL, and take it apart into documents, each with its place.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.urls import open_url

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, PodnetError

_SUFFIXES = (".yaml", ".yml", ".json")
_LIMIT = 32 * 1024 * 1024
_CHECKSUM = re.compile(r"(sha256|sha384|sha512):([0-9a-fA-F]+)")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_LOADER):
    """Reads scalars as Kubernetes does: a date and a lone C(=) are texts."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":value"))]
    for first, resolvers in _LOADER.yaml_implicit_resolvers.items()
}


def read(source: str, checksum: str = "", timeout: float = 30.0) -> list[dict[str, Any]]:
    """The documents of a manifest, each with C(file), C(line) and C(object); empty ones are left out.

    C(source) is a file, a directory of files (*.yaml, *.yml, *.json), or an http or https URL, which needs C(checksum),
    C(sha256:) and the digits. Raises InputError for what cannot be read or is not YAML, PodnetError for a download that
    fails.
    """
    documents = []
    for name, content in _contents(source, checksum, timeout):
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{name} is not text in UTF-8 (byte {error.start}): it is not a manifest.") from error
        documents += parse(text, name)
    return documents


def parse(text: str, name: str) -> list[dict[str, Any]]:
    """The documents of a text that is called C(name) in messages. Raises InputError with document and line."""
    documents = []
    number = 0
    loader = _Loader(text)
    try:
        while loader.check_node():
            number += 1
            node = loader.get_node()
            found = loader.construct_document(node)
            if found is not None:
                documents.append({"file": name, "line": node.start_mark.line + 1, "object": found})
    except yaml.YAMLError as error:
        raise InputError(f"{name}: document {max(number, 1)} {_reason(error)}") from error
    finally:
        loader.dispose()
    return documents


def _reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    return f"is not YAML{where}: {problem}. The file is damaged: get it again."


def _contents(source: str, checksum: str, timeout: float) -> list[tuple[str, bytes]]:
    expected = _expected(checksum)
    if source.startswith(("http://", "https://")):
        if not expected:
            raise InputError(
                f"{source} is a URL: give its checksum too, like sha256:0123..., because what stands there may change."
            )
        return [(source, _checked(source, _download(source, timeout), expected))]
    path = Path(source).expanduser()
    if path.is_dir():
        if expected:
            raise InputError(f"{source} is a directory, which has no checksum: leave the checksum out.")
        files = sorted(each for each in path.iterdir() if each.suffix in _SUFFIXES and each.is_file())
        if not files:
            raise InputError(f"{source} holds no file that ends in {', '.join(_SUFFIXES)}.")
        return [(str(each), _read(each)) for each in files]
    return [(source, _checked(source, _read(path), expected))]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read on the controller: {error.strerror}.") from error


def _download(url: str, timeout: float) -> bytes:
    try:
        with open_url(url, timeout=timeout, http_agent="podnet.cni") as reply:
            content: bytes = reply.read(_LIMIT + 1)
    except Exception as error:
        raise PodnetError(f"{url} cannot be fetched: {error}. Give a file instead, or try again.") from error
    if len(content) > _LIMIT:
        raise InputError(f"{url} is larger than {_LIMIT} bytes: it is not a manifest.")
    return content


def _expected(checksum: str) -> tuple[str, str] | None:
    if not checksum:
        return None
    matched = _CHECKSUM.fullmatch(checksum.strip())
    if not matched or len(matched.group(2)) != 2 * hashlib.new(matched.group(1)).digest_size:
        raise InputError(f"the checksum {checksum!r} cannot be used: write sha256: and its 64 hexadecimal digits.")
    return matched.group(1), matched.group(2).lower()


def _checked(name: str, content: bytes, expected: tuple[str, str] | None) -> bytes:
    if expected is not None:
        found = hashlib.new(expected[0], content).hexdigest()
        if found != expected[1]:
            raise InputError(f"{name} has the checksum {expected[0]}:{found}, not {expected[0]}:{expected[1]}.")
    return content
