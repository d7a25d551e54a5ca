# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with a Kube-OVN annotation of a namespace.

Private to podnet.cni: may change in any release.

There are two questions. usable() asks whether Kube-OVN can do what a value says; values that fail are never copied to a
pod, and the admission policy asks the same in CEL. lint_value() is stricter on purpose, because Kube-OVN skips a wrong
route without a word: it is what the module and the namespace check of the server go by.
"""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Union

from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import catalogue
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.catalogue import Annotation

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

TOTAL_LIMIT = 256 * 1024
"""Octets of all annotations of an object: k8s.io/apimachinery pkg/api/validation, TotalAnnotationSizeLimitB."""

ERROR = "error"
WARNING = "warning"
_SHOWN = 80


@dataclass(frozen=True)
class Finding:
    """One thing a person should change. C(severity) is error or warning."""

    severity: str
    key: str
    value: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.key}: {self.value}: {self.reason}. {self.remedy}."

    def to_dict(self) -> dict[str, str]:
        """As modules return it."""
        return {name: getattr(self, name) for name in ("severity", "key", "value", "reason", "remedy")}


def usable(annotation: Annotation, value: str) -> bool:
    """Whether Kube-OVN can do what the value says; an empty one says nothing and is not usable."""
    if not re.fullmatch(annotation.pattern, value):
        return False
    if annotation.kind == "address":
        return parse_address(value) is not None
    if annotation.kind == "addresses":
        return all(parse_address(part) is not None for part in value.split(","))
    if annotation.kind != "routes":
        return True
    if len(value.encode()) > catalogue.ROUTES_LIMIT:
        return False
    return all(_route_usable(text) for text in re.findall(r"\{[^}]*\}", value))


def why_unusable(key: str, value: str) -> str:
    """The value and what is wrong with it, for a value that usable() turned down; empty when nothing is."""
    errors = [finding for finding in lint_value(key, value) if finding.severity == ERROR]
    return f"{errors[0].reason}: {errors[0].value}" if errors else ""


def _route_usable(text: str) -> bool:
    members = dict(re.findall(r'"(dst|gw)"\s*:\s*"([^"]*)"', text))
    if len(members) != len(re.findall(r'"(?:dst|gw)"', text)):
        return False
    gateway = parse_address(members["gw"]) if "gw" in members else None
    target = parse_prefix(members["dst"]) if "dst" in members else None
    if ("gw" in members and gateway is None) or ("dst" in members and target is None):
        return False
    return gateway is None or target is None or gateway.version == target.version


def parse_address(text: str) -> Address | None:
    """A plain address, None for anything that Kube-OVN or CEL's isIP() refuses.

    An IPv4 address in IPv6 form has two spellings, a zone has no meaning in a route, and leading zeros are read
    differently by different programs.
    """
    if any(part.startswith("0") and len(part) > 1 for part in text.split(".")) and ":" not in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if "%" in text or (address.version == 6 and ("." in text or address.ipv4_mapped is not None)):
        return None
    return address


def parse_prefix(text: str) -> Network | None:
    """A prefix with its length, host bits tolerated and masked; None for anything else."""
    address, slash, length = text.partition("/")
    base = parse_address(address)
    if base is None or not slash or not re.fullmatch("0|[1-9][0-9]{0,2}", length) or int(length) > base.max_prefixlen:
        return None
    return ipaddress.ip_network(text, strict=False)


def subnets(namespace_annotations: Mapping[str, str]) -> list[Network]:
    """The prefixes that Kube-OVN's controller wrote to the namespace; entries are joined with C(;) and C(,)."""
    found = (
        parse_prefix(part.strip()) for part in re.split("[;,]", namespace_annotations.get("ovn.kubernetes.io/cidr", ""))
    )
    return [prefix for prefix in found if prefix is not None]


def lint_value(key: str, value: Any, prefixes: Iterable[Network] = ()) -> list[Finding]:
    """What is wrong with one annotation; C(prefixes) are the namespace's subnets, none when they are not known."""
    parts = catalogue.split_key(key)
    shown = shorten(value)
    if parts is None or (parts[1] not in catalogue.CATALOGUE and parts[1] not in catalogue.DENIED):
        return [Finding(ERROR, key, shown, "Kube-OVN knows no such annotation", "Check the name")]
    provider, name = parts
    if name in catalogue.DENIED:
        return [Finding(ERROR, key, shown, catalogue.DENIED[name], "Do not set it on a namespace")]
    if not isinstance(value, str):
        remedy = f'Write it in quotes: "{str(value).lower()}"' if isinstance(value, (bool, int)) else "Write it as text"
        return [Finding(ERROR, key, shown, f"it is a {type(value).__name__}, and annotations are text", remedy)]
    annotation = catalogue.CATALOGUE[name]
    if annotation.kind == "routes":
        return _Routes(key, value, list(prefixes) if provider == catalogue.PRIMARY_PROVIDER else []).lint()
    good = value == "" or usable(annotation, value)
    return [] if good else [Finding(ERROR, key, shown, f"it is not {annotation.form}", f"Write {annotation.form}")]


