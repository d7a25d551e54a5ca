# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which images an archive holds, as docker save, buildah push and skopeo copy write it.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import json
import os
import tarfile
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._lab.kubernetes import Archive

# https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md, "Combined Image JSON + Filesystem Changeset Format"
DOCKER_LIST = "manifest.json"
# https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
OCI_LIST = "index.json"
NAME_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


def read_archive(path: str) -> Archive:
    """Return the images of the archive. Raises InputError for a file that is not one, or whose images have no name."""
    try:
        with tarfile.open(path) as archive:
            names = archive.getnames()
            if DOCKER_LIST in names:
                images = _docker(archive)
            elif OCI_LIST in names:
                images = _oci(archive)
            else:
                raise InputError(f"it has neither {DOCKER_LIST} nor {OCI_LIST}")
    except (OSError, EOFError, tarfile.TarError, ValueError, KeyError, TypeError, InputError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path} is not an archive of images: {reason}. Write one with docker save, or with buildah push IMAGE "
            f"docker-archive:{os.path.basename(path)}:NAME:TAG."
        ) from error
    if not images:
        raise InputError(f"The images in {path} have no names. Name them when you save: docker save -o FILE NAME:TAG.")
    return Archive(path, images)


def full_name(name: str) -> str:
    """Return the name as a container runtime keeps it, C(docker.io/library/busybox:1.36) for C(busybox:1.36)."""
    first, slash, _rest = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif "." not in first and ":" not in first and first != "localhost":
        name = f"docker.io/{name}"
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"


def _load(archive: tarfile.TarFile, name: str) -> Any:
    member = archive.extractfile(name)
    if member is None:
        raise InputError(f"{name} in it is not a file")
    with member:
        return json.load(member)


def _docker(archive: tarfile.TarFile) -> dict[str, str]:
    # the configuration is called HEX.json, or blobs/sha256/HEX
    return {
        full_name(name): "sha256:" + os.path.basename(entry["Config"]).split(".")[0]
        for entry in _load(archive, DOCKER_LIST)
        for name in entry["RepoTags"] or ()
    }


def _oci(archive: tarfile.TarFile) -> dict[str, str]:
    images = {}
    for entry in _load(archive, OCI_LIST)["manifests"]:
        annotations = entry.get("annotations") or {}
        name = next((annotations[key] for key in NAME_ANNOTATIONS if key in annotations), "")
        if name:
            manifest = _load(archive, "blobs/" + entry["digest"].replace(":", "/"))
            images[full_name(name)] = str(manifest["config"]["digest"])
    return images
