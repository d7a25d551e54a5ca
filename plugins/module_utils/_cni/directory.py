# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directory of CNI network configurations: put a file there, and tell which one the container runtime takes.

Private to podnet.cni: may change in any release.

The order and what counts as valid are libcni's, as containerd (go-cni opts.go, loadFromConfDir) and CRI-O (ocicni
pkg/ocicni/ocicni.go, loadNetworks) use it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._cni import multus
from ansible_collections.podnet.cni.plugins.module_utils._cni.conflist import programs, render
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host import atomic_file

EXTENSIONS = (".conf", ".conflist", ".json")


class Candidate(NamedTuple):
    """A file that a runtime would read; C(problem) is empty for a valid one.

    C(delegate) is the name or file of the network that a file of Multus hands pods on to, empty when it does not
    tell; None for every other file.
    """

    file: str
    network: str
    problem: str = ""
    delegate: str | None = None


@dataclass(frozen=True)
class Observed:
    """The configuration directory: text of every file that a runtime would read, plus obsolete files that exist.

    A value is None where the file cannot be read; C(reasons) then says why.
    """

    texts: Mapping[str, str | None]
    reasons: Mapping[str, str]
    obsolete: tuple[str, ...]


@dataclass(frozen=True)
class ConflistPlan:
    """C(write) is the new text or None; C(remove) are file names; C(texts) is the directory afterwards."""

    write: str | None
    remove: tuple[str, ...]
    actions: tuple[str, ...]
    texts: Mapping[str, str | None]
    reasons: Mapping[str, str]

    def __bool__(self) -> bool:
        return bool(self.actions)


def missing_plugins(document: Mapping[str, Any], directories: Sequence[str]) -> str:
    """Return a message about the plugins that are an executable file in none of C(directories), empty when all are."""
    missing = [
        name
        for name in programs(document)
        if not any(_executable(os.path.join(directory, name)) for directory in directories)
    ]
    if not missing:
        return ""
    return (
        f"CNI plugins {', '.join(missing)} are not executable files in {', '.join(directories)}: install them (Debian: "
        "package containernetworking-plugins; flannel: github.com/flannel-io/cni-plugin), name their directory in "
        "plugin_dirs, or set validate_plugins=false"
    )


def _executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def observe(conf_dir: str, obsolete: Iterable[str] = ()) -> Observed:
    """Read the directory; one that is missing is an empty one."""
    texts: dict[str, str | None] = {}
    reasons: dict[str, str] = {}
    try:
        names = os.listdir(conf_dir)
    except FileNotFoundError:
        names = []
    except OSError as error:
        raise PodnetError(f"cannot list {conf_dir}: {error.strerror}") from error
    for name in names:
        path = os.path.join(conf_dir, name)
        if _extension(name) in EXTENSIONS and not (os.path.isdir(path) and not os.path.islink(path)):
            try:
                texts[name] = atomic_file.observe(path).text
            except PodnetError as error:
                texts[name], reasons[name] = None, str(error)
    return Observed(texts, reasons, tuple(name for name in obsolete if name in names))


def plan(filename: str, document: Mapping[str, Any] | None, observed: Observed) -> ConflistPlan:
    """Compare and say what is to be done; pure.

    C(document) None means that the file is to be absent. A file that holds the same JSON in another layout is kept.
    """
    write = None
    remove = list(observed.obsolete)
    actions = []
    present = filename in observed.texts
    if document is None:
        if present:
            remove.insert(0, filename)
    elif not (present and _same(observed.texts[filename], document)):
        write = render(document)
        actions.append(f"{'change' if present else 'create'} {filename}")
    actions.extend(f"remove {name}" for name in remove)
    texts = {name: text for name, text in observed.texts.items() if name not in remove}
    if write is not None:
        texts[filename] = write
    reasons = {name: reason for name, reason in observed.reasons.items() if texts.get(name, "") is None}
    return ConflistPlan(write, tuple(remove), tuple(actions), texts, reasons)


