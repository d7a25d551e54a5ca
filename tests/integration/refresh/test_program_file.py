# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program on its way to a node: copied once, again only when it differs, and in a check run not at all."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._refresh import archive
from ansible_collections.podnet.cni.tests.integration import _warm
from ansible_collections.podnet.cni.tests.integration.refresh._node import UTILITIES


def copied(dest: Path, *arguments: str) -> bool:
    """Run the module through ansible on this machine; return whether it says that it changed something."""
    module = ["localhost", "--connection=local", "-m", "podnet.cni.overlay_refresh_program", "-a", f"dest={dest}"]
    environment = {**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false"}
    done = _warm.ansible("adhoc", *module, *arguments, environment=environment)
    found = re.search(r"localhost \| (CHANGED|SUCCESS)", done.stdout)
    assert done.returncode == 0 and found, done.stdout + done.stderr
    return found.group(1) == "CHANGED"


def test_it_is_copied_when_it_differs_and_otherwise_left(tmp_path: Path) -> None:
    dest = tmp_path / archive.FILE_NAME
    assert copied(dest, "--check", "--diff")
    assert not dest.exists()
    assert copied(dest)
    assert dest.read_bytes() == archive.build(UTILITIES)
    assert dest.stat().st_mode & 0o777 == 0o755
    before = dest.stat().st_mtime_ns
    assert not copied(dest)
    assert not copied(dest, "--check", "--diff")
    assert dest.stat().st_mtime_ns == before
    # As an older version of the collection left it.
    dest.write_bytes(b"older")
    assert copied(dest, "--check", "--diff")
    assert dest.read_bytes() == b"older"
    assert copied(dest)
    assert dest.read_bytes() == archive.build(UTILITIES)
