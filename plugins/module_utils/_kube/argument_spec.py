# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection options of a Kubernetes client, and what of them is secret.

Private to podnet.cni: may change in any release.

Apart from what connects, because modules that can ask an API server mostly do not.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping
from urllib.parse import unquote, urlsplit

ARGUMENT_SPEC: Mapping[str, Mapping[str, Any]] = {
    "kubeconfig": {"type": "raw", "no_log": False},
    "context": {"type": "str"},
    "host": {"type": "str"},
    "api_key": {"type": "str", "no_log": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "validate_certs": {"type": "bool", "aliases": ["verify_ssl"]},
    "ca_cert": {"type": "path", "aliases": ["ssl_ca_cert"]},
    "client_cert": {"type": "path", "aliases": ["cert_file"]},
    "client_key": {"type": "path", "aliases": ["key_file"], "no_log": False},
    # The URL may hold a password.
    "proxy": {"type": "str", "no_log": True},
    "no_proxy": {"type": "str"},
    "impersonate_user": {"type": "str"},
    "impersonate_groups": {"type": "list", "elements": "str"},
}
"""Ansible argument spec of the options; documented in the fragment podnet.cni._kubernetes.

A kubeconfig marked no_log as a whole would blank out each of its texts wherever it occurs in the result: the file's
path, the name of the context, even a word like "v1". A module masks secrets() of it instead, and logs no arguments.
"""


_SECRETS = frozenset(
    (
        "token",
        "password",
        "client-key-data",
        "id-token",
        "access-token",
        "refresh-token",
        "client-secret",
        "value",  # in the environment of an exec plugin
    )
)


def secrets(kubeconfig: Any) -> set[str]:
    """The secret texts in a kubeconfig given as a dictionary, the password in the URL of a proxy included."""
    found = set()
    for key, text in _leaves(kubeconfig):
        if key in _SECRETS:
            found.add(text)
        elif key == "proxy-url":
            found |= _password_in(text)
    return found


def _password_in(url: str) -> set[str]:
    """The password of a URL as it stands there and as it is sent; the whole URL where it cannot be taken apart."""
    try:
        password = urlsplit(url).password or ""
    except ValueError:
        return {url}
    return {password, unquote(password)} - {""}


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from _leaves(member, str(name))
    elif isinstance(value, (list, tuple)):
        for member in value:
            yield from _leaves(member, key)
    elif isinstance(value, str) and value:
        yield key, value
