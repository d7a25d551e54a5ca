# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the collection's documentation site as readers get it, without a network."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from stage import BUILD

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
    sphinx = [str(BIN / "python"), "-m", "sphinx", "-q", "-b", "html", "-c", str(site), str(site / "rst")]
    subprocess.run([*sphinx, str(site / "html")], check=True)
    pages = list((site / "html").glob("*.html"))
    print(f"{len(pages)} pages built")
    return 0 if pages else 1


if __name__ == "__main__":
    sys.exit(main())
