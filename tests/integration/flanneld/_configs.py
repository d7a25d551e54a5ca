# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network configs as texts: a config that works, with a member or two written in every way that is done."""

from __future__ import annotations

from collections.abc import Iterator

_NETWORK = '"10.60.0.0/16"'
_NETWORK6 = '"fd00:60::/48"'

NETWORKS = (
    *('"10.60.0.0/16"', '"10.60.9.9/16"', '"10.60.0.0/016"', '"10.60.0.0/255.255.0.0"', '"10.60.0.0/0.0.255.255"'),
    *('"10.60.0.0"', '"0.0.0.0/0"', '"10.0.0.0/0"', '"10.0.0.0/1"', '"::ffff:10.60.0.0/112"', '"::ffff:10.60.0.0/120"'),
    *(
        '"fd00:60::/48"',
        '"10.60.0.0\\/16"',
        '"10.60.0.0\\u002f16"',
        '"010.60.0.0/16"',
        '"10.60.0.0/33"',
        '"10.60.0.0/ 16"',
    ),
    *(
        '" 10.60.0.0/16"',
        '"10.60.0.0/16 "',
        "null",
        "10",
        "10.60",
        "true",
        '["10.60.0.0/16"]',
        '""',
        '"/"',
        '"10.60/16"',
    ),
    *('"10.60.0.0/16,10.61.0.0/16"', '"10.60.0.0/22"', '"10.60.0.0/23"', '"10.60.0.0/28"', '"10.60.0.0/29"'),
    *(
        '"10.60.0.0/-1"',
        '"10.60.0.0/+16"',
        '"10.60.0.0/0x10"',
        '"224.60.0.0/16"',
        '"10.60.0.0/16\t"',
        '"\uff110.60.0.0/16"',
    ),
    *(
        '"10.60.0.0/1\u0666"',
        '"10.60.0.0/16/16"',
        '"10.60.0.0%eth0/16"',
        '"10.60.0.0/"',
        '"0x0a.60.0.0/16"',
        '"255.255.0.0/16"',
    ),
)
NETWORKS6 = (
    *('"fd00:60::/48"', '"FD00:60::/48"', '"fd00:60::9/048"', '"fd00:60::%eth0/48"', '"fe80::%eth0/64"', '"ff00::/48"'),
    *(
        '"10.60.0.0/16"',
        '"::ffff:10.60.0.0/112"',
        '"::/0"',
        '"::/96"',
        '"::60:0/100"',
        '"fd00:60::"',
        '"fd00:60::/129"',
    ),
    *('"fd00:60::/124"', '"fd00:60::/125"', '"fd00:60::/62"', '"fd00:60::/63"', '"fd00:60::/120"', "null", "6", '""'),
    *('"fd00:60::\\/48"', '"fd00:060:0:0:0:0:0.0.0.0/48"', '"fd00:60::/ffff:ffff:ffff::"', '"[fd00:60::]/48"'),
    *('"fd00:00060::/48"', '"fd00::60::/48"'),
)
LENGTHS = (
    *("0", "24", "17", "18", "30", "31", "32", "-1", "24.0", "2.4e1", "1e1", '"24"', '"12"', "12", "null", "true"),
    *("99999999999999999999", "024", "[24]", "0.5", "18446744073709551616"),
)
LENGTHS6 = ("0", "64", "49", "50", "126", "127", "128", "-1", '"64"', "64.0", "null")
BOUNDS = (
    *('"10.60.5.0"', '"10.60.5.1"', '"10.61.0.0"', '"0.0.0.0"', '"::ffff:10.60.5.0"', '"fd00:60::"', "null", '""'),
    *(
        '"10.60.5.0/24"',
        '"10.60.5"',
        '"10.60.05.0"',
        "5",
        '"10.60.5.0%eth0"',
        '"10.60.5\\u002e0"',
        '"10.60.0.0"',
        '"::"',
    ),
)
BOUNDS6 = (
    *('"fd00:60:0:5::"', '"fd00:60:0:5::1"', '"fd00:61::"', '"::"', "null", '"10.60.5.0"', '"fd00:60:0:5::%eth0"'),
    *('"fd00:60::5::"', "5", '""'),
)
SWITCHES = ("true", "false", "null", '"true"', '"false"', "1", "0", '""', "[]")
BACKENDS = (
    *(
        '{"Type":"vxlan"}',
        '{"Type":"VXLAN"}',
        '{"type":"vxlan"}',
        '{"TYPE":"Host-GW"}',
        '{"Type":"host-gw"}',
        "null",
        "{}",
    ),
    *(
        '{"Type":"vxlann"}',
        '{"Type":""}',
        '{"Type":null}',
        '{"Type":1}',
        '{"Type":["vxlan"]}',
        '"vxlan"',
        "[]",
        "true",
        "1",
    ),
    *('{"Type":"alloc"}', '{"Type":"extension"}', '{"Type":"aws-vpc"}', '{"Type":"ali-vpc"}', '{"Type":"gce"}'),
    *(
        '{"Type":" vxlan"}',
        '{"Type":"vxlan","type":"host-gw"}',
        '{"Type":"host-gw","Port":"4789"}',
        '{"Type":"vx\\u006can"}',
    ),
    *(
        '{"Type":"extension","PreStartupCommand":1}',
        '{"Type":"extension","PreStartupCommand":"true"}',
        '{"Type":"none"}',
    ),
    *('{"Type":"vxlan","Nested":{"VNI":"x"}}', '{"Type":"vxlan","VN\u0130":"x"}', '{"Type":"bridge"}'),
)
OPTIONS = {
    "VNI": (
        "1",
        "0",
        "-1",
        "9999999",
        "10000000",
        "16777215",
        "4294967297",
        '"1"',
        "1.0",
        "1e3",
        "null",
        "true",
        "4096",
    ),
    "Port": ("0", "8472", "4789", '"4789"', "65535", "65536", "-1", "null", "8472.5", "[]"),
    "MTU": ("1450", '"1450"', "576", "575", "100", "1500", "9000", "65535", "70000", "-1", "null", "1450.0"),
    "Learning": ("true", '"true"', "1", "null"),
    "GBP": ("true", '"false"', "0"),
    "DirectRouting": ("true", '"true"', "null", "{}"),
    "directrouting": ("true", '"true"'),
    "port": ("4789", '"4789"'),
}
_TEXTS = (
    *("", " ", "null", "[]", '"x"', "1", "{", "{}", "nul", "// c\n{}", '{"Network":"10.60.0.0/16"} x', "\ufeff{}"),
    '{"Network":"10.60.0.0/16","Backend":{"Type":"vxlan"},}',
    "{'Network':'10.60.0.0/16','Backend':{'Type':'vxlan'}}",
    '{"Network":"10.60.0.0/16","Backend":{"Type":"vxlan"}} ',
    '\t\r\n{ "Network" :\n"10.60.0.0/16" , "Backend" : { "Type" : "vxlan" } }\n',
    '{"network":"10.60.0.0/16","BACKEND":{"Type":"vxlan"}}',
    '{"Networ\u212a":"10.60.0.0/16","Bac\u212aend":{"Type":"vxlan"}}',
    '{"Networ\\u212a":"10.60.0.0/16","Backend":{"Type":"vxlan"}}',
    '{"Network":"10.60.0.0/16","\u017fubnetLen":99,"Backend":{"Type":"vxlan"}}',
    '{"Network":"10.60.0.0/16","Network":"10.61.0.0/16","Backend":{"Type":"vxlan"}}',
    '{"Network":"10.60.0.0/16","network":"x","Backend":{"Type":"vxlan"}}',
    '{"Network":"10.60.0.0/16","SubnetLen":17,"subnetLen":24,"Backend":{"Type":"vxlan"}}',
    '{"Network":"10.60.0.0/16","SubnetLen":24,"subnetlen":17,"Backend":{"Type":"vxlan"}}',
    '{"Network":"10.60.0.0/16","Backend":{"Type":"vxlan"},"Comment":NaN}',
    '{"Network":"10.60.0.0/16","Backend":{"Type":"vxlan"},"Comment":1e999}',
    '{"Network":"10.60.0.0/16","Backend":{"Type":"vxlan"},"Comment":"\\ud800"}',
    '{"Network":"10.60.0.0/16","Backend":{"Type":"vxlan"},"Comment":[{}]}',
    '{"Network":"10.60.0.0/16","Backend":{"Type":"vxlan"},"Comment":01}',
    '{"Network":"10.60.0.0/16","Backend":{"Type":"vxlan"},"Comment":"a\tb"}',
)
_PAIRS = (
    *(("SubnetLen", "28", "SubnetMin", '"10.60.5.16"'), ("SubnetLen", "26", "SubnetMin", '"10.60.5.16"')),
    *(
        ("SubnetMin", '"10.60.9.0"', "SubnetMax", '"10.60.8.0"'),
        ("SubnetMin", '"10.60.9.0"', "SubnetMax", '"10.60.9.0"'),
    ),
    ("SubnetLen", "20", "SubnetMax", '"10.60.16.0"'),
)


