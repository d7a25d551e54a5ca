# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the tests find kube-apiserver and etcd."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import urllib.request
from dataclasses import dataclass
from pathlib import Path

RELEASES = "https://dl.k8s.io/release"
"""The Kubernetes project's own release host."""

RELEASE = "v1.36.2"
DOWNLOAD_TIMEOUT = 10.0
KUBEBUILDER = Path("/usr/local/kubebuilder/bin")
# Hundreds of tests ask; a host that does not answer is waited for once.
_refused: dict[str, Missing] = {}


class Missing(Exception):
    """No usable binary; the text says where was looked."""


@dataclass(frozen=True)
class Binaries:
    """Paths of the programs a test cluster runs."""

    apiserver: Path
    etcd: Path


def find() -> Binaries:
    """Look in KUBEBUILDER_ASSETS, the kubebuilder directory, the user's cache; download as the last resort.

    Raises Missing.
    """
    etcd = _first("etcd") or _on_path("etcd")
    if etcd is None:
        raise Missing(f"no etcd in {_places()} or on PATH")
    return Binaries(program("kube-apiserver"), etcd)


def program(name: str) -> Path:
    """A program of the Kubernetes release, downloaded where it is not found. Raises Missing."""
    found = _first(name)
    if found is None and name in _refused:
        raise _refused[name]
    return found or _download(name)


def optional(name: str) -> Path | None:
    """A program that only some tests use, like kubectl."""
    return _first(name) or _on_path(name)


def _cache() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "podnet.cni" / "kubernetes" / RELEASE


def _directories() -> list[Path]:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    return [*([Path(assets)] if assets else []), KUBEBUILDER, _cache()]


def _places() -> str:
    return ", ".join(str(directory) for directory in _directories())


def _first(name: str) -> Path | None:
    for directory in _directories():
        if os.access(directory / name, os.X_OK):
            return directory / name
    return None


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


def _download(name: str) -> Path:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    url = f"{RELEASES}/{RELEASE}/bin/linux/{machine}/{name}"
    try:
        wanted = _fetch(f"{url}.sha256").decode().split()[0]
        content = _fetch(url)
    except (OSError, IndexError, UnicodeDecodeError) as error:
        _refused[name] = Missing(f"no {name} in {_places()}, and {url} cannot be had: {error}")
        raise _refused[name] from error
    if hashlib.sha256(content).hexdigest() != wanted:
        raise Missing(f"{url} does not have the checksum its release states")
    target = _cache() / name
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}")
    partial.write_bytes(content)
    partial.chmod(0o755)
    partial.replace(target)
    return target


def _fetch(url: str) -> bytes:
    with urllib.request.build_opener().open(url, timeout=DOWNLOAD_TIMEOUT) as reply:
        content: bytes = reply.read()
    return content
