# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a manifest comes from, and what is said about one that is damaged."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, PodnetError
from ansible_collections.podnet.cni.plugins.plugin_utils import _canal_manifest
from ansible_collections.podnet.cni.tests.unit import _canal_manifest as builder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serves the directory of the test on this machine."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, directory=str(tmp_path), **kwargs)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=web.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{web.server_port}"
    finally:
        web.shutdown()
        web.server_close()
        thread.join()


def test_documents_of_a_file_know_their_place(tmp_path: Path) -> None:
    items = builder.manifest()
    (tmp_path / "canal.yaml").write_text(builder.text(items))
    found = _canal_manifest.read(str(tmp_path / "canal.yaml"))
    assert [each["object"] for each in found] == items
    lines = (tmp_path / "canal.yaml").read_text().splitlines()
    for each in found:
        assert lines[each["line"] - 1].startswith(f"{next(iter(each['object']))}:")


def test_directory_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "20-second.yml").write_text("name: b\n")
    (tmp_path / "10-first.yaml").write_text("name: a\n---\n")
    (tmp_path / "README.md").write_text("{ no yaml")
    found = _canal_manifest.read(str(tmp_path))
    assert [each["object"]["name"] for each in found] == ["a", "b"]
    assert found[1]["file"].endswith("20-second.yml")


def test_scalars_are_those_of_kubernetes() -> None:
    found = _canal_manifest.parse("a: 2020-01-01\nb: =\nc: 0644\nd: true\n", "x")[0]["object"]
    assert found == {"a": "2020-01-01", "b": "=", "c": 0o644, "d": True}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\n---\nb: [1, 2\n---\nc: 3\n", r"x: document 2 is not YAML at line 4, column 1: "),
        ("a: 1\n---\nb: 1\nb\n", r"document 2 is not YAML at line 5"),
        ("{{ template }}: 1\n---\n{{- if }}\n", r"document 1 is not YAML at line 1"),
        ("a: !!python/object:os.system {}\n", r"document 1 is not YAML at line 1, column 4"),
    ],
)
def test_damage_is_named_with_document_and_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _canal_manifest.parse(text, "x")


def test_url_needs_the_right_checksum(tmp_path: Path, server: str) -> None:
    content = builder.text(builder.manifest())
    (tmp_path / "canal.yaml").write_text(content)
    url = f"{server}/canal.yaml"
    digest = hashlib.sha256(content.encode()).hexdigest()
    assert len(_canal_manifest.read(url, f"sha256:{digest}")) == len(builder.manifest())
    with pytest.raises(InputError, match="is a URL: give its checksum too"):
        _canal_manifest.read(url)
    with pytest.raises(InputError, match=f"has the checksum sha256:{digest}, not sha256:0000"):
        _canal_manifest.read(url, "sha256:" + "0" * 64)
    with pytest.raises(PodnetError, match=r"cannot be fetched: .*404"):
        _canal_manifest.read(f"{server}/other.yaml", f"sha256:{digest}")


def test_a_file_may_have_a_checksum_too(tmp_path: Path) -> None:
    path = tmp_path / "canal.yaml"
    path.write_text("a: 1\n")
    digest = hashlib.sha512(b"a: 1\n").hexdigest()
    assert len(_canal_manifest.read(str(path), f"sha512:{digest.upper()}")) == 1
    with pytest.raises(InputError, match="has the checksum"):
        _canal_manifest.read(str(path), "sha512:" + "0" * 128)


@pytest.mark.parametrize("checksum", ["0" * 64, "sha256:abc", "md5:" + "0" * 32, "sha256:" + "g" * 64])
def test_checksum_that_cannot_be_one(tmp_path: Path, checksum: str) -> None:
    (tmp_path / "canal.yaml").write_text("a: 1\n")
    with pytest.raises(InputError, match="cannot be used: write sha256:"):
        _canal_manifest.read(str(tmp_path / "canal.yaml"), checksum)


def test_places_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read on the controller: No such file"):
        _canal_manifest.read(str(tmp_path / "missing.yaml"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no file that ends in \.yaml"):
        _canal_manifest.read(str(tmp_path / "empty"))
    with pytest.raises(InputError, match="is a directory, which has no checksum"):
        _canal_manifest.read(str(tmp_path / "empty"), "sha256:" + "0" * 64)
    (tmp_path / "binary.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(InputError, match=r"is not text in UTF-8 \(byte 3\)"):
        _canal_manifest.read(str(tmp_path / "binary.yaml"))
