# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""k3s and RKE2 as services of a host: what they are started with, by files, unit and environment; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._distributions import command_line, config_file
from ansible_collections.podnet.cni.plugins.module_utils._distributions.model import (
    Flag,
    Place,
    Problem,
    Reading,
    Setting,
)
from ansible_collections.podnet.cni.plugins.module_utils._distributions.view import Host
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

RANCHER_DROPIN = "50-rancher.yaml"
"""The drop-in that rancher-system-agent writes."""

UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)

LISTS = frozenset(
    {
        "cluster-cidr",
        "service-cidr",
        "cluster-dns",
        "cni",
        "node-ip",
        "node-external-ip",
        "disable",
        "kube-controller-manager-arg",
        "kube-proxy-arg",
    }
)
"""Flags that may come several times, of those that concern the network."""


@dataclass(frozen=True)
class Product:
    """Where one of them keeps things. C(units) are its services with the command of each."""

    name: str
    title: str
    config: str
    data: str
    units: Mapping[str, str]
    variables: Mapping[str, str]


PRODUCTS = {
    "k3s": Product(
        "k3s",
        "k3s",
        "/etc/rancher/k3s/config.yaml",
        "/var/lib/rancher/k3s",
        {"k3s": "server", "k3s-agent": "agent"},
        {"K3S_DATA_DIR": "data-dir"},
    ),
    "rke2": Product(
        "rke2",
        "RKE2",
        "/etc/rancher/rke2/config.yaml",
        "/var/lib/rancher/rke2",
        {"rke2-server": "server", "rke2-agent": "agent"},
        {"RKE2_CNI": "cni", "RKE2_DATA_DIR": "data-dir"},
    ),
}
"""https://docs.k3s.io/installation/configuration and https://docs.rke2.io/install/configuration."""


@dataclass(frozen=True)
class Service:
    """One of them on a host. C(command) is server or agent, empty where no unit tells; C(flags) is all together."""

    product: Product
    host: Host
    command: str
    unit: str
    files: Mapping[str, Flag]
    arguments: Mapping[str, Flag]
    flags: Mapping[str, Flag]
    appended: Mapping[str, Place]
    data: str
    problems: tuple[Problem, ...]

    def value(self, name: str) -> str:
        """The last value of a flag, empty when it is not given."""
        return command_line.last(self.flags, name)

    @property
    def dropins(self) -> str:
        """The folder of drop-ins."""
        return f"{fields.text(self.host.facts, 'products', self.product.name, 'config')}.d"

    @property
    def manifests(self) -> list[str]:
        """Manifests with a HelmChartConfig that were read on the host."""
        return self.host.paths(f"{self.data}/server/manifests")

    @property
    def is_server(self) -> bool:
        """Whether it runs as a server; where no unit tells, a host is taken for none."""
        return self.command == "server"

    @property
    def restart(self) -> str:
        """The command that makes a change of the files take effect."""
        return f"systemctl restart {self.unit or next(iter(self.product.units))}"


def service(host: Host, name: str) -> Service | None:
    """The product C(name) on a host, None where nothing of it is there."""
    product = PRODUCTS[name]
    gathered = fields.mapping(host.facts, "products", name)
    if not gathered:
        return None
    unit_name = fields.text(gathered, "unit")
    unit = unit_of(host, unit_name)
    environment, problems = environment_of(host, unit)
    config = fields.text(gathered, "config")
    texts = [(path, host.text(path)) for path in (config, *dropins(host, config))]
    merged = config_file.merge([(path, text) for path, text in texts if text is not None])
    problems = [*unit.problems, *problems, *merged.problems]
    by_address = config.startswith(("http://", "https://"))
    if gathered.get("explicit") and not by_address and all(text is None for _path, text in texts):
        problems.append(
            Problem(
                "missing",
                Place(config),
                "the service is told to read it, and neither it nor a drop-in is there",
                "Write it, or take it out of the unit and its environment.",
            )
        )
    arguments = command_line.flags(unit.words, unit.place)
    flags = dict(merged.flags)
    for key, flag in arguments.items():
        file = flags.get(key)
        if file is not None and key in LISTS:
            flags[key] = Flag((*file.values, *flag.values), (*file.places, *flag.places))
        else:
            flags[key] = flag
    for variable, key in product.variables.items():
        if variable in environment and key not in flags:
            value, place = environment[variable]
            flags[key] = Flag(tuple(value.split(",")), (place,))
    return Service(
        product,
        host,
        product.units.get(unit_name, "") or unit.command,
        unit_name,
        merged.flags,
        arguments,
        flags,
        merged.appended,
        command_line.last(flags, "data-dir") or product.data,
        tuple(problems),
    )


