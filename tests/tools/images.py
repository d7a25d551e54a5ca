# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The container images of the test clusters, made of the programs that tests run and of Debian's, without a network.

images.py             make what the cache has not, and print the archives
images.py pause ...   only these

Each image has the name and the tag of upstream's, so that roles use it as they would use that one. An archive is kept
beside the programs under a hash of all that is in it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import cache

SETS = {tools.name: tools for tools in cache.all_sets()}
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
IPTABLES = tuple(f"{family}{suffix}" for family in ("iptables", "ip6tables") for suffix in ("", "-save", "-restore"))
PACKAGES = {
    "buildah": "buildah",
    "busybox": "busybox-static",
    "catatonit": "catatonit",
    "ip": "iproute2",
    "nft": "nftables",
    "python3": "python3",
    "xtables-nft-multi": "iptables",
}


@dataclass(frozen=True)
class Image:
    """An image. C(programs) are paths in it with their set and program in tests/tools, C(system) programs of Debian's
    with their directory, which bring their libraries, and C(links) further names for a program.
    """

    name: str
    command: tuple[str, ...]
    programs: dict[str, tuple[str, str]] = field(default_factory=dict)
    system: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


def _busybox(*names: str) -> dict[str, str]:
    return {f"/bin/{name}": "/bin/busybox" for name in names}


def _flannel(tag: str, tools: str, *, install_conf: bool) -> Image:
    programs = {"/opt/bin/flanneld": (tools, "flanneld")}
    if install_conf:
        programs["/opt/bin/install-conf"] = (tools, "install-conf")
    return Image(
        f"ghcr.io/flannel-io/flannel:{tag}",
        ("/opt/bin/flanneld",),
        programs,
        {"ip": "/sbin", "nft": "/usr/sbin", "xtables-nft-multi": "/usr/sbin", "busybox": "/bin"},
        {**{f"/usr/sbin/{name}": "xtables-nft-multi" for name in IPTABLES}, **_busybox("sh", "cp", "cat")},
    )


def _cni_plugin(tag: str) -> Image:
    return Image(
        f"ghcr.io/flannel-io/flannel-cni-plugin:{tag}",
        ("/bin/sh",),
        {"/flannel": ("flannel-cni", "flannel")},
        {"busybox": "/bin"},
        _busybox("sh", "cp"),
    )


CLIENT = "localhost/podnet-client:1"
PYTHON = "localhost/podnet-python:1"
# Only clusters that run the admission server take this one.
SERVER = "python"
IMAGES = {
    "pause": Image("registry.k8s.io/pause:3.10", ("/usr/bin/catatonit", "-P"), system={"catatonit": "/usr/bin"}),
    "client": Image(
        CLIENT,
        ("/bin/sh",),
        system={"busybox": "/bin"},
        links=_busybox("sh", "nc", "ping", "ip", "sleep", "cat", "echo", "hostname", "wget", "httpd"),
    ),
    "flannel": _flannel("v0.28.9", "flannel-0.28", install_conf=True),
    "flannel-old": _flannel("v0.27.4", "flannel-0.27", install_conf=False),
    # what the manifests of the two releases name
    "flannel-cni-plugin": _cni_plugin("v1.9.1-flannel3"),
    "flannel-cni-plugin-old": _cni_plugin("v1.8.0-flannel1"),
    "network-policies": Image(
        "registry.k8s.io/networking/kube-network-policies:v0.8.0",
        ("/bin/netpol",),
        {"/bin/netpol": ("network-policy", "kube-network-policies")},
    ),
    # Debian's Python stands for the stock image that the admission server runs on.
    SERVER: Image(PYTHON, ("/usr/bin/python",), system={"python3": "/usr/bin"}, links={"/usr/bin/python": "python3"}),
}
# What a server has no use for.
LEFT_OUT = {"__pycache__", "dist-packages", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tkinter"}


def archive(name: str) -> Path:
    """The archive of an image, made unless it is in the cache. Raises cache.Missing for a program that is lacking."""
    image = IMAGES[name]
    files = dict(_files(image))
    target = cache.base() / f"image-{name}-{_hash(image, files)}.tar"
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".image-", dir=target.parent) as folder:
        _build(image, files, Path(folder))
        (Path(folder) / "image.tar").replace(target)
    for old in target.parent.glob(f"image-{name}-????????????????.tar"):
        if old != target:
            old.unlink(missing_ok=True)
    return target


