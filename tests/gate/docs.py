# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the collection's documentation site as readers get it, without a network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from guides import pages
from stage import BUILD, STAGED

BIN = Path(sys.executable).parent


def main() -> int:
    """Generate and build; returns the exit code."""
    site = BUILD / "docs"
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(parents=True, mode=0o700)
    antsibull = [str(BIN / "antsibull-docs"), "sphinx-init", "--use-current", "--squash-hierarchy", "--lenient"]
    subprocess.run([*antsibull, "--dest-dir", str(site), "podnet.cni"], check=True)
    collection = [str(BIN / "antsibull-docs"), "--config-file", str(site / "antsibull-docs.cfg"), "collection"]
    options = ["--use-current", "--squash-hierarchy", "--fail-on-error", "--dest-dir", str(site / "rst")]
    subprocess.run([*collection, *options, "podnet.cni"], check=True)
    # Links into other sites would need their inventories from the network; the theme is not what is tested.
    with (site / "conf.py").open("a", encoding="utf-8") as configuration:
        configuration.write("\nintersphinx_mapping = {}\nhtml_theme = 'alabaster'\n")
    sphinx = [
        str(BIN / "python"),
        "-m",
        "sphinx",
        "-q",
        "-w",
        str(site / "warnings"),
        "-b",
        "html",
        "-c",
        str(site),
        str(site / "rst"),
    ]
    subprocess.run([*sphinx, str(site / "html")], check=True)
    built = list((site / "html").rglob("*.html"))
    print(f"{len(built)} pages built")
    # The guides have nothing that only other sites know.
    ours = [line for line in (site / "warnings").read_text(encoding="utf-8").splitlines() if "/docsite/" in line]
    print("\n".join(ours))
    return 1 if ours else complain(site / "html")


def expected() -> set[str]:
    """The pages that readers look for: every guide, the playbooks, the event source, every module, plugin and role."""
    wanted = {f"docsite/{name}.html" for name in pages(STAGED)}
    for path in STAGED.glob("plugins/*/[a-z]*.py"):
        kind = path.parent.name.removesuffix("s")
        if kind in ("module", "filter", "lookup", "connection", "inventory"):
            wanted.add(f"{path.stem}_{kind}.html")
    return wanted | {f"{path.name}_role.html" for path in STAGED.glob("roles/*")}


def complain(html: Path) -> int:
    """Name what is missing, and what the first page does not lead to; returns the exit code."""
    there = {path.relative_to(html).as_posix() for path in html.rglob("*.html")}
    index = (html / "index.html").read_text(encoding="utf-8")
    linked = set(re.findall(r'href="([^"#]+)', index))
    missing = sorted(expected() - there)
    lonely = sorted(name for name in expected() & there if name not in linked)
    private = sorted(name for name in there if name.startswith("_") and name.endswith("_filter.html"))
    for text, names in (("no page", missing), ("not on the first page", lonely), ("private", private)):
        print(f"{text}: {', '.join(names) or 'none'}")
    return 1 if missing or lonely or private else 0


if __name__ == "__main__":
    sys.exit(main())
