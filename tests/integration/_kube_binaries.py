# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs that a test cluster runs. Where they are looked for: tests/tools/cache.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ansible_collections.podnet.cni.tests.tools import cache

Missing = cache.Missing


@dataclass(frozen=True)
class Binaries:
    """Paths of the programs a test cluster runs."""

    apiserver: Path
    etcd: Path


def find() -> Binaries:
    """The API server and the etcd of today. Raises Missing."""
    return Binaries(program("kube-apiserver"), program("etcd"))


def program(name: str, tools: cache.ToolSet | None = None) -> Path:
    """A program, of a certain set where several have it, like `cache.flannel("0.27")`. Raises Missing."""
    return cache.find(name, tools)
