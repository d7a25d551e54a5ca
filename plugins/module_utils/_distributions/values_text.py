# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values in somebody's YAML changed key by key: what else is there keeps its text, whatever it means; no I/O.

The text is taken apart into nodes and put together again, so that no value goes through a type: C(1.10), C(on) and
C(012) stay what they were. Comments are not kept.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from copy import deepcopy
from importlib import import_module
from typing import Any, Mapping, Sequence, Tuple

from ansible_collections.podnet.cni.plugins.module_utils._distributions import helm
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

Path = Tuple[str, ...]
ABSENT = object()
"""The value of a key that is not there."""


class _Text:
    """A YAML document as nodes."""

    def __init__(self, text: str, where: str) -> None:
        try:
            self.yaml = import_module("yaml")
        except ImportError as error:
            raise InputError(f"Changing YAML needs the Python package PyYAML ({error}), where this runs.") from error
        try:
            documents = list(self.yaml.compose_all(text, Loader=self.yaml.SafeLoader))
        except (self.yaml.YAMLError, RecursionError) as error:
            raise InputError(f"{where} is not valid YAML: {str(error).splitlines()[0]}. Correct it first.") from error
        found = [each for each in documents if each is not None and each.tag != "tag:yaml.org,2002:null"]
        if len(found) > 1:
            raise InputError(f"{where} has {len(found)} documents: keep one.")
        self.top = found[0] if found else self.mapping()
        if not isinstance(self.top, self.yaml.MappingNode):
            raise InputError(f"{where} has no mapping at its top: write one key and its value a line.")

    def mapping(self) -> Any:
        """An empty mapping."""
        return self.yaml.MappingNode("tag:yaml.org,2002:map", [], flow_style=False)

    def get(self, path: Path) -> Any:
        """The node under a path; ABSENT for none. Of a key that comes twice the last counts."""
        node = self.top
        for key in path:
            below = self._members(node)
            if key not in below:
                return ABSENT
            node = below[key]
        return node

    def is_mapping(self, path: Path) -> bool:
        """Whether there is a mapping under a path, or nothing."""
        node = self.get(path)
        return node is ABSENT or isinstance(node, self.yaml.MappingNode)

    def _members(self, node: Any) -> dict[str, Any]:
        if not isinstance(node, self.yaml.MappingNode):
            return {}
        return {each.value: value for each, value in node.value if isinstance(each, self.yaml.ScalarNode)}

    def set(self, path: Path, value: Any) -> None:
        """Put a node under a path. What is in its way and is not a mapping is replaced."""
        node = self.top
        for key in path[:-1]:
            below = self._members(node).get(key)
            # An anchor and its aliases are one node: what is changed here has to be its own.
            made = deepcopy(below) if isinstance(below, self.yaml.MappingNode) else self.mapping()
            self._replace(node, key, made)
            node = made
        self._replace(node, path[-1], value)

    def _replace(self, node: Any, key: str, value: Any) -> None:
        places = [number for number, (each, _value) in enumerate(node.value) if each.value == key]
        name = self.yaml.ScalarNode("tag:yaml.org,2002:str", key)
        if places:
            node.value[places[-1]] = (node.value[places[-1]][0], value)
        else:
            node.value.append((name, value))

    def remove(self, path: Path) -> None:
        """Take a key away, and the mappings above it that are empty then."""
        if self.get(path) is ABSENT:
            return
        above = self.get(path[:-1])
        above.value = [(each, value) for each, value in above.value if each.value != path[-1]]
        if not above.value and len(path) > 1:
            self.remove(path[:-1])

    def node(self, value: Any) -> Any:
        """A plain value as a node."""
        return self.yaml.representer.SafeRepresenter().represent_data(value)

    def text(self) -> str:
        """The document."""
        if not self.top.value:
            return ""
        made: str = self.yaml.serialize(self.top, Dumper=self.yaml.SafeDumper, allow_unicode=True, width=1 << 20)
        return made


def merged(text: str, values: Mapping[Path, Any], where: str) -> str:
    """A YAML text with these values; ABSENT takes a key away. The same text where it says all of that already.

    Raises InputError for a text that is not one YAML mapping.
    """
    document = _Text(text, where)
    changed = False
    for path, value in values.items():
        now = document.get(path)
        if value is ABSENT:
            changed = changed or now is not ABSENT
            document.remove(path)
        elif now is ABSENT or _content(now) != _content(document.node(value)):
            document.set(path, document.node(value))
            changed = True
    return document.text() if changed else text


def _content(node: Any) -> Any:
    """What a node says, whatever its style."""
    if isinstance(node.value, list):
        return [_content(each) for pair in node.value for each in (pair if isinstance(pair, tuple) else (pair,))]
    return node.tag, node.value


