# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host that answers each module with what a real host answered, so that the controller's part alone is measured."""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = r"""
name: canned
short_description: Answer modules with results that were recorded
description:
  - E(CANNED_RESULTS) names a JSON file of modules and their results, in which the words of E(CANNED_WORDS), separated
    by commas, stand for the variables C(canned_words) of a host in the same order.
  - C(pod_network_probe) is answered for each of its targets with C(canned_probe) of that file.
options:
  words:
    description: What takes the place of each word, separated by commas.
    vars:
      - name: canned_words
"""

MODULE = re.compile(rb"ansible_collections\.podnet\.cni\.plugins\.modules\.(\w+)")
OPTIONS = re.compile(rb"^params=(.*),$", re.MULTILINE)
PROBE = "pod_network_probe"


def probed(in_data: bytes, answer: dict[str, Any]) -> dict[str, Any]:
    """The result of a probe, each of whose targets gives the same C(answer)."""
    found = OPTIONS.search(in_data)
    if found is None:
        raise AnsibleConnectionFailure("this ansible-core packs the options of a module in another way")
    options = json.loads(ast.literal_eval(found[1].decode()))["ANSIBLE_MODULE_ARGS"]
    probes = [
        {**answer, "source": options["source"], "target": target["name"], "address": target["address"]}
        for target in options["targets"]
    ]
    return {"changed": False, "probes": probes, "udp_checksum_errors": 0}


class Connection(ConnectionBase):
    """Nothing is connected; modules have to be sent by pipelining."""

    transport = "canned"
    has_pipelining = True

    def _connect(self) -> Connection:
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """The recorded result of the module in C(in_data)."""
        del sudoable
        found = MODULE.search(in_data or b"")
        results = json.loads(Path(os.environ["CANNED_RESULTS"]).read_text())
        if found is not None and found[1].decode() == PROBE:
            return 0, json.dumps(probed(in_data or b"", results["canned_probe"])).encode(), b""
        if found is None or found[1].decode() not in results:
            raise AnsibleConnectionFailure(f"no result was recorded for {found[1].decode() if found else cmd}")
        text = json.dumps(results[found[1].decode()])
        for word, own in zip(os.environ["CANNED_WORDS"].split(","), self.get_option("words").split(",")):
            text = text.replace(word, own)
        return 0, text.encode(), b""

    def put_file(self, in_path: str, out_path: str) -> None:
        """Not used: modules are piped."""
        raise AnsibleConnectionFailure(f"{in_path} -> {out_path}: set ANSIBLE_PIPELINING")

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Not used: modules are piped."""
        raise AnsibleConnectionFailure(f"{in_path} -> {out_path}: set ANSIBLE_PIPELINING")

    def close(self) -> None:
        """There is nothing to close."""
