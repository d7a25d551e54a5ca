# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leases as keys and values in etcd: one that works, with one thing at a time written otherwise."""

from __future__ import annotations

IP = '"198.18.7.{n}"'
MAC = '"02:00:00:00:07:{n:02x}"'
DATA = '{{"VNI":1,"VtepMAC":' + MAC + "}}"
VALUE = '{{"PublicIP":' + IP + ',"PublicIPv6":null,"BackendType":"vxlan","BackendData":' + DATA + "}}"

KEYS = (
    *(
        "10.60.{n}.0-24",
        "10.60.{n}.0-024",
        "10.60.{n}.0-0000000024",
        "x10.60.{n}.0-24",
        "10.60.{n}.0-25",
        "10.60.{n}.0-30",
    ),
    *(
        "10.60.{n}.0-24hi",
        "10.60.{n}.0",
        "10.060.{n}.0-24",
        "10.60.{n}.0-32",
        "10.60.{n}.0-33",
        "10.60.{n}-24",
        "10.60.{n}.0_24",
    ),
    *(
        "10.60.{n}.0-24&",
        "10.60.{n}.0-24&fd00-64",
        "10.60.{n}.0-24&:12:-64",
        "10.60.{n}.0-24&fd00::-64hi",
        "10.60.{n}.0- 24",
    ),
    *(
        "10.60.{n}.256-24",
        "10.60x{n}.0-24",
        "10.60.{n}.0-24 ",
        "&fd00:60:0:{n}::-64",
        "10.60.{n}.0-24&FD00::-64",
        "garbage",
    ),
    *(
        "10.60.{n}.0-24&fd00:60::-128",
        "10.60.{n}.0-24&fd00:60::-129",
        "10.60.{n}.0--24",
        "10.60.{n}.0-+24",
        "10.60.{n}.0-24\n",
    ),
)
PUBLIC_IPS = (
    *(
        '"::ffff:198.18.7.{n}"',
        '"198.018.7.{n}"',
        '"fd00::1"',
        '""',
        "null",
        "7",
        '"198.18.7.{n}%eth0"',
        '" 198.18.7.{n}"',
    ),
    *(
        '"198.18.7.{n}/32"',
        '"198.18.7\\u002e{n}"',
        '["198.18.7.{n}"]',
        '"198.18.7"',
        '"::198.18.7.{n}"',
        "198.18",
        "false",
    ),
)
PUBLIC_IPV6 = (
    *(
        '"fd00::7"',
        '"FD00::0007"',
        '"fe80::19%eth0"',
        '"1.2.3.4"',
        '"::ffff:1.2.3.4"',
        '""',
        "7",
        '"fd00::/64"',
        '"::"',
    ),
    *("{{}}", '"fd00:\\u003a7"'),
)
TYPES = ('"VXLAN"', '"host-gw"', '""', "null", "1", '"vx\\u006can"', '["vxlan"]', '" vxlan"')
MACS = (
    *(
        '"02-00-00-00-07-{n:02X}"',
        '"0200.0000.07{n:02x}"',
        '"0200000007{n:02x}"',
        '"02:00:00:00:07:{n:02X}"',
        "null",
        '""',
        "7",
    ),
    *(
        '"02:00:00:00:07"',
        '"02:00-00:00:07:{n:02x}"',
        '"2:0:0:0:7:{n:x}"',
        '"02:00:00:00:07:{n:02x} "',
        '"02:00:00:00:07:\\u0031\\u0031"',
    ),
)
VNIS = ('"1"', "-1", "1.5", "4294967296", "null", "7", "1e0", "true")
DATAS = (
    '{{"vni":1,"vtepmac":' + MAC + "}}",
    '{{"VTEPMAC":' + MAC + ',"Vni":1}}',
    '{{"VtepMAC":' + MAC + "}}",
    '{{"VNI":1,"VtepMAC":' + MAC + ',"More":[1]}}',
    '{{"VNI":1,"VtepMAC":"x","vtepmac":' + MAC + "}}",
    *('"x"', "[]", "1", "true", '{{"VNI":1,"VtepMAC":{{}}}}'),
)
VALUES = (
    *("", "x", "null", "[]", '"x"', "7", "{{", VALUE + "x", VALUE + " ", VALUE.replace('"vxlan",', '"vxlan",,')),
    VALUE.replace("PublicIP", "publicip").replace("BackendType", "backendtype").replace("BackendData", "BACKENDDATA"),
    VALUE.replace("Bac", "Bac\u212a").replace("\u212ak", "\u212a"),
    VALUE.replace('"BackendType":"vxlan",', ""),
    VALUE.replace(',"BackendData":' + DATA, ""),
    VALUE.replace('"PublicIPv6":null,', ""),
    VALUE.replace('"PublicIPv6":null', '"More":{{"PublicIP":"x"}}'),
    VALUE.replace('"PublicIPv6":null', '"BackendV6Data":"x"'),
    VALUE.replace('"PublicIPv6":null', '"Comment":NaN'),
    VALUE.replace('"BackendType":"vxlan"', '"BackendType":"host-gw","backendType":"vxlan"'),
    "\ufeff" + VALUE,
    VALUE.replace(",", "\n ,\t"),
)
# flanneld programs these; we name them and pass over: nothing good can come of them.
ODD = (
    ("10.99.{n}.0-24", VALUE),
    ("10.60.{n}.0-24", VALUE.replace(IP, '"10.60.1.{n}"')),
    ("10.60.{n}.0-24", VALUE.replace(IP, '"127.0.0.{n}"')),
    ("10.60.{n}.0-24", VALUE.replace(IP, '"240.0.0.{n}"')),
    ("10.60.{n}.0-24", VALUE.replace('"PublicIP":' + IP + ",", "")),
)

