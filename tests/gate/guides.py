# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guides as pages of the documentation site, which antsibull-docs takes in reStructuredText only.

The guides are Markdown, since people read them where the sources are. Two further pages are made of the heads of the
playbooks and of what the event source says about itself.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

LABEL = "ansible_collections.podnet.cni.docsite."
UNDERLINES = "=-~^\"'"
LANGUAGES = {"": "text", "mermaid": "text", "yml": "yaml"}
HEAD = """..
  Copyright: (c) 2026, podnet.cni contributors
  SPDX-License-Identifier: GPL-3.0-or-later
"""
SOURCE = "extensions/eda/plugins/event_source/flannel_leases.py"


def anchor(title: str) -> str:
    """What a link to a heading ends with, as forges make it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def escaped(text: str) -> str:
    """Text in which nothing is markup."""
    return re.sub(r"([\\*`|_])", r"\\\1", text)


def words(token: Token) -> str:
    """The text of an inline token without its markup."""
    return "".join(each.content if each.content else " " for each in token.children or [] if each.type != "html_inline")


class Page:
    """One guide; C(lines) is what it becomes."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.lines: list[str] = []
        self._tokens = MarkdownIt("commonmark").enable("table").parse(text)
        self._blocks(iter(self._tokens), "")

    def _put(self, text: str, indent: str) -> None:
        self.lines += [f"{indent}{line}".rstrip() for line in text.split("\n")]

    def _blocks(self, tokens: Iterator[Token], indent: str, end: str = "", first: str = "") -> None:
        """Everything up to the token C(end); C(first) is put before the first line in place of its indent."""
        for token in tokens:
            start = len(self.lines)
            if token.type == end:
                return
            if token.type == "heading_open":
                self._heading(token, next(tokens))
                next(tokens)
            elif token.type == "inline":
                self._put(self._inline(token.children or []), indent)
                self.lines.append("")
            elif token.type in ("fence", "code_block"):
                language = LANGUAGES.get(token.info, token.info or "text")
                self._put(f".. code-block:: {language}\n", indent)
                self._put(token.content.rstrip("\n"), f"{indent}    ")
                self.lines.append("")
            elif token.type in ("bullet_list_open", "ordered_list_open"):
                self._list(tokens, indent, token.type)
            elif token.type == "table_open":
                self._table(tokens, indent)
            if first and len(self.lines) > start:
                self.lines[start] = first + self.lines[start][len(indent) :]
                first = ""

    def _heading(self, token: Token, title: Token) -> None:
        text = words(title)
        level = int(token.tag[1:])
        where = self.name if level == 1 else f"{self.name}.{anchor(text)}"
        marked = escaped(text)
        self.lines += [f".. _{LABEL}{where}:", "", marked, UNDERLINES[level - 1] * len(marked), ""]

    def _list(self, tokens: Iterator[Token], indent: str, kind: str) -> None:
        mark = "* " if kind == "bullet_list_open" else "#. "
        for token in tokens:
            if token.type == kind.replace("open", "close"):
                return
            self._blocks(tokens, indent + " " * len(mark), "list_item_close", indent + mark)

    def _table(self, tokens: Iterator[Token], indent: str) -> None:
        self._put(".. list-table::\n    :header-rows: 1\n", indent)
        mark = "* - "
        for token in tokens:
            if token.type == "table_close":
                break
            if token.type == "tr_open":
                mark = "* - "
            elif token.type == "inline":
                self._put(f"{mark}{self._inline(token.children or []).replace(chr(10), ' ')}", f"{indent}    ")
                mark = "  - "
        self.lines.append("")

    def _inline(self, tokens: Iterable[Token]) -> str:
        """The text with its markup, which reStructuredText does not nest: a link or strong text has plain words."""
        parts: list[str] = []
        waiting = iter(tokens)
        for token in waiting:
            if token.type == "text":
                parts.append(escaped(token.content))
            elif token.type == "code_inline":
                parts.append(f"\\ ``{token.content}``\\ ")
            elif token.type in ("softbreak", "hardbreak"):
                parts.append("\n")
            elif token.type in ("strong_open", "em_open", "link_open"):
                close = token.type.replace("open", "close")
                inner = ""
                for each in waiting:
                    if each.type == close:
                        break
                    inner += each.content or (" " if each.type == "softbreak" else "")
                parts.append(self._marked(token, inner))
        return re.sub(r"(^|(?<=[\s(]))\\ |\\ (?=$|[\s).,;:!?])", "", "".join(parts), flags=re.MULTILINE)

    def _marked(self, token: Token, text: str) -> str:
        if token.type != "link_open":
            sign = "**" if token.type == "strong_open" else "*"
            return f"\\ {sign}{text}{sign}\\ "
        target = str(token.attrs["href"])
        guide = re.fullmatch(r"([a-z-]*)(?:\.md)?(?:#(.*))?", target)
        if guide:
            where = ".".join(filter(None, (guide.group(1) or self.name, guide.group(2))))
            return f"\\ :ref:`{text} <{LABEL}{where}>`\\ "
        if "://" in target:
            return f"\\ `{escaped(text)} <{target}>`__\\ "
        return escaped(text)


def playbooks(tree: Path) -> str:
    """What the head of each playbook says, as a guide."""
    text = "# Playbooks\n\nRun one as `ansible-playbook -i INVENTORY podnet.cni.NAME`.\n"
    for path in sorted(tree.glob("playbooks/*.yml")):
        head = path.read_text(encoding="utf-8").split("---", 1)[0]
        said = [line[1:].removeprefix(" ") for line in head.splitlines() if not re.search("SPDX|Copyright", line)]
        text += f"\n## podnet.cni.{path.stem}\n\n```\n{chr(10).join(said).strip()}\n```\n"
    return text


def event_source(tree: Path) -> str:
    """The documentation of the event source, as a guide."""
    documents: dict[str, Any] = {}
    for node in ast.parse((tree / SOURCE).read_text(encoding="utf-8")).body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        ):
            documents[node.targets[0].id] = node.value.value
    said = yaml.safe_load(documents["DOCUMENTATION"])
    text = f"# podnet.cni.flannel_leases (event source)\n\n{said['short_description']}.\n\n"
    text += "".join(f"* {_plain(line)}\n" for line in said["description"])
    text += "\n## Options\n\n| Option | Type | Default | |\n|---|---|---|---|\n"
    for name, option in said["options"].items():
        lines = option["description"]
        told = " ".join([lines] if isinstance(lines, str) else lines)
        default = f"`{option['default']}`" if "default" in option else ""
        text += f"| `{name}` | {option.get('type', 'str')} | {default} | {_plain(told)} |\n"
    return f"{text}\n## Examples\n\n```yaml\n{documents['EXAMPLES'].strip()}\n```\n"


def _plain(text: str) -> str:
    """Ansible's markup as Markdown."""
    return re.sub(r"\b[A-Z]{1,2}\(([^)]*)\)", r"`\1`", text)


def pages(tree: Path) -> dict[str, str]:
    """The Markdown of every page by its name."""
    found = {path.stem: path.read_text(encoding="utf-8") for path in sorted(tree.glob("docs/*.md"))}
    return {**found, "playbooks": playbooks(tree), "event-source": event_source(tree)}


def write(tree: Path) -> int:
    """Write the pages where antsibull-docs looks for them; returns their number."""
    target = tree / "docs" / "docsite" / "rst"
    target.mkdir(parents=True, exist_ok=True)
    made = pages(tree)
    for name, text in made.items():
        lines = Page(name, text).lines
        (target / f"{name}.rst").write_text(HEAD + "\n" + "\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return len(made)
