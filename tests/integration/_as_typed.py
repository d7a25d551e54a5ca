# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Role variables as a command line or an INI inventory gives them: booleans and numbers are strings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CONVERTED = ("bool", "int", "float")


def typed(value: Any) -> Any:
    """What a user types for a boolean or a number; other values stay."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, (int, float)) else value


def as_typed(role: str, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Every boolean and number of a role as a string: the default of each that has a plain one, and what is given."""
    options: dict[str, Any] = {}
    for entry in _read(role, "meta/argument_specs.yml")["argument_specs"].values():
        options.update(entry.get("options") or {})
    defaults = _read(role, "defaults/main.yml")
    plain = {
        name: typed(value)
        for name, value in defaults.items()
        if options.get(name, {}).get("type") in CONVERTED and not isinstance(value, str)
    }
    return {**plain, **{name: typed(value) for name, value in (given or {}).items()}}


def _read(role: str, path: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "roles" / role / path).read_text(encoding="utf-8")))
