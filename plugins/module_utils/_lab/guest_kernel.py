# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel of a guest: Debian packages, unpacked into the cache of the user and never installed.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import MissingError

META = "linux-image-amd64"
"""Debian's package that depends on the newest kernel of the release."""

SUITE = "PODNET_GUEST_SUITE"
"""The variable that names another suite of Debian's for the kernel: C(bullseye), or C(backports) of this release."""

BESIDE = ("kmod", "wireguard-tools", "openssh-server", "libwrap0")
"""Packages that a machine with such a kernel has: the programs modprobe, wg and sshd, and a library of sshd's."""

PROGRAMS = (("qemu-system-x86_64", "qemu-system-x86"), ("busybox", "busybox-static"))
"""What boots a guest, with its package."""


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel package with the programs beside it; C(root) is laid out as the machine that has them."""

    root: Path

    @property
    def image(self) -> Path:
        """What qemu boots."""
        return next((self.root / "boot").glob("vmlinuz-*"))

    @property
    def release(self) -> str:
        """What uname -r says in the guest."""
        return self.image.name[len("vmlinuz-") :]

    @property
    def modules(self) -> Path:
        """The directory of the modules and of modules.dep."""
        return self.root / "lib" / "modules" / self.release


def directory() -> Path:
    """Where unpacked kernels are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podnet.cni" / "guest"


def kernel() -> Kernel:
    """The newest kernel of this machine's package sources, from the cache or unpacked into it; with SUITE that of
    another suite, which need not be among the sources. Raises MissingError."""
    check_programs(PROGRAMS)
    if shutil.which("apt-get") is None:
        raise MissingError("A guest's kernel is a package of Debian's, and this machine has no apt-get.")
    suite = os.environ.get(SUITE, "")
    try:
        return _newest(suite)
    except MissingError:
        if os.geteuid():
            raise
        # Lists that are missing, or name packages that the archive no longer has.
        subprocess.run(["apt-get", *_sources(suite), "update"], capture_output=True, check=False)
        return _newest(suite)


def check_programs(wanted: tuple[tuple[str, str], ...]) -> None:
    """Raise MissingError unless these programs are there, given with Debian's packages."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    lacking = [(program, package) for program, package in wanted if shutil.which(program, path=path) is None]
    if lacking:
        raise MissingError(
            f"A guest needs {', '.join(program for program, _package in lacking)}, which this machine has not. "
            f"On Debian: apt-get install {' '.join(dict.fromkeys(package for _program, package in lacking))}."
        )


def _sources(suite: str) -> tuple[str, ...]:
    """Options of apt's programs with which they know a suite of this machine's archive and nothing else, none where
    it is empty and what the machine knows will do."""
    if not suite:
        return ()
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    listed = _output("apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages")
    places = [place for name, place in (line.split(" ", 1) for line in listed.splitlines()) if name == release]
    if not places:
        raise MissingError(f"{SUITE} is for a machine of Debian's whose package sources have its release.")
    name = f"{release}-backports" if suite == "backports" else suite
    own = directory() / f"apt-{name}"
    for folder in ("lists/partial", "archives/partial"):
        (own / folder).mkdir(parents=True, exist_ok=True)
    (own / "sources.list").write_text(f"deb {places[0]} {name} main\n", encoding="ascii")
    return (
        *(f"-oDir::Etc::{option}" for option in (f"sourcelist={own}/sources.list", "sourceparts=-")),
        *(f"-oDir::{option}" for option in (f"State::lists={own}/lists", f"Cache={own}")),
    )


def _newest(suite: str) -> Kernel:
    sources = _sources(suite)
    image = _image_package(_output("apt-cache", *sources, "depends", META), suite)
    wanted = [(image, _version(image, _output("apt-cache", *sources, "policy", image)), sources)]
    wanted += [(name, _version(name, _output("apt-cache", "policy", name)), ()) for name in BESIDE]
    sign = hashlib.sha256(repr([(name, version) for name, version, _sources in wanted]).encode()).hexdigest()[:12]
    root = directory() / f"{image}-{sign}"
    if not root.is_dir():
        _unpack(wanted, root)
    return Kernel(root)


def _image_package(depends: str, suite: str) -> str:
    """The kernel package out of what C(apt-cache depends) prints of the meta package."""
    found = re.search(r"Depends: (linux-image-\S+)", depends)
    if found is None and suite:
        raise MissingError(
            f"A guest's kernel is the package {META}, and {SUITE}={suite} leads to none. "
            "Name a suite that this machine's archive of Debian has, like backports."
        )
    if found is None:
        raise MissingError(
            f"A guest's kernel is the package {META}, which the package sources of this machine have not. "
            "Run apt-get update, or add Debian's main section to them."
        )
    return found[1]


def _version(name: str, policy: str) -> str:
    """The version of a package that C(apt-cache policy) would install."""
    found = re.search(r"Candidate: (\S+)", policy)
    if found is None or found[1] == "(none)":
        raise MissingError(f"A guest needs the package {name}, which the package sources lack. Run apt-get update.")
    return found[1]


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    return done.stdout


def _unpack(wanted: Sequence[tuple[str, str, Sequence[str]]], root: Path) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent) as place:
        for name, version, sources in wanted:
            # Root downloads without the sandbox's user, who may not write here.
            command = ["apt-get", *sources, "-o", "APT::Sandbox::User=root", "download", f"{name}={version}"]
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
            if done.returncode:
                raise MissingError(
                    f"apt-get download {name}={version} failed: {done.stderr.strip()}. Run apt-get update."
                )
        content = Path(place) / "root"
        for package in sorted(Path(place).glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(package), str(content)], check=True)
        # What the package's own script would do; the program takes its task from the name that it is called by.
        depmod = ["depmod", "--basedir", str(content), Kernel(content).release]
        subprocess.run(depmod, executable=str(content / "bin" / "kmod"), check=True)
        content.chmod(0o755)
        content.rename(root)