def lint_namespace(annotations: Mapping[str, Any], only: Iterable[str] | None = None) -> list[Finding]:
    """Findings for all inheritable annotations of a namespace, or for the keys in C(only)."""
    wanted = None if only is None else set(only)
    prefixes = subnets(annotations)
    findings = []
    for key in sorted(annotations):
        if wanted is None and catalogue.find(key) is None:
            continue
        if wanted is not None and key not in wanted:
            continue
        findings += lint_value(key, annotations[key], prefixes)
    total = sum(len(str(key).encode()) + len(str(value).encode()) for key, value in annotations.items())
    if total > TOTAL_LIMIT:
        text = f"all annotations together hold {total} octets, the API server takes {TOTAL_LIMIT}"
        findings.append(Finding(ERROR, "annotations", f"{total} octets", text, "Shorten them"))
    return findings


def shorten(value: Any) -> str:
    """A value for a message."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


class _Routes:
    """The routes of one annotation."""

    def __init__(self, key: str, text: str, prefixes: list[Network]) -> None:
        self.key = key
        self.text = text
        self.prefixes = prefixes
        self.findings: list[Finding] = []

    def lint(self) -> list[Finding]:
        if self.text == "":
            return []
        try:
            routes = json.loads(self.text)
        except (ValueError, RecursionError):
            self.error(self.text, "it is not JSON: no pod would start", 'Write it as [{"gw":"..."}]')
            return self.findings
        if not isinstance(routes, list):
            self.error(self.text, "it is not a JSON array: no pod would start", "Put it in [ ]")
            return self.findings
        seen: dict[str, int] = {}
        for index, route in enumerate(routes):
            target = self.route(route, index)
            if target and target in seen:
                what = (
                    "a second default route of its family" if target.endswith("/0") else f"entry {seen[target]} again"
                )
                self.error(json.dumps(route), f"entry {index} is {what}: the last one counts", "Keep one")
            elif target:
                seen[target] = index
        octets = len(self.text.encode())
        if octets > catalogue.ROUTES_LIMIT:
            reason = f"it has {octets} octets: routes of more than {catalogue.ROUTES_LIMIT} are inherited by no pod"
            self.error(self.text, reason, "Write fewer routes, with prefixes that hold several of them")
        if not self.findings and not usable(catalogue.CATALOGUE["routes"], self.text):
            self.error(self.text, "its JSON holds escapes or a key twice", "Write keys and addresses plainly")
        return self.findings

    def error(self, value: Any, reason: str, remedy: str) -> None:
        self.findings.append(Finding(ERROR, self.key, shorten(value), reason, remedy))

    def route(self, route: Any, index: int) -> str:
        """Check one entry; gives its destination in canonical form, empty when it has none that can be compared."""
        if not isinstance(route, dict):
            self.error(json.dumps(route), f"entry {index} is not an object", 'Write {"dst":"...","gw":"..."}')
            return ""
        shown = json.dumps(route)
        good = True
        for name, value in route.items():
            if name not in ("dst", "gw"):
                lower = name.lower() in ("dst", "gw")
                remedy = f"Write {name.lower()}" if lower else "Only dst and gw are known"
                self.error(shown, f"entry {index} has the key {name!r}", remedy)
                good = False
            elif not isinstance(value, str):
                self.error(shown, f"{name} of entry {index} is not text: no pod would start", "Quote it")
                good = False
        if not good:
            return ""
        if not route.get("gw"):
            if not route.get("dst"):
                self.error(shown, f"entry {index} has neither dst nor gw", "Add one of them")
                return ""
            # Without a gateway the route leads straight over the pod's link.
            return str(self.target(route["dst"], index, shown) or "")
        return self.addresses(route, index, shown)

    def addresses(self, route: dict[str, str], index: int, shown: str) -> str:
        gateway = parse_address(route["gw"])
        if gateway is None:
            self.error(
                shown, f"gw of entry {index} is not a plain address: Kube-OVN would skip it silently", "Correct gw"
            )
            return ""
        target: Network | None
        if route.get("dst"):
            target = self.target(route["dst"], index, shown)
            if target is None:
                return ""
            if target.version != gateway.version:
                self.error(shown, f"dst and gw of entry {index} are of different families", "Use one family per entry")
                return ""
        else:
            target = ipaddress.ip_network("0.0.0.0/0" if gateway.version == 4 else "::/0")
        family = [prefix for prefix in self.prefixes if prefix.version == gateway.version]
        if self.prefixes and not any(gateway in prefix for prefix in family):
            known = ", ".join(str(prefix) for prefix in self.prefixes)
            text = f"gw {gateway} of entry {index} is outside the namespace's subnets ({known})"
            self.error(shown, text, "Use an address inside: the kernel refuses others")
        return str(target)

    def target(self, text: str, index: int, shown: str) -> Network | None:
        target = parse_prefix(text)
        if target is None:
            address = parse_address(text)
            remedy = f"Write {address}/{address.max_prefixlen}" if address else "Write it like 10.0.0.0/8"
            text = f"dst of entry {index} is not a prefix with a length: Kube-OVN would skip the entry silently"
            self.error(shown, text, remedy)
        elif str(target) != text:
            reason = f"dst {text} of entry {index} is not in canonical form"
            self.findings.append(Finding(WARNING, self.key, shown, reason, f"Write {target}"))
        return target
