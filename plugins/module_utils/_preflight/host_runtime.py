# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The container runtime of a host: where it looks for CNI configurations and plugins, and what it finds there.

Private to podnet.cni: may change in any release.

Names and defaults are those of containerd (docs/cri/config.md: the table is plugins.cri.cni in version 1 of its
configuration, plugins."io.containerd.grpc.v1.cri".cni in 2 and plugins.'io.containerd.cri.v1.runtime'.cni in 3) and of
CRI-O (docs/crio.conf.5.md, [crio.network]). k3s and RKE2 write a configuration of containerd of their own.
"""

from __future__ import annotations

import json
import re
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._cni import directory as cni_directory
from ansible_collections.podnet.cni.plugins.module_utils._cni.conflist import programs
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_files import Files

REFERENCE_PLUGINS = ("bridge", "host-local", "loopback", "portmap")
"""What flannel's conflist needs, and none of flannel's images brings."""
PLUGIN_DIRS = ("/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni")
"""Where packages put plugins."""
CONF_DIR = "/etc/cni/net.d"

# Name -> its configuration, the plugin directory it has without one, and what shows that it is there.
_CONTAINERDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "k3s": (
        "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
        ("/var/lib/rancher/k3s/agent/etc/containerd/config.toml",),
    ),
    "rke2": (
        "/var/lib/rancher/rke2/agent/etc/containerd/config.toml",
        ("/var/lib/rancher/rke2/agent/etc/containerd/config.toml",),
    ),
    "containerd": (
        "/etc/containerd/config.toml",
        ("/run/containerd/containerd.sock", "/usr/bin/containerd", "/usr/local/bin/containerd"),
    ),
}
_CRIO_FILE = "/etc/crio/crio.conf"
_CRIO_SIGNS = ("/run/crio/crio.sock", "/var/run/crio/crio.sock", "/usr/bin/crio", "/usr/local/bin/crio")
_CNI_TABLES = (
    ("plugins", "io.containerd.cri.v1.runtime", "cni"),
    ("plugins", "io.containerd.grpc.v1.cri", "cni"),
    ("plugins", "cri", "cni"),
)
_HEADER = re.compile(r"\[([^\[\]]+)\]\s*(?:#.*)?\Z")
_KEY_PART = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*(\.|\Z)""")
_MEMBER = re.compile(r"([A-Za-z0-9_-]+)\s*=\s*(.*)\Z", re.DOTALL)
_STRING = re.compile(r""""((?:[^"\\]|\\.)*)"|'([^']*)'""")


def owners(files: Files) -> list[str]:
    """What makes its own network on this host: k3s, rke2 or neither. Each has its configuration or its data there."""
    return [
        name
        for name in ("k3s", "rke2")
        if files.exists(f"/etc/rancher/{name}") or files.exists(f"/var/lib/rancher/{name}")
    ]


