# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of Canal, checked against what Canal's parts can do; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._cni import conflist
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config as config_codec

NODE_HEALTH_PORT = 9099
"""calico-node answers its readiness probe there (calico v3.32 manifests/canal.yaml)."""
UPSTREAM_OLD_CONF = "10-calico.conflist"
CONF_NAME = "10-canal.conflist"

_NETWORK_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_LEAST_MTU = {4: 68, 6: 1280}


@dataclass(frozen=True)
class Settings:
    """C(mtu) 0 leaves it to Calico; C(health_port) 0 means no probes; an empty C(flannel_version) keeps the image.

    C(images) has the name of a container as key. C(network_name) empty keeps the manifest's.
    """

    network_config: Mapping[str, Any]
    interface: str = ""
    interface_regex: str = ""
    masquerade: bool = True
    mtu: int = 0
    image_registry: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    image_pull_secrets: tuple[Mapping[str, Any], ...] = ()
    flannel_version: str = ""
    health_port: int = 0
    subnet_file: bool = True
    network_name: str = ""
    old_conf_name: str = UPSTREAM_OLD_CONF
    parsed: Any = None


def parse(given: Mapping[str, Any]) -> Settings:
    """Settings by the names of the fields. Raises InputError for what Canal cannot do."""
    unknown = sorted(set(given) - set(Settings.__dataclass_fields__) | set(given) & {"parsed"})
    if unknown:
        raise InputError(f"the role canal knows no setting {', '.join(unknown)}.")
    config = config_codec.parse(dict(given.get("network_config") or {}), check_ranges=False)
    _check_network(config)
    made = Settings(
        network_config=dict(given["network_config"]),
        interface=str(given.get("interface") or ""),
        interface_regex=str(given.get("interface_regex") or ""),
        masquerade=bool(given.get("masquerade", True)),
        mtu=_number(given, "mtu"),
        image_registry=str(given.get("image_registry") or "").rstrip("/"),
        images={str(key): str(value) for key, value in (given.get("images") or {}).items()},
        image_pull_secrets=tuple(given.get("image_pull_secrets") or ()),
        flannel_version=str(given.get("flannel_version") or "").lstrip("v"),
        health_port=_number(given, "health_port"),
        subnet_file=bool(given.get("subnet_file", True)),
        network_name=str(given.get("network_name") or ""),
        old_conf_name=str(given.get("old_conf_name") or UPSTREAM_OLD_CONF),
        parsed=config,
    )
    _check(made)
    return made


def _check_network(config: config_codec.NetworkConfig) -> None:
    if not config.enable_ipv4:
        raise InputError(
            "The pods get no IPv4 range: upstream's manifest of Canal has no IPv6-only mode. Set canal_pod_cidr."
        )


def _check(made: Settings) -> None:
    if made.mtu:
        least = _LEAST_MTU[6 if made.parsed.enable_ipv6 else 4]
        if not least <= made.mtu <= 65535:
            raise InputError(f"canal_mtu is {made.mtu}: give {least} to 65535, or 0 to leave it to Calico.")
    if not 0 <= made.health_port <= 65535:
        raise InputError(f"canal_health_port is {made.health_port}: give a port, or 0 for none.")
    if made.health_port == NODE_HEALTH_PORT:
        raise InputError(f"canal_health_port is {made.health_port}, which calico-node listens on: give another one.")
    try:
        re.compile(made.interface_regex)
    except re.error as error:
        raise InputError(
            f"canal_interface_regex {made.interface_regex!r} is not a regular expression: {error}."
        ) from error
    if made.network_name and not _NETWORK_NAME.fullmatch(made.network_name):
        raise InputError(f"canal_network_name is {made.network_name!r}: use letters, digits, dot, hyphen, underscore.")
    conflist.check_file_name("canal_old_conf_name", made.old_conf_name)
    if made.old_conf_name == CONF_NAME:
        raise InputError(f"canal_old_conf_name is {CONF_NAME}, the file that Canal itself writes: name another one.")
    for each in made.image_pull_secrets:
        if not isinstance(each, Mapping) or not each.get("name"):
            raise InputError(f"canal_image_pull_secrets holds {each!r}: give dictionaries with name.")


def _number(given: Mapping[str, Any], name: str) -> int:
    value = given.get(name) or 0
    try:
        return int(value)
    except (TypeError, ValueError):
        raise InputError(f"canal_{name} is {value!r}: give a number.") from None
