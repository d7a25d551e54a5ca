# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's wireguard key: a file with the private key, which never leaves the node.

Private to podnet.cni: may change in any release.

The file has the form that flanneld's own has (base64, no newline, mode 0400; flannel v0.28.9
pkg/backend/wireguard/device.go), so a node can change hands and keep its key.
"""

from __future__ import annotations

import base64
import binascii
import os

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import x25519
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._host import atomic_file

FILE_MODE = 0o400


def read(path: str, host: str) -> bytes:
    """The 32 octets of the private key in the file, b"" when there is no file.

    Raises InputError, without the content, for a file that holds no key.
    """
    text = atomic_file.observe(path).text
    if text is None:
        return b""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != 32:
        raise InputError(
            f"host {host}: {path} holds no wireguard private key (32 octets in base64); restore it, or remove the file "
            "to have a new key made, which the node's lease must then publish"
        )
    return key


def generate() -> bytes:
    """A new private key."""
    return x25519.clamp(os.urandom(32))


def write(path: str, key: bytes) -> None:
    """Keep the private key in the file, readable by root alone."""
    atomic_file.write(path, base64.b64encode(key).decode("ascii"), mode=FILE_MODE)


def public_text(private_key: bytes) -> str:
    """The public key as C(wg) and leases write it."""
    return base64.b64encode(x25519.public_key(private_key)).decode("ascii")
