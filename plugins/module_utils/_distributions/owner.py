# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An owner whose settings are read from what it has made: flannel's network config in a ConfigMap or file; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._distributions.helm import flat
from ansible_collections.podnet.cni.plugins.module_utils._distributions.model import Place, Problem, Reading, Setting
from ansible_collections.podnet.cni.plugins.module_utils._distributions.yaml_text import as_text
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import go_json
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

SECRETS = ("psk",)


@dataclass(frozen=True)
class Owner:
    """Who makes the network of a cluster, and how it wants to be asked.

    C(names) maps members of the network config to the owner's own names, C(other) tells what becomes of the rest.
    """

    title: str
    names: Mapping[str, str]
    change: str
    other: str
    overwritten_by: str
    config_maps: tuple[str, ...] = ()

    def settings(self, subject: str, text: str, place: str) -> Reading:
        """The settings in a network config. A text that is not one gives a problem that names C(place)."""
        try:
            config = go_json.load_object(text, place)
        except InputError as error:
            return Reading(
                problems=[Problem("unreadable", Place(place), str(error), f"Have {self.title} write it again.")]
            )
        return Reading(settings=list(self._each(subject, config, place)))

    def _each(self, subject: str, config: Mapping[str, Any], place: str) -> Iterator[Setting]:
        for name, value in flat(config):
            own = self.names.get(name)
            change = self.change.format(name=own) if own else self.other
            shown = "********" if name.rpartition(".")[2].lower() in SECRETS else as_text(value)
            yield Setting(self.title, subject, name, shown, place, change, self.overwritten_by)

    def of_cluster(self, facts: Mapping[str, Any]) -> Reading:
        """The settings in this owner's ConfigMap; empty where a cluster has none of its name."""
        for name in self.config_maps:
            text = fields.text(facts, "config_maps", name, "net-conf.json")
            if text:
                return self.settings("cluster", text, f"ConfigMap {name}")
        return Reading()