def _files(image: Image) -> Iterator[tuple[str, Path]]:
    """What is in the image: a path in it, and the file of this machine."""
    for path, (tools, program) in image.programs.items():
        source = cache.find(program, SETS[tools])
        yield path, source
        yield from _libraries(source)
    for program, folder in image.system.items():
        source = _system(program)
        yield f"{folder}/{program}", source
        yield from _libraries(source)
        if program == "xtables-nft-multi":
            # Extensions such as -m comment are loaded at run time, from a directory that is compiled in.
            yield from ((str(each), each) for each in sorted(Path("/usr/lib").glob("*/xtables/*.so")))
        if program == "python3":
            yield from _standard_library(source)


def _system(program: str) -> Path:
    found = shutil.which(program, path=PATH)
    if found is None:
        raise cache.Missing(f"there is no {program} on this machine: apt-get install {PACKAGES[program]}")
    return Path(found).resolve()


def _libraries(program: Path) -> Iterator[tuple[str, Path]]:
    """The shared libraries of a program and their loader; none for a static one."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    for path in re.findall(r"(?:=> |^\s*)(/\S+) \(0x", listed, re.MULTILINE):
        yield path, Path(path)


def _standard_library(python: Path) -> Iterator[tuple[str, Path]]:
    """The modules of a Python and the libraries of those that are compiled."""
    ask = [python, "-Ic", "import sysconfig; print(sysconfig.get_path('stdlib'))"]
    root = Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".so") and not LEFT_OUT & set(path.relative_to(root).parts):
            yield str(path), path
            if path.suffix == ".so":
                yield from _libraries(path)


def _hash(image: Image, files: dict[str, Path]) -> str:
    digest = hashlib.sha256(repr(image).encode())
    for path in sorted(files):
        digest.update(path.encode() + b"\0" + hashlib.sha256(files[path].read_bytes()).digest())
    return digest.hexdigest()[:16]


def _build(image: Image, files: dict[str, Path], folder: Path) -> None:
    """Write folder/image.tar by buildah, which needs no daemon and no network for an image from nothing."""
    root = folder / "root"
    for path, source in files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
        target.chmod(0o755)
    for path, program in image.links.items():
        link = root / path.lstrip("/")
        link.symlink_to(program)
    for name in ("tmp", "etc", "run", "proc", "sys", "dev"):
        (root / name).mkdir(exist_ok=True)
    words = ", ".join(f'"{word}"' for word in image.command)
    (folder / "Containerfile").write_text(f"FROM scratch\nCOPY root /\nENV PATH={PATH}\nENTRYPOINT [{words}]\n")
    storage = ["--storage-driver=vfs", f"--root={folder / 'storage'}", f"--runroot={folder / 'run'}"]
    buildah = [str(_system("buildah")), *storage]
    build = ["build", "--isolation=chroot", "--timestamp=0", "--format=docker", "--quiet"]
    # By default it leaves a lock in /etc/cni/net.d, which hosts of a lab would see as theirs.
    settings = folder / "containers.conf"
    settings.write_text(f'[network]\nnetwork_config_dir = "{folder / "net.d"}"\n')
    environment = {**os.environ, "CONTAINERS_CONF": str(settings)}
    _run([*buildah, *build, f"--tag={image.name}", str(folder)], environment)
    archive = f"docker-archive:{folder / 'image.tar'}:{image.name}"
    _run([*buildah, "push", "--quiet", image.name, archive], environment)


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed with {done.returncode}: {done.stderr.strip()[-1000:]}")


def main() -> int:
    """Make the images and print their archives; 1 when one cannot be made."""
    names = sys.argv[1:] or list(IMAGES)
    unknown = [name for name in names if name not in IMAGES]
    if unknown:
        print(f"images.py: no image {', '.join(unknown)}; there are {', '.join(IMAGES)}", file=sys.stderr)
        return 2
    code = 0
    for name in names:
        try:
            print(archive(name), flush=True)
        except cache.Missing as reason:
            print(f"images.py: no image {name}: {reason}", file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
