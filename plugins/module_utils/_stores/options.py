# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How to reach the etcd that holds the leases: options of the modules, checked before anything is sent.

Private to podnet.cni: may change in any release.

The options mirror flanneld's C(--etcd-*) flags (flannel v0.28.9 main.go). plugins/doc_fragments/_etcd.py documents
them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, Mapping
from urllib.parse import urlsplit

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

DEFAULT_ENDPOINTS = ["http://127.0.0.1:2379"]
DEFAULT_PREFIX = "/coreos.com/network"
DEFAULT_TIMEOUT = 10.0
DEFAULT_PORT = 2379

ETCD_ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "etcd_endpoints": {"type": "list", "elements": "str", "default": DEFAULT_ENDPOINTS},
    "etcd_prefix": {"type": "str", "default": DEFAULT_PREFIX},
    "etcd_cafile": {"type": "path"},
    "etcd_certfile": {"type": "path"},
    "etcd_keyfile": {"type": "path", "no_log": False},
    "etcd_username": {"type": "str"},
    "etcd_password": {"type": "str", "no_log": True},
    "etcd_timeout": {"type": "float", "default": DEFAULT_TIMEOUT},
}


@dataclass(frozen=True)
class Endpoint:
    """One etcd member: C(http) or C(https), host name or address (IPv6 without brackets), port."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True)
class EtcdOptions:
    """Checked options; C(prefix) has no trailing slash."""

    endpoints: tuple[Endpoint, ...]
    prefix: str = DEFAULT_PREFIX
    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: float = DEFAULT_TIMEOUT


def from_params(params: Mapping[str, Any]) -> EtcdOptions:
    """Return the checked C(etcd_*) members of C(params); raises InputError."""
    texts = params.get("etcd_endpoints")
    if not texts:
        raise InputError("etcd_endpoints is empty; name at least one etcd, like http://192.0.2.10:2379")
    endpoints = tuple(parse_endpoint(text, f"etcd_endpoints[{i}]") for i, text in enumerate(texts))
    timeout = params.get("etcd_timeout")
    timeout = DEFAULT_TIMEOUT if timeout is None else float(timeout)
    if not 0 < timeout <= 3600:
        raise InputError(f"etcd_timeout {timeout:g} must be more than 0 and at most 3600 seconds")
    options = EtcdOptions(
        endpoints=endpoints,
        prefix=_prefix(params.get("etcd_prefix") or DEFAULT_PREFIX),
        cafile=_file(params, "etcd_cafile"),
        certfile=_file(params, "etcd_certfile"),
        keyfile=_file(params, "etcd_keyfile"),
        username=params.get("etcd_username") or None,
        password=params.get("etcd_password") or None,
        timeout=timeout,
    )
    _check_pairs(options)
    return options


def parse_endpoint(text: str, what: str) -> Endpoint:
    """Return the endpoint in the URL C(text); C(what) names it in the error."""
    example = "write it like https://192.0.2.10:2379 or https://[2001:db8::10]:2379"
    if "://" not in text:
        raise InputError(f"{what}: {text!r} has no scheme; {example}")
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise InputError(f"{what}: {text!r} is not a URL ({error}); {example}") from error
    if parts.username or parts.password:
        raise InputError(f"{what}: a user in the URL is not read; use etcd_username and etcd_password")
    if parts.scheme not in ("http", "https"):
        raise InputError(f"{what}: {text!r} must start with http:// or https://; {example}")
    if not parts.hostname or re.search(r"\s", parts.netloc):
        raise InputError(f"{what}: {text!r} names no host; {example}")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise InputError(f"{what}: {text!r} must end after the port; the path is that of etcd's API")
    if port == 0:
        raise InputError(f"{what}: {text!r} has port 0; etcd's usual port is {DEFAULT_PORT}")
    return Endpoint(parts.scheme, parts.hostname, port or DEFAULT_PORT)


def _prefix(text: str) -> str:
    # flanneld joins with Go's path.Join, which drops empty elements and resolves dots.
    elements = [element for element in text.split("/") if element]
    if not text.startswith("/") or not elements or "." in elements or ".." in elements:
        raise InputError(
            f"etcd_prefix {text!r} must be an absolute key like {DEFAULT_PREFIX}, as flanneld's --etcd-prefix has it"
        )
    return "/" + "/".join(elements)


def _file(params: Mapping[str, Any], name: str) -> str | None:
    path = params.get(name)
    if not path:
        return None
    if not os.path.isfile(path) or not os.access(path, os.R_OK):
        raise InputError(f"{name} {path} is not a file that can be read where this module runs; check path and owner")
    return str(path)


def _check_pairs(options: EtcdOptions) -> None:
    for one, other, has_one, has_other in (
        ("etcd_certfile", "etcd_keyfile", options.certfile, options.keyfile),
        ("etcd_username", "etcd_password", options.username, options.password),
    ):
        if bool(has_one) != bool(has_other):
            given, missing = (one, other) if has_one else (other, one)
            raise InputError(f"{given} is given without {missing}; give both or neither")
    plain = [str(endpoint) for endpoint in options.endpoints if endpoint.scheme == "http"]
    if plain and (options.cafile or options.certfile):
        raise InputError(
            f"etcd_endpoints: {', '.join(plain)} is not encrypted although TLS files are given; write https://"
        )
