# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets in an owner's texts, replaced before they leave the node or the cluster; no I/O.

A value counts as secret by the name of its key: tokens, passwords, keys, and addresses of a datastore, which carry a
password. Lines stay where they are, so that a place that is named later is right.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import re

MASK = "********"
_NAME = (
    r"(?:(?!-*secrets-encryption)[\w.-]*(?:token|password|passwd|secret|psk|private-?key|access-?key|credential)[\w.-]*"
    r"|datastore-endpoint|vpn-auth)"
)
# A key that begins its line; the rest of the line is its value. Anchors and tags of the value stay.
_LINE = re.compile(
    rf"(?P<head>(?P<lead>[ \t]*(?:-[ \t]+)*)[\"']?-*(?P<name>{_NAME})\+?[\"']?[ \t]*:"
    r"(?:[ \t]+(?:[&!]\S+[ \t]+)*|$))(?P<value>.*)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*')(?P<rest>[ \t,}\]]*)")
# A key inside of a mapping in braces, as JSON has it.
_INNER = re.compile(
    rf"(?P<head>[{{,][ \t]*\\?[\"']?-*(?P<name>{_NAME})\+?\\?[\"']?[ \t]*:[ \t]*)"
    r"(?P<value>\\\"(?:(?!\\\").)*\\\"|\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'|[^\s\"',}][^,}]*)",
    re.IGNORECASE,
)
# An argument among others, such as those of kube-apiserver-arg.
_ARGUMENT = re.compile(rf"(?P<head>(?<![\w.-])-*(?P<name>{_NAME})=)(?P<value>[^\s,\"'\]}}]+)", re.IGNORECASE)
_VARIABLE = r"(?<![\w-])[A-Z0-9_]*(?:TOKEN|PASSWORD|SECRET|DATASTORE_ENDPOINT|VPN_AUTH)[A-Z0-9_]*="
# --flag value, --flag=value, and NAME=value of an environment. The installers quote each word and continue the line.
_WORD = re.compile(rf"(?P<head>--?{_NAME}[\"']?(?:=|[\s\\]+)|{_VARIABLE})(?P<value>\"[^\"\n]*\"|'[^'\n]*'|[^\s\"']+)")
# The same with the quotes around the whole word.
_QUOTED_WORD = re.compile(rf"(?P<quote>[\"'])(?P<head>--?{_NAME}=|{_VARIABLE})(?:(?!(?P=quote))[^\n])*(?P=quote)")
_URL = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^\s/:@\"']*:)[^\s/@\"']+(?=@)", re.IGNORECASE)
# A path is not a secret, and it tells where one lies.
_PATHS = ("file", "path", "dir")


def yaml(text: str) -> str:
    """A YAML or JSON text without the values of secret keys; what continues such a value on further lines is hidden."""
    lines: list[str] = []
    hiding, listed, quote = -1, False, ""
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip(" "))
        # A list may stand at the indentation of its key.
        deeper = indent > hiding or (listed and indent == hiding and line.lstrip().startswith("-"))
        if quote or (hiding >= 0 and (not line.strip() or deeper)):
            lines.append(f"{' ' * (hiding + 2)}# {MASK}" if line.strip() else "")
            quote = "" if quote and quote in line else quote
            continue
        hiding = -1
        found = _LINE.fullmatch(line)
        if found is None or found["name"].lower().endswith(_PATHS):
            lines.append(_ARGUMENT.sub(_masked, _INNER.sub(_masked, line)))
            continue
        value = found["value"].strip()
        quoted = _QUOTED.fullmatch(value)
        lines.append(f'{found["head"].rstrip()} "{MASK}"{quoted["rest"].rstrip() if quoted else ""}')
        hiding, listed = len(found["lead"]), not value
        quote = value[0] if value[:1] in ("'", '"') and quoted is None else ""
    return urls("\n".join(lines))


def _masked(found: re.Match[str]) -> str:
    if found["name"].lower().endswith(_PATHS):
        return found[0]
    # A quote inside of a text in quotes is escaped; an argument has none.
    quote = '\\"' if found["value"].startswith("\\") else "" if found["head"].endswith("=") else '"'
    return f"{found['head']}{quote}{MASK}{quote}"


def words(text: str) -> str:
    """The text of a unit or of an environment file without secrets."""
    text = _QUOTED_WORD.sub(lambda found: f"{found['quote']}{found['head']}{MASK}{found['quote']}", text)
    return urls(_WORD.sub(lambda found: f"{found['head']}{MASK}", text))


def urls(text: str) -> str:
    """A text without the passwords in its addresses, such as those of proxies."""
    return _URL.sub(lambda found: f"{found['head']}{MASK}", text)


def is_secret(key: str) -> bool:
    """Whether a value with this key is hidden."""
    return re.fullmatch(_NAME, key, re.IGNORECASE) is not None and not key.lower().endswith(_PATHS)
