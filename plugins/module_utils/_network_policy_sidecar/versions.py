# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release of kube-network-policies needs from its pod, read from the version matrix; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._versions import question

PRODUCT = "kube_network_policies"
DEFAULT = f"v{question.newest(PRODUCT)}"
REPOSITORY = question.features_of(PRODUCT, DEFAULT)["repository"]

MOUNTS = {
    "mounts_modules": ("modules", "/lib/modules", "", "", True),
    "mounts_nri": ("nri", "/var/run/nri", "DirectoryOrCreate", "", False),
    "mounts_netns": ("netns", "/var/run/netns", "DirectoryOrCreate", "HostToContainer", False),
}
"""Feature of a release to its mount of a host directory: short name, path, type of volume, propagation, read only."""

FLAGS = ("netfilter-bug-1766-fix", "disable-nri", "strict-mode")
"""Those that not every release has."""

_TAG = re.compile(r"v?\d+\.\d+\.\d+(?:[-+@].*)?", re.ASCII)


@dataclass(frozen=True)
class Release:
    """A release of the matrix: the host directories that it mounts, which of FLAGS it has, what is wrong with it."""

    version: str
    mounts: tuple[tuple[str, str, str, str, bool], ...]
    flags: frozenset[str]
    faults: tuple[str, ...]


def release(tag: str) -> Release:
    """The release of an image tag like C(v1.1.1) or C(v1.1.1-npa-v1alpha2), or the newest of the matrix below it.

    Raises InputError for what is no tag and for a release that is too old.
    """
    if not _TAG.fullmatch(tag):
        raise InputError(f"version is {tag!r}: give a release of kube-network-policies, like {DEFAULT}.")
    version = question.not_newer(PRODUCT, tag)
    features = question.features_of(PRODUCT, version) if version else {}
    if version is None or not features["hostname-override"]:
        raise InputError(
            f"version is {tag}: before v0.4.0 the sidecar cannot be told which node it is on and enforces nothing. "
            f"Use {DEFAULT}."
        )
    return Release(
        version,
        tuple(mount for feature, mount in MOUNTS.items() if features[feature]),
        frozenset(flag for flag in FLAGS if features[flag]),
        tuple(f"{fault['text']}; v{fault['until']} is without it" for fault in question.faults_of(PRODUCT, version)),
    )


def warnings(tag: str) -> list[str]:
    """What users have to know about a release: its faults, and that it is newer than the matrix."""
    found = [f"kube-network-policies {tag}: {fault}." for fault in release(tag).faults]
    if question.key(tag) > question.key(DEFAULT):
        found.append(f"kube-network-policies {tag} is newer than {DEFAULT} and is set up like that one.")
    return found