def parse_toml(text: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """Return the members of each table of a TOML text, by the table's path.

    Texts, whole numbers, truth values and lists of texts are read; other values are left out. This is enough for what
    runtimes say of CNI, and Python brings no reader for TOML before 3.11.
    """
    tables: dict[tuple[str, ...], dict[str, Any]] = {}
    path: tuple[str, ...] = ()
    pending = ""
    for line in text.splitlines():
        stripped = line.strip()
        if pending:
            pending += " " + stripped
        elif not stripped or stripped.startswith("#"):
            continue
        else:
            header = _HEADER.match(stripped)
            if header:
                path = _table_path(header.group(1))
                continue
            pending = stripped
        member = _MEMBER.match(pending)
        if member and member.group(2).startswith("[") and "]" not in member.group(2):
            continue
        pending = ""
        if member:
            value = _toml_value(member.group(2))
            if value is not None:
                tables.setdefault(path, {})[member.group(1)] = value
    return tables


def _table_path(text: str) -> tuple[str, ...]:
    parts = []
    position = 0
    while position < len(text):
        part = _KEY_PART.match(text, position)
        if part is None:
            return ()
        parts.append(part.group(1) or part.group(2) or part.group(3) or "")
        position = part.end()
    return tuple(parts)


def _toml_value(text: str) -> Any:
    if text.startswith("["):
        return [double or single for double, single in _STRING.findall(text[: text.rindex("]")])]
    quoted = _STRING.match(text)
    if quoted:
        return quoted.group(1) or quoted.group(2) or ""
    word = text.split("#", 1)[0].strip()
    if word in ("true", "false"):
        return word == "true"
    return int(word) if word.isdigit() else None


def runtime(files: Files, run: Run, conf_dir: str | None = None, plugin_dirs: Sequence[str] = ()) -> dict[str, Any]:
    """Return the runtime's name, version, configuration and CNI directories.

    C(conf_dir) and C(plugin_dirs) overrule what the runtime's configuration says. Where several runtimes are installed,
    the order is k3s, RKE2, containerd, CRI-O, unless only one of them has its socket.
    """
    found = _find(files, run)
    if conf_dir:
        found["conf_dir"] = conf_dir
    if plugin_dirs:
        found["plugin_dirs"] = list(plugin_dirs)
    return found


def _find(files: Files, run: Run) -> dict[str, Any]:
    crio = files.first(_CRIO_SIGNS)
    for name, (config, signs) in _CONTAINERDS.items():
        sign = files.first(signs)
        if sign and not (name == "containerd" and crio and crio.endswith(".sock") and not sign.endswith(".sock")):
            return _containerd(files, run, name, config)
    if crio:
        return _crio(files, run)
    return {**_nothing(), "plugin_dirs": list(PLUGIN_DIRS)}


def _nothing() -> dict[str, Any]:
    return {
        "name": None,
        "version": None,
        "config_file": None,
        "config_version": None,
        "conf_dir": CONF_DIR,
        "plugin_dirs": ["/opt/cni/bin"],
        "default_network": None,
        "cri_disabled": False,
    }


def _containerd(files: Files, run: Run, name: str, config: str) -> dict[str, Any]:
    found = {**_nothing(), "name": name, "version": _version(run, "containerd") if name == "containerd" else None}
    if not files.exists(config):
        return found
    found["config_file"] = config
    root: dict[str, Any] = {}
    cni: dict[str, Any] = {}
    for path in _with_imports(files, config):
        tables = parse_toml(files.text(path) or "")
        root.update(tables.get((), {}))
        for table in _CNI_TABLES:
            cni.update(tables.get(table, {}))
    found["config_version"] = root.get("version", 1)
    found["conf_dir"] = cni.get("conf_dir") or found["conf_dir"]
    one = [cni["bin_dir"]] if cni.get("bin_dir") else []
    found["plugin_dirs"] = cni.get("bin_dirs") or one or found["plugin_dirs"]
    disabled = root.get("disabled_plugins") or []
    found["cri_disabled"] = any(plugin in ("cri", "io.containerd.grpc.v1.cri") for plugin in disabled)
    return found


def _with_imports(files: Files, config: str) -> list[str]:
    folder = config.rpartition("/")[0]
    patterns = fields.sequence(parse_toml(files.text(config) or "").get(()), "imports")
    paths = [config]
    for pattern in patterns:
        paths += files.matching(pattern if pattern.startswith("/") else f"{folder}/{pattern}")
    return paths


def _crio(files: Files, run: Run) -> dict[str, Any]:
    found = {**_nothing(), "name": "cri-o", "version": _version(run, "crio")}
    network: dict[str, Any] = {}
    paths = [_CRIO_FILE] if files.exists(_CRIO_FILE) else []
    paths += files.layered(["/etc/crio/crio.conf.d"], "")
    for path in paths:
        network.update(parse_toml(files.text(path) or "").get(("crio", "network"), {}))
        found["config_file"] = path
    found["conf_dir"] = (network.get("network_dir") or found["conf_dir"]).rstrip("/")
    found["plugin_dirs"] = [path.rstrip("/") or "/" for path in network.get("plugin_dirs") or found["plugin_dirs"]]
    found["default_network"] = network.get("cni_default_network") or None
    return found


def _version(run: Run, program: str) -> str | None:
    try:
        code, out, _err = run([program, "--version"], None)
    except FileNotFoundError:
        return None
    matched = re.search(r"\bv?(\d+\.\d+\.\d+\S*)", out) if code == 0 else None
    return matched.group(1) if matched else None


def cni(files: Files, conf_dir: str, plugin_dirs: Sequence[str], also: Sequence[str] = ()) -> dict[str, Any]:
    """Return the configurations in the order in which runtimes take them, the winner, and where its plugins are.

    Asked for are the reference plugins, those in C(also), and what the winning configuration calls. C(plugins) maps a
    name to its path in C(plugin_dirs), null where it is an executable file in none; C(elsewhere) maps those to a
    directory of packages that has them.
    """
    observed = cni_directory.observe(files.path(conf_dir))
    candidates = cni_directory.candidates(observed.texts, observed.reasons)
    winner = cni_directory.winner(candidates)
    needed = list(REFERENCE_PLUGINS) + list(also)
    entries = []
    for candidate in candidates:
        types, called = _called(observed.texts.get(candidate.file))
        entries.append({**candidate._asdict(), "plugins": types})
        if candidate.file == winner:
            needed += called
    plugins = {}
    elsewhere = {}
    for name in dict.fromkeys(needed):
        places = [f"{folder}/{name}" for folder in plugin_dirs]
        plugins[name] = next((path for path in places if files.executable(path)), None)
        if plugins[name] is None:
            other = next((folder for folder in PLUGIN_DIRS if files.executable(f"{folder}/{name}")), None)
            if other:
                elsewhere[name] = other
    return {
        "conf_dir": conf_dir,
        "plugin_dirs": list(plugin_dirs),
        "files": entries,
        "other_files": [name for name in files.names(conf_dir) if name not in observed.texts],
        "winner": winner,
        "plugins": plugins,
        "elsewhere": elsewhere,
    }


def _called(text: str | None) -> tuple[list[str], list[str]]:
    """The types of a configuration's plugins, and all the programs that it makes the runtime call."""
    try:
        document = json.loads(text or "")
        plugins = document.get("plugins", [document])
        return [str(plugin["type"]) for plugin in plugins], programs({"plugins": plugins})
    except (ValueError, TypeError, LookupError, AttributeError):
        return [], []
