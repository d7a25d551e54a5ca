# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one file: what is in it, that it stays the same, and that it starts without Ansible and without packages."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._refresh import archive

UTILITIES = Path(archive.__file__).parents[1]
FOLDER = "ansible_collections/podnet/cni/plugins/module_utils/"
SOURCES = {
    "_refresh/__init__.py": "",
    "_refresh/program.py": "from ansible_collections.podnet.cni.plugins.module_utils._one import name\n",
    "_one/__init__.py": '"""One."""\n',
    "_one/name.py": "def work():\n"
    "    from ansible_collections.podnet.cni.plugins.module_utils._two.deep.file import function\n"
    "    import json\n",
    "_two/deep/file.py": "def function():\n    pass\n",
    "_two/deep/__init__.py": "",
    "_two/__init__.py": "",
    "_two/other.py": "",
    "_three/__init__.py": "",
}


def names(content: bytes) -> set[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as found:
        assert found.testzip() is None
        return {name[len(FOLDER) :] for name in found.namelist() if name.startswith(FOLDER)}


@pytest.fixture()
def root(tmp_path: Path) -> Path:
    for name, text in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_what_is_imported_is_in_it_and_nothing_else(root: Path) -> None:
    imported = set(SOURCES) - {"_two/other.py", "_three/__init__.py"}
    assert names(archive.build(root)) == {"__init__.py", *imported}


def test_equal_sources_make_equal_bytes_and_others_do_not(root: Path) -> None:
    before = archive.build(root)
    for path in root.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    assert archive.build(root) == before
    (root / "_two" / "other.py").write_text("1\n")
    assert archive.build(root) == before, "nobody imports it"
    (root / "_two" / "deep" / "file.py").write_text("1\n")
    assert archive.build(root) != before


def test_what_is_imported_and_not_there_is_an_error(root: Path) -> None:
    (root / "_one" / "name.py").write_text(
        "from ansible_collections.podnet.cni.plugins.module_utils._gone import file\n"
    )
    with pytest.raises(FileNotFoundError, match="_gone"):
        archive.build(root)


def test_it_holds_what_a_node_needs_and_neither_kubernetes_nor_ansible() -> None:
    content = archive.build(UTILITIES)
    found = names(content)
    assert {"_refresh/program.py", "_dataplane/reconcile/run.py", "_stores/etcd_client.py"} <= found
    plain = {"__init__", "argument_spec", "errors", "fields", "plain"}
    assert {name for name in found if name.startswith("_kube/")} == {f"_kube/{name}.py" for name in plain}
    assert "_stores/kubernetes.py" not in found and "_refresh/archive.py" not in found
    assert len(content) < 600_000


def test_it_starts_without_ansible_and_without_packages(tmp_path: Path) -> None:
    program = tmp_path / archive.FILE_NAME
    program.write_bytes(archive.build(UTILITIES))
    # -S: without site-packages, so neither Ansible nor a library is there.
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(program), str(tmp_path / "settings.json")],
        capture_output=True,
        text=True,
        check=False,
        env={},
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "settings.json is not JSON; run podnet.cni.overlay again" in done.stdout