def spec_with(spec: Mapping[str, Any], values: Mapping[Path, Any], where: str) -> dict[str, Any]:
    """The spec of a HelmChartConfig with these values, each in C(values) where that has it, else in C(valuesContent).

    C(spec.values) wins over C(spec.valuesContent) (helm-controller doc/helmchart.md). Raises InputError.
    """
    made = deepcopy(dict(spec))
    structured = fields.mapping(made, "values")
    inside = {path: value for path, value in values.items() if _has(structured, path)}
    for path, value in inside.items():
        structured = _with(structured, path, value)
    if inside:
        made["values"] = structured
    rest = {path: value for path, value in values.items() if path not in inside}
    text = merged(fields.text(spec, "valuesContent"), rest, where)
    if text or "valuesContent" in made:
        made["valuesContent"] = text
    return made


def _has(values: Mapping[str, Any], path: Path) -> bool:
    """Whether a path, or something that is in its way, is among structured values."""
    node: Any = values
    for key in path:
        if not isinstance(node, Mapping):
            return True
        if key not in node:
            return False
        node = node[key]
    return True


def _with(values: Mapping[str, Any], path: Path, value: Any) -> dict[str, Any]:
    made = dict(values)
    if len(path) > 1:
        below = _with(fields.mapping(made, path[0]), path[1:], value)
        made[path[0]] = below
        if not below and value is ABSENT:
            del made[path[0]]
    elif value is ABSENT:
        made.pop(path[0], None)
    else:
        made[path[0]] = value
    return made


def undone(now: Mapping[str, Any], made: Mapping[str, Any], former: Mapping[str, Any], paths: Sequence[Path]) -> Any:
    """The spec that takes a change back: C(former) itself while nobody else wrote, else its values under C(paths).

    C(now) is the spec as it is, C(made) the one that was written. Raises InputError for a text that is not YAML.
    """
    if dict(now) == dict(made):
        return deepcopy(dict(former))
    back = deepcopy(dict(now))
    structured, before = fields.mapping(now, "values"), fields.mapping(former, "values")
    document, old = (_Text(fields.text(each, "valuesContent"), "valuesContent") for each in (now, former))
    for path in paths:
        length = next((end for end in range(1, len(path)) if not old.is_mapping(path[:end])), len(path))
        node = old.get(path[:length])
        document.remove(path)
        if node is not ABSENT:
            document.set(path[:length], node)
        structured = _as_before(structured, before, path)
    back["valuesContent"] = document.text()
    if "values" in now or "values" in former:
        back["values"] = structured
    return back


def _as_before(now: Mapping[str, Any], before: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Structured values with what stood under a path, or in its way, before."""
    made = dict(now)
    key, rest = path[0], path[1:]
    if key in before and (not rest or not isinstance(before[key], Mapping)):
        made[key] = deepcopy(before[key])
    elif rest and isinstance(made.get(key), Mapping):
        below = _as_before(made[key], fields.mapping(before, key), rest)
        made[key] = below
        if not below and key not in before:
            del made[key]
    elif not rest:
        made.pop(key, None)
    return made


def structured_with(spec: Mapping[str, Any], values: Mapping[Path, Any]) -> dict[str, Any]:
    """Plain structured values with others merged in."""
    made = deepcopy(dict(spec))
    for path, value in values.items():
        made = _with(made, path, value)
    return made


def structured_undone(now: Mapping[str, Any], former: Mapping[str, Any], paths: Sequence[Path]) -> dict[str, Any]:
    """Plain structured values with what stood under these paths before."""
    made = deepcopy(dict(now))
    for path in paths:
        made = _as_before(made, former, path)
    return made


def manifest_with(text: str, name: str, values: Mapping[Path, Any], path: str) -> str:
    """A manifest whose HelmChartConfig C(name) has these values; its other documents stay as they are written.

    Raises InputError where it has none of that name, and for one that is not YAML.
    """
    parts = list(helm.documents(text))
    for number, (_line, part) in enumerate(parts):
        found, _problems = helm.configs_in(part, path)
        if not any(each["name"] == name for each in found):
            continue
        document = _Text(part, path)
        spec = found[0]["spec"]
        structured = fields.mapping(spec, "values")
        inside = {path_of: value for path_of, value in values.items() if _has(structured, path_of)}
        content = fields.text(spec, "valuesContent")
        after = merged(content, {each: value for each, value in values.items() if each not in inside}, path)
        before = document.text()
        for path_of, value in inside.items():
            if value is ABSENT:
                document.remove(("spec", "values", *path_of))
            else:
                document.set(("spec", "values", *path_of), document.node(value))
        if after != content:
            node = document.node(after)
            node.style = "|"
            document.set(("spec", "valuesContent"), node)
        if document.text() == before:
            return text
        lines = [each for _line, each in parts]
        lines[number] = document.text() if number == len(parts) - 1 else document.text().rstrip("\n")
        return "\n---\n".join(lines)
    raise InputError(f"{path} holds no HelmChartConfig called {name}.")
