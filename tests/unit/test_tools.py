# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs that the tests run: where they are found, and what is said of those that cannot be had."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.tests.tools import cache

TOOLS = Path(cache.__file__).parent


@pytest.fixture(autouse=True)
def _empty_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.delenv("KUBE", raising=False)
    monkeypatch.setattr(cache, "KUBEBUILDER", tmp_path / "kubebuilder")
    # Nothing listens there: a machine without a network.
    monkeypatch.setattr(cache, "RELEASES", "http://127.0.0.1:9")
    monkeypatch.setattr(cache, "_refused", {})


def put(directory: Path, name: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / name
    program.write_text("#!/bin/sh\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def run_build(*arguments: str, path: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": path}
    command = [sys.executable, str(TOOLS / "build.py"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_assets_come_before_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built = put(cache.directory(cache.kubernetes(cache.DEFAULT_KUBE)), "kube-apiserver")
    assert cache.find("kube-apiserver") == built
    installed = put(cache.KUBEBUILDER, "kube-apiserver")
    assert cache.find("kube-apiserver") == installed
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    given = put(tmp_path / "assets", "kube-apiserver")
    assert cache.find("kube-apiserver") == given


@pytest.mark.parametrize("name", ["kube-apiserver", "etcd", "flanneld", "helm"])
def test_what_is_missing_is_named_with_the_remedy(name: str) -> None:
    with pytest.raises(cache.Missing, match=f"no {name} in .*`make tools`"):
        cache.find(name)


def test_a_program_that_no_set_has() -> None:
    with pytest.raises(cache.Missing, match="no set of tests/tools has a program kubeadm"):
        cache.find("kubeadm")


def test_releases_of_one_program_are_told_apart() -> None:
    new, old = (put(cache.directory(cache.flannel(minor)), "flanneld") for minor in ("0.28", "0.27"))
    assert cache.find("flanneld") == new
    assert cache.find("flanneld", cache.flannel("0.27")) == old


def test_another_kubernetes_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBE", "1.34")
    program = put(cache.directory(cache.kubernetes("1.34")), "kubelet")
    assert cache.find("kubelet") == program
    monkeypatch.setenv("KUBE", "1.2")
    with pytest.raises(cache.Missing, match=r"KUBE is '1\.2', and only these are pinned: 1\.34"):
        cache.find("kubelet")


@pytest.mark.parametrize("tools", cache.all_sets(), ids=lambda tools: tools.name)
def test_every_set_is_pinned(tools: cache.ToolSet) -> None:
    text = (tools.source / "go.mod").read_text()
    assert cache.module_version(tools).startswith("v")
    for built in tools.programs:
        # The last word of a tool's path is the name that Go gives it, but for a major version at its end.
        assert any(
            line.strip().removeprefix("tool ").removesuffix("/v3").endswith(f"/{built}") for line in text.splitlines()
        )
    sums = (tools.source / "go.sum").read_text()
    assert f"{tools.module} {cache.module_version(tools)} h1:" in sums


def test_a_set_that_lacks_a_program_is_not_complete() -> None:
    tools = cache.flannel("0.28")
    cache.directory(tools).mkdir(parents=True)
    put(cache.directory(tools), "flanneld")
    assert not cache.complete(tools)
    put(cache.directory(tools), "install-conf")
    assert not cache.complete(tools)
    with pytest.raises(cache.Missing, match=r"no .*kube-flannel\.yml; `make tools` gets it"):
        cache.manifest(tools)
    put(cache.directory(tools), "kube-flannel.yml")
    assert cache.complete(tools)
    assert cache.manifest(tools).is_file()


def test_without_go_the_run_says_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    done = run_build("flannel-cni", path=str(tmp_path))
    assert done.returncode == 1
    assert "flannel-cni cannot be had: there is no Go on PATH. Install Go 1.26" in done.stdout
    assert "missing: flannel-cni" in done.stdout


def test_another_go_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "bin", "go").write_text("#!/bin/sh\necho go1.27.1\n")
    done = run_build("flannel-cni", path=f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert done.returncode == 1
    assert "Go 1.27 is on PATH, and the programs are built with Go 1.26" in done.stdout


def test_a_build_that_fails_leaves_nothing_and_says_why(tmp_path: Path) -> None:
    put(tmp_path / "bin", "go").write_text(
        '#!/bin/sh\n[ "$1" = env ] && echo go1.26.8 && exit\necho "verifying module: checksum mismatch" >&2\nexit 1\n'
    )
    # What a run that was killed left behind.
    stale = cache.base() / ".flannel-cni.partial-dead"
    put(stale, "flannel")
    done = run_build("flannel-cni", path=f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert done.returncode == 1
    assert "go install says:\nverifying module: checksum mismatch" in done.stdout
    assert [path.name for path in cache.base().iterdir()] == [".flannel-cni.lock"]


def fake_go(directory: Path, downloads: str) -> None:
    """A Go that answers to `go mod download -json` so, and fails otherwise."""
    script = (
        f"""[ "$1" = env ] && echo go1.26.8 && exit\n[ "$1 $2" = "mod download" ] || exit 1\necho '{downloads}'\n"""
    )
    put(directory, "go").write_text(f"#!/bin/sh\n{script}")


def test_files_without_a_program_are_copied_out_of_their_module(tmp_path: Path) -> None:
    tools = cache.ADMIN_POLICIES["npa-v1alpha2"]
    put(tmp_path / "module" / Path(tools.files[0]).parent, Path(tools.files[0]).name).write_text("kind: x\n")
    fake_go(tmp_path / "bin", json.dumps({"Dir": str(tmp_path / "module")}))
    with pytest.raises(cache.Missing, match=f"`tests/tools/build.py {tools.name}` gets it"):
        cache.files(tools)
    done = run_build(tools.name, path=f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert done.returncode == 0, done.stdout
    assert [path.read_text() for path in cache.files(tools)] == ["kind: x\n"]


def test_a_module_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    tools = cache.ADMIN_POLICIES["npa-v1alpha2"]
    fake_go(tmp_path / "bin", json.dumps({"Error": "410 Gone"}))
    done = run_build(tools.name, path=f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert done.returncode == 1
    assert "go mod download says: 410 Gone" in done.stdout


def test_what_the_full_run_alone_needs_is_not_built_for_others() -> None:
    assert all(tools in cache.all_sets() and tools not in cache.needed() for tools in cache.FULL_ONLY)
