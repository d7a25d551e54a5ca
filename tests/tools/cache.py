# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which programs the tests run, and where they are found.

A program is looked for in KUBEBUILDER_ASSETS, in /usr/local/kubebuilder/bin, in the cache that build.py fills, and in
the official release of Kubernetes, which is downloaded with its checksum where there is a network.
"""

from __future__ import annotations

import hashlib
import os
import platform
import urllib.request
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
KUBEBUILDER = Path("/usr/local/kubebuilder/bin")
RELEASES = "https://dl.k8s.io/release"
"""The Kubernetes project's own release host."""

DOWNLOAD_TIMEOUT = 10.0
DEFAULT_KUBE = "1.36"
KUBERNETES = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
)
MANIFEST = "Documentation/kube-flannel.yml"
"""flannel's own manifest, in its module."""

# Hundreds of tests ask; a host that does not answer is waited for once.
_refused: dict[str, Missing] = {}


class Missing(Exception):
    """No usable program; the text says where was looked and what helps."""


@dataclass(frozen=True)
class ToolSet:
    """A Go module whose tools are built together. `programs` maps the name that Go gives to the one the tests use;
    `module` is the one whose version the set carries, `version_variable` the variable that takes it at link time,
    `files` are paths in that module of what is kept beside the programs.
    """

    name: str
    module: str
    programs: dict[str, str]
    version_variable: str = ""
    cgo: bool = False
    files: tuple[str, ...] = ()

    @property
    def source(self) -> Path:
        """The directory of go.mod and go.sum."""
        return HERE / self.name


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def flannel(minor: str) -> ToolSet:
    """The set of one flannel minor release. From 0.28.6 on, the image has a program that installs the conflist."""
    # cgo: the backend udp has C in it on amd64.
    programs = {"flannel": "flanneld", **({} if minor == "0.27" else {"install_conf": "install-conf"})}
    variable = "github.com/flannel-io/flannel/pkg/version.Version"
    return ToolSet(f"flannel-{minor}", "github.com/flannel-io/flannel", programs, variable, cgo=True, files=(MANIFEST,))


HELM = ToolSet("helm", "helm.sh/helm/v3", _same("helm"))
_AGENT = "sigs.k8s.io/kube-network-policies"
NETWORK_POLICY = ToolSet("network-policy", _AGENT, {"cmd": "kube-network-policies"})


def _definitions(minor: str, *kinds: str) -> ToolSet:
    """The definitions of admin policies of one release, without programs."""
    files = tuple(f"config/crd/experimental/policy.networking.k8s.io_{kind}.yaml" for kind in kinds)
    return ToolSet(f"network-policy-api-{minor}", "sigs.k8s.io/network-policy-api", {}, files=files)


NEWER_NETWORK_POLICY = ToolSet(
    "network-policy-1.1",
    _AGENT,
    {name: f"kube-network-policies-{name}" for name in ("standard", "npa-v1alpha1", "npa-v1alpha2")},
)
ADMIN_POLICIES = {
    "npa-v1alpha1": _definitions("0.1", "adminnetworkpolicies", "baselineadminnetworkpolicies"),
    "npa-v1alpha2": _definitions("0.2", "clusternetworkpolicies"),
}
"""The definitions that a flavour of the agent needs."""

FULL_ONLY = (NEWER_NETWORK_POLICY, *ADMIN_POLICIES.values())
"""What the guest of `make test-full` needs besides, and nothing else."""

_OTHERS = (
    ToolSet(
        "etcd",
        "go.etcd.io/etcd/server/v3",
        {"server": "etcd", "etcdctl": "etcdctl", "etcdutl": "etcdutl"},
    ),
    HELM,
    ToolSet(
        "cni-plugins",
        "github.com/containernetworking/plugins",
        _same("bridge", "host-local", "loopback", "portmap"),
    ),
    # The last reference plugins that had flannel's own: not every module proxy serves the module of today.
    ToolSet("flannel-cni", "github.com/containernetworking/plugins", _same("flannel")),
    NETWORK_POLICY,
    # The first that has a program gives it, so today's release of flannel comes first.
    flannel("0.28"),
    flannel("0.27"),
)


def kube_minor() -> str:
    """The Kubernetes minor release that is asked for: KUBE, or the default. Raises Missing when it is not pinned."""
    minor = os.environ.get("KUBE") or DEFAULT_KUBE
    if not (HERE / f"kubernetes-{minor}" / "go.mod").is_file():
        raise Missing(f"KUBE is {minor!r}, and only these are pinned: {', '.join(kube_minors())}.")
    return minor


def kube_minors() -> list[str]:
    """The Kubernetes minor releases that are pinned."""
    return sorted(path.parent.name.removeprefix("kubernetes-") for path in HERE.glob("kubernetes-*/go.mod"))


