# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the programs that the tests run, each from a Go module that this directory pins, into a per-user cache.

build.py                  what `make test` needs and this machine does not have yet
build.py etcd helm        these sets only
build.py --list           the sets, their programs and where they are
KUBE=1.34 build.py        another Kubernetes minor release than the default

A set is a directory with a go.mod. What is built lands in a directory named by the hash of go.mod and go.sum, so a
changed pin is built anew and nothing else is. The official release of Kubernetes is downloaded instead where it can be
had. What cannot be had is named with the reason, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import cache

# Go 1.27 builds an API server of Kubernetes 1.36 that serves a broken /openapi/v2.
GO = (1, 26)
PROGRESS = 15.0


class Failed(Exception):
    """A set that cannot be had; the text says why and what helps."""


def go_version() -> tuple[int, ...] | None:
    """The version of the Go on PATH, None where there is none."""
    try:
        answer = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.match(r"go(\d+)\.(\d+)", answer.stdout)
    return (int(found[1]), int(found[2])) if found else None


def check_go() -> None:
    """Raise Failed where the Go that is needed is missing."""
    version = go_version()
    wanted = ".".join(map(str, GO))
    if version is None:
        raise Failed(
            f"there is no Go on PATH. Install Go {wanted}, or set KUBEBUILDER_ASSETS to a directory with the programs."
        )
    if version != GO:
        found = ".".join(map(str, version))
        raise Failed(
            f"Go {found} is on PATH, and the programs are built with Go {wanted}. Set GOTOOLCHAIN=go{wanted}.8."
        )


def flags(tools: cache.ToolSet) -> list[str]:
    """The linker's flags: programs say the version of the module that they come from."""
    if not tools.version_variable:
        return ["-s", "-w"]
    version = cache.module_version(tools)
    stamped = [f"-X {tools.version_variable}={version}"]
    if tools.name.startswith("kubernetes-"):
        package = tools.version_variable.rpartition(".")[0]
        major, minor = version.lstrip("v").split(".")[:2]
        stamped += [f"-X {package}.gitMajor={major}", f"-X {package}.gitMinor={minor}"]
    return ["-s", "-w", *stamped]


@contextlib.contextmanager
def progress(text: str) -> Iterator[None]:
    """Say every 15 s that the work goes on."""
    done = threading.Event()

    def say() -> None:
        begin = time.monotonic()
        while not done.wait(PROGRESS):
            print(f"   {text}: {time.monotonic() - begin:.0f} s", flush=True)

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def build(tools: cache.ToolSet) -> None:
    """Build one set unless it is there. Raises Failed."""
    target = cache.directory(tools)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Two runs may want the same set at once; the second finds it built.
    with (target.parent / f".{tools.name}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if cache.complete(tools):
            return
        check_go()
        begin = time.monotonic()
        print(f"== {tools.name}: {', '.join(content(tools))}", flush=True)
        for left in target.parent.glob(f".{tools.name}.partial-*"):
            shutil.rmtree(left)
        partial = Path(tempfile.mkdtemp(prefix=f".{tools.name}.partial-", dir=target.parent))
        try:
            if tools.programs:
                _go_install(tools, partial)
            for built, name in tools.programs.items():
                (partial / built).rename(partial / name)
            _copy_files(tools, partial)
            partial.chmod(0o755)
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        print(f"   {tools.name}: {time.monotonic() - begin:.0f} s, in {target}", flush=True)


def content(tools: cache.ToolSet) -> list[str]:
    """What there is in a set when it is built."""
    return [*tools.programs.values(), *(Path(path).name for path in tools.files)]


def _go_install(tools: cache.ToolSet, target: Path) -> None:
    environment = {**os.environ, "GOBIN": str(target), "GOFLAGS": "-mod=readonly", "CGO_ENABLED": str(int(tools.cgo))}
    command = ["go", "install", "-trimpath", "-buildvcs=false", f"-ldflags={' '.join(flags(tools))}", "tool"]
    with progress(tools.name):
        done = subprocess.run(
            command, cwd=tools.source, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if not line.startswith("go: downloading")]
        raise Failed("\n".join(["go install says:", *lines[-10:]]))


def _copy_files(tools: cache.ToolSet, target: Path) -> None:
    """Copy the set's files out of the module, which lies in Go's own cache once it was downloaded."""
    if not tools.files:
        return
    command = ["go", "mod", "download", "-json", tools.module]
    done = subprocess.run(command, cwd=tools.source, capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout or "{}")
    if "Dir" not in answer:
        raise Failed(f"go mod download says: {answer.get('Error') or done.stderr.strip()}")
    try:
        for path in tools.files:
            shutil.copyfile(Path(answer["Dir"]) / path, target / Path(path).name)
    except OSError as error:
        raise Failed(f"{tools.module} has no file {path}: {error}") from error


def show() -> None:
    """List the sets."""
    for tools in cache.all_sets():
        where = cache.directory(tools) if cache.complete(tools) else "not built"
        print(f"{tools.name:<22} {cache.module_version(tools):<10} {', '.join(content(tools))}\n{'':<22} {where}")


def main() -> int:
    """Build what is asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", help="names of sets; without any, all that the tests need")
    parser.add_argument("--list", action="store_true", help="list the sets, build nothing")
    options = parser.parse_args()
    if options.list:
        show()
        return 0
    known = {tools.name: tools for tools in cache.all_sets()}
    unknown = [name for name in options.sets if name not in known]
    if unknown:
        parser.error(f"there is no set {', '.join(unknown)}; there are: {', '.join(known)}")
    wanted = [known[name] for name in options.sets] if options.sets else cache.needed()
    failed = []
    for tools in wanted:
        if not options.sets and cache.provided(tools):
            continue
        try:
            build(tools)
        except Failed as reason:
            failed.append(tools.name)
            print(f"   {tools.name} cannot be had: {reason}", flush=True)
    if failed:
        print(f"missing: {', '.join(failed)}. What needs them is skipped, or fails where CI=true.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