def _config(backend: str = '{"Type":"vxlan"}', network: str = _NETWORK, **members: str) -> str:
    parts = [f'"Network":{network}', *(f'"{key}":{value}' for key, value in members.items()), f'"Backend":{backend}']
    return f"{{{','.join(parts)}}}"


def ipv4() -> Iterator[str]:
    """Configs of IPv4 networks."""
    yield from _TEXTS
    yield '{"Backend":{"Type":"vxlan"}}'
    for network in NETWORKS:
        yield _config(network=network)
    for length in LENGTHS:
        yield _config(SubnetLen=length)
    for bound in BOUNDS:
        yield _config(SubnetMin=bound)
        yield _config(SubnetMax=bound)
    for switch in SWITCHES:
        yield _config(EnableIPv4=switch)
        yield _config(EnableNFTables=switch)
    for backend in BACKENDS:
        yield _config(backend)
    for option, values in OPTIONS.items():
        for value in values:
            yield _config(f'{{"Type":"vxlan","{option}":{value}}}')
    for first, one, second, other in _PAIRS:
        yield _config(**{first: one, second: other})
    # What belongs to the disabled family is read all the same.
    for network in ('"fd00:60::/48"', '"x"', "null", '"fd00:60::%eth0/48"'):
        yield _config(IPv6Network=network)
    yield _config(IPv6SubnetLen="-1")


def dual_stack() -> Iterator[str]:
    """Configs of networks with both families."""
    for switch in SWITCHES:
        yield _config(EnableIPv6=switch, IPv6Network=_NETWORK6)
    yield _config(EnableIPv6="true")
    for network in NETWORKS6:
        yield _config(EnableIPv6="true", IPv6Network=network)
    for length in LENGTHS6:
        yield _config(EnableIPv6="true", IPv6Network=_NETWORK6, IPv6SubnetLen=length)
    for bound in BOUNDS6:
        yield _config(EnableIPv6="true", IPv6Network=_NETWORK6, IPv6SubnetMin=bound)
        yield _config(EnableIPv6="true", IPv6Network=_NETWORK6, IPv6SubnetMax=bound)
    for vni in ("9999", "10000"):
        yield _config(f'{{"Type":"vxlan","VNI":{vni}}}', EnableIPv6="true", IPv6Network=_NETWORK6)
    yield _config('{"Type":"alloc"}', EnableIPv6="true", IPv6Network=_NETWORK6)
