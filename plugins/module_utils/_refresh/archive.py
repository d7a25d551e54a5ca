# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one file that a node needs to refresh its peers: the program with the utilities that it imports, and no others.

Private to podnet.cni: may change in any release.

Python starts a ZIP file that holds C(__main__.py) (https://docs.python.org/3/library/zipapp.html).
"""

from __future__ import annotations

import ast
import io
import zipfile
from pathlib import Path
from typing import Iterator

FILE_NAME = "overlay-refresh.pyz"
_UTILITIES = "ansible_collections.podnet.cni.plugins.module_utils"
_PROGRAM = "_refresh.program"
_MAIN = f"""\
import runpy

runpy.run_module("{_UTILITIES}.{_PROGRAM}", run_name="__main__")
"""
# The oldest time that a ZIP file knows. Equal sources then make equal bytes, whenever and wherever.
_TIME = (1980, 1, 1, 0, 0, 0)


def build(root: Path) -> bytes:
    """Return the file for the utilities below C(root), the folder module_utils.

    Equal sources give equal bytes with any Python and zlib, since nothing is compressed. Raises OSError for a utility
    that is imported and cannot be read.
    """
    files = {"__main__.py": _MAIN.encode("ascii")}
    for name, content in _closure(root).items():
        folder = _UTILITIES.replace(".", "/")
        files[f"{folder}/{name}"] = content
        # A folder of a ZIP file is a package only with this.
        parts = f"{folder}/{name}".split("/")[:-1]
        for length in range(1, len(parts) + 1):
            files.setdefault("/".join([*parts[:length], "__init__.py"]), b"")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name])
    return stream.getvalue()


def _closure(root: Path) -> dict[str, bytes]:
    """The program and all utilities that it imports, by their path below C(root)."""
    found: dict[str, bytes] = {}
    pending = [_path(root, _PROGRAM)]
    while pending:
        path = pending.pop()
        name = path.relative_to(root).as_posix()
        if name in found:
            continue
        found[name] = path.read_bytes()
        pending += [_path(root, module) for module in _imported(found[name])]
        pending += [folder / "__init__.py" for folder in path.parents if root in folder.parents]
    return found


def _imported(source: bytes) -> Iterator[str]:
    """The utilities that a file imports, wherever in it, and what it takes from them by name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{_UTILITIES}."):
            yield from (f"{node.module}.{alias.name}"[len(_UTILITIES) + 1 :] for alias in node.names)


def _path(root: Path, module: str) -> Path:
    """The file of a module. C(module) may be a name in one, and then that one counts."""
    place = root.joinpath(*module.split("."))
    if place.is_dir():
        return place / "__init__.py"
    file = place.with_suffix(".py")
    return file if file.is_file() or "." not in module else _path(root, module.rpartition(".")[0])
