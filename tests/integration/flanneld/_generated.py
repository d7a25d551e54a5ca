# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network configs and leases that a seed makes: members drawn from those that were thought of, and texts with slips."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from random import Random

from ansible_collections.podnet.cni.tests.integration.flanneld import _configs, _leases

SEED = int(os.environ.get("PODNET_SEED") or 20261129)
FULL = os.environ.get("PODNET_FULL", "") not in ("", "0")
CONFIGS = 4000 if FULL else 400
LEASES = 8000 if FULL else 800

# One more, one other or one less of these is what people and programs get wrong.
_SLIPS = (*'0123456789./:-%&" ,{}[]\\abfxXeE+_', "\t", "\n", "\u0660", "\ufeff", "null", "00", "::", "-0", "1e1")
_TYPES = (*("vxlan",) * 6, *("host-gw",) * 3, "alloc", "extension", "VXLAN", "Host-GW", "vxlann", "aws-vpc", "")
_GOOD = {
    "Network": ('"10.60.0.0/16"', '"10.60.0.0/22"', '"10.60.9.9/16"', '"10.0.0.0/8"', '"10.60.0.0/24"'),
    "IPv6Network": ('"fd00:60::/48"', '"fd00:60::9/56"', '"FD00:60::/64"'),
    "SubnetLen": ("24", "26", "28", "0", "30"),
    "IPv6SubnetLen": ("64", "66", "0"),
    "SubnetMin": ('"10.60.1.0"', '"10.60.0.128"', '"0.0.0.0"'),
    "SubnetMax": ('"10.60.3.0"', '"10.60.0.192"', '"0.0.0.0"'),
    "IPv6SubnetMin": ('"fd00:60:0:1::"', "null"),
    "EnableIPv4": ("true", "null"),
    "EnableIPv6": ("true", "false"),
    "EnableNFTables": ("true", "false"),
    "Comment": ('"ours"', "1e999", "[]", '{"Network":"x"}'),
}
_ODD = {
    "Network": _configs.NETWORKS,
    "IPv6Network": _configs.NETWORKS6,
    "SubnetLen": _configs.LENGTHS,
    "IPv6SubnetLen": _configs.LENGTHS6,
    "SubnetMin": _configs.BOUNDS,
    "SubnetMax": _configs.BOUNDS,
    "IPv6SubnetMin": _configs.BOUNDS6,
    "EnableIPv4": _configs.SWITCHES,
    "EnableIPv6": _configs.SWITCHES,
    "EnableNFTables": _configs.SWITCHES,
    "Comment": ("NaN", "01", "'x'", "-0", '"\\ud800"'),
}


def _slip(random: Random, text: str) -> str:
    place = random.randrange(len(text) + 1)
    kept = random.choice((place, place, min(place + 1, len(text))))
    return text[:place] + random.choice(("", *_SLIPS)) + text[kept:]


def _spelled(random: Random, name: str) -> str:
    return random.choice((name,) * 8 + (name.lower(), name.upper(), name.swapcase(), name.replace("k", "\u212a")))


def _value(random: Random, name: str) -> str:
    draw = random.random()
    if draw < 0.8:
        return random.choice(_GOOD[name])
    return random.choice(_ODD[name]) if draw < 0.95 else _slip(random, random.choice(_GOOD[name]))


def _backend(random: Random) -> str:
    if random.random() < 0.1:
        return random.choice(_configs.BACKENDS)
    members = [(_spelled(random, "Type"), json.dumps(random.choice(_TYPES)))]
    for _number in range(random.choice((0, 0, 1, 1, 2))):
        name = random.choice(list(_configs.OPTIONS))
        members.append((_spelled(random, name), random.choice(_configs.OPTIONS[name])))
    return _object(random, members)


def _object(random: Random, members: list[tuple[str, str]]) -> str:
    if random.random() < 0.1:
        members = [*members, random.choice(members)]
    random.shuffle(members)
    return "{" + ",".join(f'"{name}":{value}' for name, value in members) + "}"


def _config(random: Random) -> str:
    names = ["Network"] * (random.random() < 0.97)
    names += random.sample([name for name in _GOOD if name != "Network"], random.choice((0, 1, 1, 2, 3)))
    members = [(_spelled(random, name), _value(random, name)) for name in names]
    if random.random() < 0.1 and names:
        # The same member again, with a value of its own.
        name = random.choice(names)
        members.append((_spelled(random, name), _value(random, name)))
    members.append((_spelled(random, "Backend"), _backend(random)))
    text = _object(random, members)
    return _slip(random, text) if random.random() < 0.1 else text


def configs() -> list[str]:
    """Texts of network configs, each once. IPv6 without IPv4 is left out: flanneld does not end its search there."""
    random = Random(SEED)
    found: dict[str, None] = {}
    while len(found) < CONFIGS:
        text = _config(random)
        if "false" not in text.lower().partition("enableipv4")[2][:8]:
            found[text] = None
    return list(found)


def _wide(templates: Sequence[str]) -> list[str]:
    """Templates of one network's leases for thousands of them, which two numbers tell apart."""
    pairs = (("10.60.", "10.{m}."), ("198.18.7.", "198.18.{m}."), ("00:07:", "00:{m:02x}:"), ("00-07-", "00-{m:02X}-"))
    found = list(templates)
    for old, new in pairs:
        found = [template.replace(old, new) for template in found]
    return found


_KEY, _VALUE, _IP, _MAC, _DATA = _wide(["10.60.{n}.0-24", _leases.VALUE, _leases.IP, _leases.MAC, _leases.DATA])
_MEMBERS = {
    '"PublicIPv6":null': [f'"PublicIPv6":{text}' for text in (*_leases.PUBLIC_IPV6, "null")],
    _IP: _wide(_leases.PUBLIC_IPS),
    '"vxlan"': list(_leases.TYPES),
    _MAC: _wide(_leases.MACS),
    '"VNI":1': [f'"VNI":{text}' for text in _leases.VNIS],
    _DATA: _wide(_leases.DATAS),
    _VALUE: _wide(_leases.VALUES),
}


def _lease(random: Random, number: int) -> tuple[str, str]:
    key = random.choice(_wide(_leases.KEYS)) if random.random() < 0.15 else _KEY
    value = _VALUE
    for _number in range(random.choice((0, 1, 1, 2))):
        old = random.choice(list(_MEMBERS))
        new = random.choice(_MEMBERS[old])
        # Instead of the good one, before it or behind it.
        twice = random.random() < 0.2 and old.startswith('"P')
        value = value.replace(old, random.choice((f"{old},{new}", f"{new},{old}")) if twice else new)
    numbers = {"m": 100 + number // 250, "n": number % 250}
    key, value = key.format(**numbers), value.format(**numbers)
    if random.random() < 0.1:
        key = _slip(random, key)
    if random.random() < 0.15:
        value = _slip(random, value)
    return key.replace("/", "-"), value


def leases() -> dict[str, str]:
    """Values by the last part of their keys, for a vxlan network 10.0.0.0/8."""
    random = Random(SEED)
    return dict(_lease(random, number) for number in range(LEASES))
