# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the API server would say to a NetworkPolicy that is new to it; no I/O.

Source: kubernetes v1.36 pkg/apis/networking/validation, apimachinery pkg/api/validation, pkg/apis/meta/v1/validation
and pkg/util/validation. Addresses are judged by StrictIPCIDRValidation, which is on from 1.36: older servers took host
bits and leading zeros with a warning. Objects that a server has stored keep what was valid then, so only new ones are
judged.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Iterator, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

_NAME_PART = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_DNS_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9](?:[-a-z0-9]{0,13}[a-z0-9])?", re.ASCII)
_LONGEST = 253
_ANNOTATIONS = 256 * 1024
_INT32 = range(-(2**31), 2**31)
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_WITH_VALUES, _WITHOUT_VALUES = ("In", "NotIn"), ("Exists", "DoesNotExist")
_LISTS = (("ingress", "from"), ("egress", "to"))


class Refused(InputError):
    """The API server would not take the object, so a cluster does not have it."""


def check(item: Mapping[str, Any]) -> None:
    """Raise Refused with everything that the API server would refuse."""
    found = list(problems(item))
    if found:
        raise Refused("; ".join(found) + ".")


def problems(item: Mapping[str, Any]) -> Iterator[str]:
    """What the API server would refuse, each with its field."""
    yield from _metadata(fields.mapping(item, "metadata"))
    spec = item.get("spec")
    if spec is not None and not isinstance(spec, Mapping):
        yield "spec is not a mapping"
        return
    yield from _spec(fields.mapping(spec))


def _metadata(metadata: Mapping[str, Any]) -> Iterator[str]:
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if not _subdomain(name):
        yield f"metadata.name is {name!r}, no lower-case name of letters, digits, '-' and '.'"
    if namespace not in (None, "") and not _full(_DNS_LABEL, namespace):
        yield f"metadata.namespace is {namespace!r}, no lower-case name of letters, digits and '-'"
    for field in ("labels", "annotations"):
        given = metadata.get(field)
        if given is None:
            continue
        if not isinstance(given, Mapping) or not all(_text(value) for value in given.values()):
            yield f"metadata.{field} is not a mapping of texts"
            continue
        texts = {key: value or "" for key, value in given.items()}
        for key, value in texts.items():
            # Keys of annotations may have capitals in their prefix.
            if not _key(str(key).lower() if field == "annotations" else key):
                yield f"metadata.{field} has the key {key!r}, which is none"
            if field == "labels" and not _value(value):
                yield f"metadata.labels.{key} is {value!r}, no value of a label"
        size = sum(len(str(key).encode()) + len(value.encode()) for key, value in texts.items())
        if field == "annotations" and size > _ANNOTATIONS:
            yield "metadata.annotations has more than 256 KiB"


def _spec(spec: Mapping[str, Any]) -> Iterator[str]:
    yield from _selector(spec.get("podSelector"), "spec.podSelector")
    for direction, key in _LISTS:
        for where, rule in _entries(spec.get(direction), f"spec.{direction}"):
            if isinstance(rule, str):
                yield rule
                continue
            for place, port in _entries(rule.get("ports"), f"{where}.ports"):
                yield from [port] if isinstance(port, str) else _port(port, place)
            for place, peer in _entries(rule.get(key), f"{where}.{key}"):
                yield from [peer] if isinstance(peer, str) else _peer(peer, place)
    types = spec.get("policyTypes")
    if types is None:
        return
    if not isinstance(types, list) or not all(isinstance(each, str) for each in types):
        yield "spec.policyTypes is not a list of texts"
        return
    if len(types) > 2:
        yield f"spec.policyTypes has {len(types)} entries, there are two at most"
        return
    for each in types:
        if each not in ("Ingress", "Egress"):
            yield f"spec.policyTypes has {each!r}. Use Ingress or Egress"


