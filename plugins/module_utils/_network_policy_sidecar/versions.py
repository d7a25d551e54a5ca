# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release of kube-network-policies needs from its pod, read from the version matrix; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

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
_FLAVOUR = re.compile(r"-(npa-[a-z0-9]+|iptracker)(?:@.*)?$", re.ASCII)


class Flavour(NamedTuple):
    """An image flavour: the kinds (their plural names) that it reads beside those of every image, and their API."""

    name: str
    group_version: str = ""
    kinds: tuple[str, ...] = ()


FLAVOURS = {
    "npa-v1alpha1": Flavour(
        "npa-v1alpha1",
        "policy.networking.k8s.io/v1alpha1",
        ("adminnetworkpolicies", "baselineadminnetworkpolicies"),
    ),
    "npa-v1alpha2": Flavour("npa-v1alpha2", "policy.networking.k8s.io/v1alpha2", ("clusternetworkpolicies",)),
}
"""Source: kube-network-policies v1.1.1 cmd/kube-network-policies/npa-v1alpha1 and npa-v1alpha2, install-cnp.yaml."""


@dataclass(frozen=True)
class Release:
    """A release of the matrix: the host directories that it mounts, which of FLAGS it has, what is wrong with it."""

    version: str
    mounts: tuple[tuple[str, str, str, str, bool], ...]
    flags: frozenset[str]
    faults: tuple[str, ...]


def release(tag: str) -> Release:
    """The release of an image tag like C(v1.1.1) or C(v1.1.1-npa-v1alpha2), or the newest of the matrix below it.

    Raises InputError for a value that is not a tag, and for a release that is too old.
    """
    if not _TAG.fullmatch(tag):
        raise InputError(f"version is {tag!r}: give a release of kube-network-policies, like {DEFAULT}.")
    flavour(tag)
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


def flavour(tag: str) -> Flavour:
    """The image flavour of a tag, nameless for the plain image. Raises InputError for one that is not set up here."""
    found = _FLAVOUR.search(tag)
    if found is None:
        return Flavour("")
    name = found.group(1)
    plain = tag.split("-", 1)[0]
    if name == "iptracker":
        raise InputError(
            f"version is {tag}: the flavour iptracker asks a server kube-ip-tracker for the pods, which this "
            f"collection does not set up, and enforces nothing without it. Use {plain}."
        )
    if name not in FLAVOURS:
        raise InputError(f"version is {tag}: the flavour {name} is not known. Use {plain}, or {' or '.join(FLAVOURS)}.")
    if question.not_newer(PRODUCT, tag) is None or not question.features_of(
        PRODUCT, str(question.not_newer(PRODUCT, tag))
    ).get("cluster_network_policy"):
        raise InputError(f"version is {tag}: the flavours came with v0.9.0. Use {DEFAULT}-{name}, or {plain}.")
    return FLAVOURS[name]


def warnings(tag: str) -> list[str]:
    """What users have to know about a release: its faults, and that it is newer than the matrix."""
    found = [f"kube-network-policies {tag}: {fault}." for fault in release(tag).faults]
    if question.key(tag) > question.key(DEFAULT):
        found.append(f"kube-network-policies {tag} is newer than {DEFAULT} and is set up like that one.")
    return found