def kubernetes(minor: str) -> ToolSet:
    """The set of one Kubernetes minor release."""
    variable = "k8s.io/component-base/version.gitVersion"
    return ToolSet(f"kubernetes-{minor}", "k8s.io/kubernetes", _same(*KUBERNETES), variable)


def all_sets() -> list[ToolSet]:
    """Every set."""
    return [*(kubernetes(minor) for minor in kube_minors()), *_OTHERS, *FULL_ONLY]


def needed() -> list[ToolSet]:
    """The sets that a run of all tests uses: one Kubernetes, and the rest. Raises Missing."""
    return [*_OTHERS, kubernetes(kube_minor())]


def module_version(tools: ToolSet) -> str:
    """The version that go.mod pins, like v1.36.3."""
    for line in (tools.source / "go.mod").read_text(encoding="utf-8").splitlines():
        words = line.removeprefix("require").split()
        if words[:1] == [tools.module] and len(words) > 1:
            return words[1]
    raise Missing(f"{tools.source / 'go.mod'} does not require {tools.module}")


def base() -> Path:
    """The directory of the caches."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podnet.cni" / "tools"


def directory(tools: ToolSet) -> Path:
    """Where the set is when it is built. A changed pin gives another directory."""
    pinned = b"".join((tools.source / name).read_bytes() for name in ("go.mod", "go.sum"))
    return base() / f"{tools.name}-{hashlib.sha256(pinned).hexdigest()[:16]}"


def complete(tools: ToolSet) -> bool:
    """Whether every program of the set is built, and every file of it there."""
    programs = all(os.access(directory(tools) / name, os.X_OK) for name in tools.programs.values())
    return programs and all((directory(tools) / Path(path).name).is_file() for path in tools.files)


def provided(tools: ToolSet) -> bool:
    """Whether every program and file of the set can be had without building it."""
    if tools.files:
        return complete(tools)
    try:
        for name in tools.programs.values():
            find(name, tools)
    except Missing:
        return False
    return True


def find(name: str, tools: ToolSet | None = None) -> Path:
    """The path of a program; of the first set that has it where none is given. Raises Missing."""
    if tools is None:
        tools = next((each for each in needed() if name in each.programs.values()), None)
        if tools is None:
            raise Missing(f"no set of tests/tools has a program {name}")
    # The assets are one Kubernetes release with its etcd.
    assets = _assets() if name in (*KUBERNETES, "etcd") else []
    for place in (*assets, directory(tools)):
        if os.access(place / name, os.X_OK):
            return place / name
    places = ", ".join(str(place) for place in (*assets, directory(tools)))
    lacking = f"no {name} in {places}; {_how(tools, 'builds')}"
    if name not in KUBERNETES:
        raise Missing(lacking)
    return _download(name, module_version(tools), lacking)


def manifest(tools: ToolSet) -> Path:
    """flannel's own manifest of this release. Raises Missing."""
    return files(tools)[0]


def files(tools: ToolSet) -> list[Path]:
    """The set's files. Raises Missing."""
    paths = [directory(tools) / Path(path).name for path in tools.files]
    for path in paths:
        if not path.is_file():
            raise Missing(f"no {path}; {_how(tools, 'gets')}")
    return paths


def _how(tools: ToolSet, verb: str) -> str:
    command = f"tests/tools/build.py {tools.name}" if tools in FULL_ONLY else "make tools"
    return f"`{command}` {verb} it where Go 1.26 and a module proxy are at hand"


def _assets() -> list[Path]:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    return [*([Path(assets)] if assets else []), KUBEBUILDER]


def _download(name: str, release: str, lacking: str) -> Path:
    target = base() / f"download-{release}" / name
    if os.access(target, os.X_OK):
        return target
    if release in _refused:
        raise Missing(f"{lacking}; {_refused[release]}")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    url = f"{RELEASES}/{release}/bin/linux/{machine}/{name}"
    try:
        wanted = _fetch(f"{url}.sha256").decode().split()[0]
        content = _fetch(url)
    except (OSError, IndexError, UnicodeDecodeError) as error:
        _refused[release] = Missing(f"{url} cannot be had: {error}")
        raise Missing(f"{lacking}; {_refused[release]}") from error
    if hashlib.sha256(content).hexdigest() != wanted:
        raise Missing(f"{url} does not have the checksum its release states")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}")
    partial.write_bytes(content)
    partial.chmod(0o755)
    partial.replace(target)
    return target


def _fetch(url: str) -> bytes:
    with urllib.request.build_opener().open(url, timeout=DOWNLOAD_TIMEOUT) as reply:
        content: bytes = reply.read()
    return content