def unit_of(host: Host, name: str) -> command_line.Unit:
    """A unit with its drop-ins, from the texts of a host. An empty name gives an empty unit."""
    files: list[tuple[str, str]] = []
    if name:
        main = next((path for path in unit_paths(name) if host.text(path) is not None), "")
        parts = [path for folder in UNIT_FOLDERS for path in host.paths(f"{folder}/{name}.service.d", (".conf",))]
        for path in [main, *sorted(parts, key=posixpath.basename)]:
            text = host.text(path)
            if text is not None:
                files.append((path, text))
    return command_line.unit(files, name)


def unit_paths(name: str) -> list[str]:
    """Where systemd looks for a unit, the first that is there counts (systemd.unit(5))."""
    return [f"{folder}/{name}.service" for folder in UNIT_FOLDERS]


def dropins(host: Host, config: str) -> list[str]:
    """The drop-ins of a configuration file that are read, in their order."""
    entries = fields.mappings(host.facts, "directories", f"{config}.d")
    names = [
        fields.text(each, "name")
        for each in entries
        if config_file.is_dropin(fields.text(each, "name"), each.get("directory") is True)
    ]
    return [f"{config}.d/{name}" for name in sorted(names, key=lambda name: name.encode("utf-8", "surrogateescape"))]


def config_path(
    product: Product, environment: Mapping[str, tuple[str, Place]], words: Sequence[str]
) -> tuple[str, bool]:
    """The configuration file that a service reads, and whether it was told to: variable, flag, default."""
    named = environment.get(f"{product.name.upper()}_CONFIG_FILE")
    if named is not None and named[0]:
        return named[0], True
    given = command_line.flags(words, Place(""))
    path = command_line.last(given, "config") or command_line.last(given, "c")
    return (path, True) if path else (product.config, False)


def environment_of(host: Host, unit: command_line.Unit) -> tuple[dict[str, tuple[str, Place]], list[Problem]]:
    """The variables of a service: what its unit sets, then its files (systemd.exec(5)), and problems of these."""
    found = dict(unit.environment)
    problems: list[Problem] = []
    for path in unit.environment_files:
        text = host.text(path)
        if text is not None:
            variables, said = command_line.environment(text, path)
            found.update(variables)
            problems += said
    return found, problems


def counted(name: str, flag: Flag | None) -> str:
    """What counts of a flag that is given once or several times: all of a list, and the last of anything else."""
    if flag is None:
        return ""
    return flag.text if name in LISTS or not flag.values else flag.values[-1]


def settings(service: Service, names: Iterable[str]) -> Reading:
    """The settings with these names that a service is started with, by the places that decide them."""
    found = Reading(problems=list(service.problems))
    for name in names:
        flag = service.flags.get(name)
        if flag is None:
            continue
        place = flag.places[-1]
        title = service.product.title
        change = f"Set it in a file below {service.dropins} and run {service.restart}."
        loser = "nobody: files survive the installer"
        if place.path.endswith(f"/{RANCHER_DROPIN}"):
            title = "Rancher"
            change = (
                f"Set spec.rkeConfig.machineGlobalConfig.{name} of the cluster's object in Rancher, or change it in "
                "machineSelectorConfig, where it is for some machines alone."
            )
            loser = "rancher-system-agent, which writes the file again"
        elif name not in service.files or place not in service.files[name].places:
            loser = "the installer, which writes the unit again without the arguments that it is not given"
        where = "; ".join(str(each) for each in flag.places)
        found.settings.append(Setting(title, service.host.name, name, counted(name, flag), where, change, loser))
    return found