# One more lease for a running flanneld that has this network.
_HARMFUL = {
    "host bits": ("10.60.50.7-24", VALUE),
    "no MAC": ("10.60.50.0-24", VALUE.replace(',"VtepMAC":' + MAC, "")),
    "null data": ("10.60.50.0-24", VALUE.replace(DATA, "null")),
    "empty data": ("10.60.50.0-24", VALUE.replace(DATA, "{{}}")),
    "MAC of eight octets": ("10.60.50.0-24", VALUE.replace(MAC, '"02:00:00:00:07:32:00:00"')),
    "multicast MAC": ("10.60.50.0-24", VALUE.replace(MAC, '"03:00:00:00:07:32"')),
    "zero MAC": ("10.60.50.0-24", VALUE.replace(MAC, '"00:00:00:00:00:00"')),
    "multicast IP": ("10.60.50.0-24", VALUE.replace(IP, '"239.0.0.7"')),
    "broadcast IP": ("10.60.50.0-24", VALUE.replace(IP, '"255.255.255.255"')),
    "no IP": ("10.60.50.0-24", VALUE.replace(IP, '"0.0.0.0"')),
    "two families": ("10.60.50.0-24&fd00:60:0:50::-64", VALUE),
    "two families in full": (
        "10.60.50.0-24&fd00:60:0:50::-64",
        VALUE.replace("null", '"fd00:18::7"').replace(DATA, DATA + ',"BackendV6Data":' + DATA),
    ),
    "no subnet": ("0.0.0.0-0", VALUE),
    "wide": ("10.0.0.0-8", VALUE),
    "wider": ("10.60.0.0-16", VALUE),
    "a /31": ("10.60.50.0-31", VALUE),
    "multicast subnet": ("224.0.50.0-24", VALUE),
    "loopback subnet": ("127.0.50.0-24", VALUE),
    "zero subnet": ("0.0.50.0-24", VALUE),
    "reserved subnet": ("240.0.50.0-24", VALUE),
    "underlay": ("198.18.0.0-24", VALUE),
    "same subnet as own": ("10.60.1.0-24&fd00:60:0:50::-64", VALUE),
}


def leases() -> list[tuple[str, str]]:
    """(the last part of the key, the value) for a vxlan network 10.60.0.0/16; each has a third octet of its own."""
    plain = "10.60.{n}.0-24"
    found = [(key, VALUE) for key in KEYS]
    found += [(plain, VALUE.replace(IP, text)) for text in PUBLIC_IPS]
    found += [(plain, VALUE.replace('"PublicIPv6":null', f'"PublicIPv6":{text}')) for text in PUBLIC_IPV6]
    found += [(plain, VALUE.replace('"vxlan"', text)) for text in TYPES]
    found += [(plain, VALUE.replace(MAC, text)) for text in MACS]
    found += [(plain, VALUE.replace('"VNI":1', f'"VNI":{text}')) for text in VNIS]
    found += [(plain, VALUE.replace(DATA, text)) for text in DATAS]
    found += [(plain, text) for text in VALUES]
    found += ODD
    return [(key.format(n=number), value.format(n=number)) for number, (key, value) in enumerate(found, 101)]


def subnet(key: str) -> str:
    """The subnet of a plain key."""
    return key.replace("-", "/")


def harmful() -> dict[str, tuple[str, str]]:
    """Leases by what is wrong with them."""
    return {name: (key.format(n=50), value.format(n=50)) for name, (key, value) in _HARMFUL.items()}
