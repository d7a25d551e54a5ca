# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which images Canal's containers run, and what these images can do; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._adoption.canal.manifest import Manifest, release_of
from ansible_collections.podnet.cni.plugins.module_utils._adoption.canal.settings import Settings
from ansible_collections.podnet.cni.plugins.module_utils._discovery import objects
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._versions import question

_NFTABLES_SINCE = (3, 29)
"""Felix has FELIX_NFTABLESMODE since then (calico v3.29 felix/config/config_params.go)."""


@dataclass(frozen=True)
class Choice:
    """C(container) runs C(image) with flannel C(flannel), which answers probes or not."""

    container: str
    image: str
    flannel: str
    probes: bool
    warnings: tuple[str, ...]


def choose(manifest: Manifest, settings: Settings) -> Choice:
    """Flannel's image. Raises InputError for releases that are not known, and for what the chosen one cannot do."""
    names = _names(manifest)
    unknown = sorted(set(settings.images) - set(names))
    if unknown:
        raise InputError(f"canal_images names container {unknown[0]}, but the manifest has {', '.join(names)}.")
    question.features_of("calico", manifest.calico)
    image, version = _flannel(manifest, settings)
    features = question.features_of("flannel", version) if version else {}
    _refuse(manifest, settings, version, features)
    return Choice(
        manifest.flannel_container, image, version, bool(features.get("probes")), _warn(settings, version, features)
    )


def _names(manifest: Manifest) -> list[str]:
    found = []
    for item in manifest.objects:
        if item["kind"] in ("DaemonSet", "Deployment"):
            found += [str(each["name"]) for each in [*objects.init_containers(item), *objects.containers(item)]]
    return found


def _flannel(manifest: Manifest, settings: Settings) -> tuple[str, str]:
    own = next(
        str(each.get("image"))
        for each in objects.containers(manifest.daemonset)
        if each["name"] == manifest.flannel_container
    )
    given = settings.images.get(manifest.flannel_container)
    if settings.flannel_version:
        return given or question.images("flannel", settings.flannel_version)["flannel"], settings.flannel_version
    if given:
        version = release_of(given)
        if not version:
            raise InputError(
                f"canal_images has {given} for {manifest.flannel_container}, whose tag is not a release: tell its "
                "version with canal_flannel_version."
            )
        return given, version
    return own, manifest.flannel


def _refuse(manifest: Manifest, settings: Settings, version: str, features: Any) -> None:
    if not settings.parsed.enable_nftables:
        return
    if not features.get("nftables"):
        raise InputError(
            f"canal_enable_nftables is set, but flannel {version or 'of unknown version'} has no nftables mode: set "
            "canal_flannel_version to a newer release."
        )
    if question.key(manifest.calico)[:2] < _NFTABLES_SINCE:
        raise InputError(
            f"canal_enable_nftables is set, but Felix of Calico {manifest.calico} has no nftables mode: take the "
            "manifest of Calico 3.29 or newer."
        )


def _warn(settings: Settings, version: str, features: Any) -> tuple[str, ...]:
    found = []
    if not version:
        found.append("The version of flannel is not known, so nothing that depends on it was changed.")
    nftables = settings.parsed.enable_nftables
    if features.get("br_netfilter_check_in_nftables_mode" if nftables else "br_netfilter_check"):
        found.append(f"flannel {version} ends at its start on nodes where br_netfilter is not loaded: load it first.")
    if settings.parsed.enable_ipv6 and version and not features.get("keeps_vtep_mac_v6"):
        found.append(
            f"flannel {version} has a new VTEP MAC address for IPv6 after each restart, which interrupts IPv6 shortly. "
            "Set canal_flannel_version to 0.25.2 or newer."
        )
    return tuple(found)


def replace(workload: dict[str, Any], settings: Settings, choice: Choice) -> None:
    """Set the images of a workload, and the Secrets to pull them with."""
    spec = workload["spec"]["template"]["spec"]
    for each in [*(spec.get("initContainers") or []), *spec["containers"]]:
        image = str(each.get("image"))
        if each["name"] == choice.container:
            image = choice.image
        elif each["name"] in settings.images:
            image = settings.images[each["name"]]
        given = each["name"] in settings.images
        each["image"] = mirrored(image, settings.image_registry) if settings.image_registry and not given else image
    if settings.image_pull_secrets:
        spec["imagePullSecrets"] = [dict(each) for each in settings.image_pull_secrets]


def mirrored(image: str, registry: str) -> str:
    """The image's name in another registry: what follows the registry stays as it is."""
    first, slash, rest = image.partition("/")
    has_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return f"{registry}/{rest if has_registry else image}"
