# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wireguard key file."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import keys
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "wireguard.key"
    assert keys.read(str(path), "host") == b""
    key = keys.generate()
    keys.write(str(path), key)
    assert path.stat().st_mode & 0o777 == 0o400
    assert path.read_text() == base64.b64encode(key).decode()
    assert keys.read(str(path), "host") == key
    assert keys.generate() != key


def test_a_key_that_flanneld_or_wg_wrote(tmp_path: Path) -> None:
    path = tmp_path / "wgkey"
    path.write_text("oLW3bjWXu5c0QzBvyHYZcCYxt2vSbNSGPAkMH3Wgl1E=\n")
    assert len(keys.read(str(path), "host")) == 32


@pytest.mark.parametrize("text", ["", "c2hvcnQ=", "secret that is not a key"])
def test_a_broken_file_is_named_and_not_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "wireguard.key"
    path.write_text(text)
    with pytest.raises(InputError, match=f"host node-1: {path} holds no wireguard private key") as caught:
        keys.read(str(path), "node-1")
    assert not text or text not in str(caught.value)