def _entries(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """The mappings of a list with their places; a text is what is wrong. Null stands for an empty mapping."""
    if value is None:
        return
    if not isinstance(value, list):
        yield where, f"{where} is not a list"
        return
    for number, entry in enumerate(value):
        place = f"{where}[{number}]"
        fits = entry is None or isinstance(entry, Mapping)
        yield place, fields.mapping(entry) if fits else f"{place} is not a mapping"


def _selector(value: Any, where: str) -> Iterator[str]:
    if value is None:
        return
    if not isinstance(value, Mapping):
        yield f"{where} is not a mapping"
        return
    labels = value.get("matchLabels")
    if labels is not None and not isinstance(labels, Mapping):
        yield f"{where}.matchLabels is not a mapping"
        labels = None
    for key, wanted in fields.mapping(labels).items():
        if not _key(key):
            yield f"{where}.matchLabels has the key {key!r}, which no label can have"
        if not _text(wanted):
            yield f"{where}.matchLabels.{key} is {wanted!r}, not a text. Quote it"
        elif not _value(wanted or ""):
            yield f"{where}.matchLabels.{key} is {wanted!r}, which no label can be"
    for place, entry in _entries(value.get("matchExpressions"), f"{where}.matchExpressions"):
        yield from [entry] if isinstance(entry, str) else _expression(entry, place)


def _expression(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    key, operator, values = entry.get("key"), entry.get("operator"), entry.get("values")
    if not _key(key):
        yield f"{where}.key is {key!r}, which no label can have"
    if values is not None and (not isinstance(values, list) or not all(_text(each) for each in values)):
        yield f"{where}.values is not a list of texts"
        return
    if operator in _WITH_VALUES and not values:
        yield f"{where}: operator {operator} needs values"
    elif operator in _WITHOUT_VALUES and values:
        yield f"{where}: operator {operator} takes no values"
    elif operator not in _WITH_VALUES + _WITHOUT_VALUES:
        yield f"{where}: there is no operator {operator!r}. Use In, NotIn, Exists or DoesNotExist"
    for each in values or ():
        if not _value(each or ""):
            yield f"{where}.values has {each!r}, which no label can be"


def _peer(peer: Mapping[str, Any], where: str) -> Iterator[str]:
    keys = ("podSelector", "namespaceSelector")
    given = [key for key in keys if peer.get(key) is not None]
    block = peer.get("ipBlock")
    for key in keys:
        yield from _selector(peer.get(key), f"{where}.{key}")
    if block is None:
        if not given:
            yield f"{where} names no peer. Use podSelector, namespaceSelector or ipBlock"
        return
    if given:
        yield f"{where}: ipBlock stands alone. Make another list item of the selectors"
    if not isinstance(block, Mapping):
        yield f"{where}.ipBlock is not a mapping"
        return
    yield from _block(block, f"{where}.ipBlock")


def _block(block: Mapping[str, Any], where: str) -> Iterator[str]:
    whole, reason = _network(block.get("cidr"), f"{where}.cidr")
    if reason:
        yield reason
    holes = block.get("except")
    if holes is None:
        return
    if not isinstance(holes, list):
        yield f"{where}.except is not a list"
        return
    for number, value in enumerate(holes):
        hole, reason = _network(value, f"{where}.except[{number}]")
        if reason:
            yield reason
        elif whole is not None and (hole.version != whole.version or hole == whole or not hole.subnet_of(whole)):
            yield f"{where}.except[{number}] is {value}, which is not in {whole}"


def _network(value: Any, where: str) -> tuple[Any, str]:
    """The network, or what is wrong with it."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9A-Fa-f:.]+/(?:0|[1-9][0-9]*)", value, re.ASCII):
        return None, f"{where} is {value!r}, no network. Write it like 10.0.0.0/8"
    try:
        found = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None, f"{where} is {value!r}, no network. Write it like 10.0.0.0/8"
    address = ipaddress.ip_address(value.split("/", 1)[0])
    if address != found.network_address:
        return None, f"{where} is {value!r}, an address inside of {found}. Write that"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return None, f"{where} is {value!r}, an IPv4 network in an IPv6 one. Write the IPv4 network"
    return found, ""


def _port(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    protocol, port, end = entry.get("protocol"), entry.get("port"), entry.get("endPort")
    if protocol is not None and protocol not in _PROTOCOLS:
        yield f"{where}.protocol is {protocol!r}. Use {', '.join(_PROTOCOLS)}"
    if end is not None and not _is_number(end):
        yield f"{where}.endPort is {end!r}, no number"
        return
    if port is None:
        if end is not None:
            yield f"{where}: endPort needs port"
    elif isinstance(port, str):
        if end is not None:
            yield f"{where}: endPort needs a number as port, not {port!r}"
        if not _full(_PORT_NAME, port):
            yield (
                f"{where}.port is the text {port!r}, no name of a port: 15 lower-case letters, digits and single '-' "
                "at most, one letter at least. Write a number without quotes"
            )
    elif not _is_number(port) or not 1 <= port <= 65535:
        yield f"{where}.port is {port!r}. Ports are numbers from 1 to 65535"
    elif end is not None and not port <= end <= 65535:
        yield f"{where}.endPort is {end}. It goes from port {port} to 65535"


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in _INT32


def _key(value: Any) -> bool:
    """Whether it is a qualified name: a part of up to 63 characters, maybe behind a domain and '/'."""
    if not isinstance(value, str):
        return False
    prefix, slash, name = value.rpartition("/")
    return _full(_NAME_PART, name) and (not slash or _subdomain(prefix))


def _text(value: Any) -> bool:
    """Whether the server reads it as a text; null is the empty one to it."""
    return value is None or isinstance(value, str)


def _value(value: str) -> bool:
    return value == "" or _full(_NAME_PART, value)


def _subdomain(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST and _full(_SUBDOMAIN, value)


def _full(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