def apply(conf_dir: str, filename: str, conflist_plan: ConflistPlan) -> None:
    """Carry the plan out: the new file first, then the removals, so that there is always a network to pick."""
    if conflist_plan.write is not None:
        atomic_file.write(os.path.join(conf_dir, filename), conflist_plan.write)
    for name in conflist_plan.remove:
        atomic_file.remove(os.path.join(conf_dir, name))


def candidates(texts: Mapping[str, str | None], reasons: Mapping[str, str] | None = None) -> list[Candidate]:
    """Return the files in the order in which runtimes take them, each with what is wrong with it."""
    made = []
    for name in sorted(texts):
        text = texts[name]
        if text is None:
            made.append(Candidate(name, "", (reasons or {}).get(name, "there is no such file")))
        else:
            made.append(_candidate(name, text))
    return made


def winner(files: Sequence[Candidate]) -> str | None:
    """Return the first valid file: the one whose network pods get."""
    return next((candidate.file for candidate in files if not candidate.problem), None)


def warnings(filename: str, files: Sequence[Candidate], texts: Mapping[str, str | None]) -> list[str]:
    """Return what a user has to know about the order of the files, for a configuration that is in place.

    C(texts) are the files' own, by name.
    """
    told = []
    first = winner(files)
    meta = next((each for each in files if each.file == first and each.delegate is not None), None)
    if meta is not None and first != filename:
        ours = next((each.network for each in files if each.file == filename), "")
        document = _document(texts.get(filename))
        problem = multus.problem(meta.file, texts.get(meta.file), filename, ours, document)
        told += [problem] if problem else []
    elif first is not None and first != filename:
        told.append(
            f"the container runtime takes {first}, not {filename}: its name sorts first. "
            f"Remove it (option obsolete) or choose a filename that sorts before it"
        )
    for candidate in files:
        if candidate.file == (first or filename):
            break
        told.append(
            f"{candidate.file} is invalid ({candidate.problem}) and sorts before {first or filename}: "
            "CRI-O passes over it, containerd sets up no pod while it is there"
        )
    return told


def diff(conf_dir: str, observed: Observed, conflist_plan: ConflistPlan) -> list[dict[str, str]]:
    """Return Ansible's diff: one entry for each file that changes."""
    return [
        {
            "before_header": os.path.join(conf_dir, name),
            "after_header": os.path.join(conf_dir, name),
            "before": observed.texts.get(name) or "",
            "after": conflist_plan.texts.get(name) or "",
        }
        for name in sorted({*observed.texts, *conflist_plan.texts, *conflist_plan.remove})
        if observed.texts.get(name) != conflist_plan.texts.get(name) or name in conflist_plan.remove
    ]


def _extension(name: str) -> str:
    dot = name.rfind(".")
    return name[dot:] if dot >= 0 else ""


def _same(text: str | None, document: Mapping[str, Any]) -> bool:
    try:
        return json.dumps(json.loads(text or ""), sort_keys=True) == json.dumps(document, sort_keys=True)
    except ValueError:
        return False


def _candidate(name: str, text: str) -> Candidate:
    try:
        document = json.loads(text)
    except ValueError as error:
        return Candidate(name, "", f"no JSON: {error}")
    if not isinstance(document, dict):
        return Candidate(name, "", "no JSON object")
    network = document.get("name", "")
    if not isinstance(network, str):
        return Candidate(name, "", "its name is not a string")
    found = multus.delegation(document)
    return Candidate(name, network, _problem(name, document), found.target if found is not None else None)


def _document(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except ValueError:
        return None


def _problem(name: str, document: Mapping[str, Any]) -> str:
    """Return why libcni refuses the document, empty when it does not."""
    if not name.endswith(".conflist"):
        return "" if document.get("type") else "it has no plugin type"
    plugins = document.get("plugins")
    if not document.get("name"):
        return "it has no name"
    if not isinstance(plugins, list) or not plugins:
        return "it has no plugins"
    if not all(isinstance(plugin, dict) and plugin.get("type") for plugin in plugins):
        return "a plugin has no type"
    return ""
