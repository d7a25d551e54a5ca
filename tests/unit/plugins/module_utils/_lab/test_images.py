# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Archives of images: what they hold, and what is none."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._lab.images import full_name, read_archive


def write(path: Path, **files: Any) -> str:
    with tarfile.open(path, "w") as archive:
        for name, value in files.items():
            data = json.dumps(value).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return str(path)


def test_names_and_configurations_are_read_as_docker_writes_them(tmp_path: Path) -> None:
    entries = [
        {"Config": "ab12.json", "RepoTags": ["registry.k8s.io/pause:3.10"], "Layers": []},
        {"Config": "blobs/sha256/cd34", "RepoTags": ["busybox", "busybox:1.36"], "Layers": []},
        {"Config": "ef56.json", "RepoTags": None, "Layers": []},
    ]
    assert read_archive(write(tmp_path / "a.tar", **{"manifest.json": entries})).images == {
        "registry.k8s.io/pause:3.10": "sha256:ab12",
        "docker.io/library/busybox:latest": "sha256:cd34",
        "docker.io/library/busybox:1.36": "sha256:cd34",
    }


def test_names_and_configurations_are_read_as_oci_has_them(tmp_path: Path) -> None:
    index = {
        "manifests": [{"digest": "sha256:aa", "annotations": {"org.opencontainers.image.ref.name": "example.org/x:1"}}]
    }
    manifest = {"config": {"digest": "sha256:bb"}}
    path = write(tmp_path / "a.tar", **{"index.json": index, "blobs/sha256/aa": manifest})
    assert read_archive(path).images == {"example.org/x:1": "sha256:bb"}


def test_what_is_no_archive_of_images_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no archive")
    for path, problem in (
        (str(tmp_path / "text"), "could not be opened"),
        (str(tmp_path / "absent"), "No such file"),
        (write(tmp_path / "other.tar", readme="x"), "neither manifest.json nor index.json"),
        (write(tmp_path / "odd.tar", **{"manifest.json": {"a": 1}}), "not an archive of images"),
    ):
        with pytest.raises(InputError, match=problem) as caught:
            read_archive(path)
        assert path in str(caught.value)
        assert "docker save" in str(caught.value)


def test_images_without_a_name_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", **{"manifest.json": [{"Config": "a.json", "RepoTags": None}]})
    with pytest.raises(InputError, match="have no names"):
        read_archive(path)


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("flannel/flannel:v1", "docker.io/flannel/flannel:v1"),
        ("localhost/client:1", "localhost/client:1"),
        ("localhost:5000/client", "localhost:5000/client:latest"),
        ("quay.io/a/b@sha256:00", "quay.io/a/b@sha256:00"),
    ],
)
def test_names_are_completed_as_a_runtime_does(name: str, full: str) -> None:
    assert full_name(name) == full
