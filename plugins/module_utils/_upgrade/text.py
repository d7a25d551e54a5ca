# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan for people; no I/O. Private to podnet.cni: may change in any release."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

_NAMED = 6
"""So many nodes of a wave are named; the plan as JSON names all."""


def lines(plan: Mapping[str, Any]) -> list[str]:
    """The lines of a plan. Raises KeyError and TypeError for a value that is not a plan."""
    found = [f"Upgrade of {plan['network']} (installed by {plan['install_method']})"]
    found += _section("Versions", [_version(product, plan) for product in sorted(plan["target"])])
    if plan["action"] == "none" and plan["problems"]:
        return found + _section("Problems", [f"{each['text']} {each['remedy']}".strip() for each in plan["problems"]])
    if plan["action"] == "none":
        return [*found, "", "Nothing to do: every node runs what is wanted."]
    found += _section("Images", [_image(item, each) for item in plan["daemonsets"] for each in item["images"]])
    found += _section(
        "Configuration", [f"{item['place']}: {line}" for item in plan["daemonsets"] for line in item["config_changes"]]
    )
    found += _section("What that changes", [_change(each) for each in plan["changes"]])
    found += _section("Problems", [f"{each['text']} {each['remedy']}".strip() for each in plan["problems"]])
    found += _section("Needed", [f"{each['text']} {each['remedy']}".strip() for each in plan["needs"]])
    title = f"Waves: {plan['nodes']} nodes"
    if plan["least_seconds"]:
        title += f", at least {plan['least_seconds']} s of waiting for them to stay well"
    found += _section(title, [_wave(wave) for wave in plan["waves"]])
    found += _section("Left out, because they are not ready", _names(plan["left_out"], _NAMED))
    found += _section("Kept in the backup", plan["backup"])
    found += _section("What a rollback does not bring back", plan["not_reversible"])
    return found + _section("Not known", plan["warnings"])


def _section(title: str, entries: Sequence[str]) -> list[str]:
    return ["", title, *(f"  {entry}" for entry in entries)] if entries else []


def _version(product: str, plan: Mapping[str, Any]) -> str:
    before, after = plan["current"].get(product, "(none)"), plan["target"][product]
    return f"{product}: {before} -> {after}" if before != after else f"{product}: {after}"


def _image(item: Mapping[str, Any], each: Mapping[str, str]) -> str:
    return f"{item['place']} {each['container']}: {each['before'] or '(none)'} -> {each['after'] or '(none)'}"


def _change(each: Mapping[str, str]) -> str:
    action = f" {each['action']}" if each["action"] else ""
    impact = f" [{each['impact']}]" if each["impact"] != "none" else ""
    return f"{each['product']} {each['version']}: {each['text']}{action}{impact}"


def _wave(wave: Mapping[str, Any]) -> str:
    count = len(wave["nodes"])
    names = ", ".join(_names(wave["nodes"], _NAMED))
    return f"{wave['number']:>2}  {wave['kind']:<13}  {wave['os']:<7}  {count:>4}  {names}"


def _names(names: Sequence[str], limit: int | None) -> list[str]:
    if limit is None or len(names) <= limit:
        return list(names)
    return [*names[:limit], f"and {len(names) - limit} more"]
