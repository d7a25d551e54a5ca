# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unit and the environment file of the role flanneld, as systemd reads them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import ansible.template
import yaml
from ansible.parsing.dataloader import DataLoader

ROLE = Path(__file__).parents[2] / "roles" / "flanneld"
PAGE = (Path(__file__).parents[2] / "docs" / "flanneld.md").read_text(encoding="utf-8")
trust_as_template = getattr(ansible.template, "trust_as_template", str)
"""Since ansible-core 2.19 templates have to be called such."""
LOGGED = "flanneld_etcd_password"
IN_FILE = {"etcd-username", "etcd-password"}


def values() -> dict[str, Any]:
    """What the defaults are where they need no inventory."""
    found = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
    plain = {name: value for name, value in found.items() if not (isinstance(value, str) and "{{" in value)}
    names = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
    plain |= {name: value for name, value in names.items() if isinstance(value, str) and "{{" not in value}
    followed = ("_flanneld_has_account", "_flanneld_kubeconfig_file")
    plain |= {name: trust_as_template(names[name]) for name in followed}
    more = {
        "_flanneld_binary": "/opt/podnet-cni-flanneld/flanneld",
        "_flanneld_backend": "vxlan",
        "_flanneld_config": {"Network": "10.244.0.0/16"},
        "flanneld_before": ["docker.service"],
        "flanneld_node_name": "node-1",
    }
    return {**plain, **more}


def render(name: str, **changes: Any) -> str:
    """The file as Ansible's module template writes it."""
    text = trust_as_template((ROLE / "templates" / name).read_text(encoding="utf-8"))
    templar = ansible.template.Templar(loader=DataLoader(), variables={**values(), **changes})
    return str(templar.template(text, preserve_trailing_newlines=True, escape_backslashes=False))


def unit(**changes: Any) -> dict[str, list[str]]:
    """The settings of the unit, each with all its values, lines put together as systemd does."""
    text = render("podnet-cni-flanneld.service.j2", **changes).replace("\\\n", "")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith(("#", "[")):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def flags(**changes: Any) -> list[str]:
    """The command line, with systemd's own signs taken off."""
    (line,) = unit(**changes)["ExecStart"]
    words = shlex.split(line)
    assert words[0] == "/opt/podnet-cni-flanneld/flanneld"
    return [word.replace("%%", "%").replace("$$", "$") for word in words[1:]]


def test_an_account_brings_its_kubeconfig_file_unless_another_is_named() -> None:
    inside = {"flanneld_store": "kubernetes", "flanneld_account": "yes"}
    assert "--kubeconfig-file=/etc/podnet-cni-flanneld/kubeconfig" in flags(**inside)
    assert "--kubeconfig-file=/etc/mine" in flags(**inside, flanneld_kubeconfig_file="/etc/mine")
    assert not [flag for flag in flags(flanneld_account=True) if "kubeconfig" in flag], "etcd needs none"


def test_flags_for_etcd() -> None:
    found = flags(
        flanneld_etcd_endpoints=["https://a:2379", "https://b:2379"],
        **{LOGGED: "secret"},
        flanneld_iface=["eth0", "198.18.0.1"],
        flanneld_ip_masq="no",
    )
    assert found[0] == "--etcd-endpoints=https://a:2379,https://b:2379"
    assert [flag for flag in found if flag.startswith("--iface=")] == ["--iface=eth0", "--iface=198.18.0.1"]
    assert "--ip-masq=false" in found
    assert "secret" not in " ".join(found)
    assert not [flag for flag in found if flag.startswith("--kube") or flag.endswith("=")]


def test_flags_for_kubernetes() -> None:
    found = flags(flanneld_store="kubernetes", flanneld_kubeconfig_file="/etc/kubernetes/flannel.conf")
    assert found[:2] == ["--kube-subnet-mgr=true", "--kubeconfig-file=/etc/kubernetes/flannel.conf"]
    assert not [flag for flag in found if "etcd" in flag]


def test_signs_that_systemd_reads_reach_flanneld_as_they_are() -> None:
    assert '--iface-regex=^eth\\d+$ 100% "x"' in flags(flanneld_iface_regex=['^eth\\d+$ 100% "x"'])


def test_a_password_with_signs() -> None:
    text = render("flanneld.env.j2", flanneld_etcd_username="root", **{LOGGED: 'a"b$c`d\\e'})
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines == ['FLANNELD_ETCD_USERNAME="root"', 'FLANNELD_ETCD_PASSWORD="a\\"b\\$c\\`d\\\\e"']
    assert "LogFilterPatterns" not in unit()
    assert unit(**{LOGGED: "x"})["LogFilterPatterns"] == ["~CLI flags config:"]


def test_the_environment_has_what_the_store_and_the_backend_need() -> None:
    text = render("flanneld.env.j2", flanneld_store="kubernetes", _flanneld_backend="wireguard")
    assert 'NODE_NAME="node-1"\nWIREGUARD_KEY_FILE="/etc/podnet-cni/wireguard.key"\n' in text
    assert render("flanneld.env.j2", flanneld_environment={"EVENT_QUEUE_DEPTH": 9}).endswith('EVENT_QUEUE_DEPTH="9"\n')


def test_rights() -> None:
    found = unit()
    assert found["CapabilityBoundingSet"] == ["CAP_NET_ADMIN CAP_NET_RAW"]
    assert (found["PrivateDevices"], found["ProtectHome"]) == (["yes"], ["yes"])
    assert "PrivateDevices" not in unit(_flanneld_backend="udp")
    assert unit(_flanneld_backend="udp")["DeviceAllow"] == ["/dev/net/tun rw"]
    assert unit(flanneld_etcd_keyfile="/root/key.pem")["ProtectHome"] == ["read-only"]
    assert "CapabilityBoundingSet" not in unit(flanneld_sandbox=False)
    assert found["Before"] == ["docker.service"]
    assert "Before" not in unit(flanneld_before=[])


def test_every_flag_of_the_unit_is_on_the_page() -> None:
    table = PAGE.split("## Flags of flanneld", 1)[1].split("## ", 1)[0]
    named = {
        flag for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for flag in re.findall(r"`([\w-]+)`", row)
    }
    template = (ROLE / "templates" / "podnet-cni-flanneld.service.j2").read_text(encoding="utf-8")
    written = set(re.findall(r"(?:flag|switch)\('([\w-]+)'", template))
    without = {row[0] for row in re.findall(r"^\| `([\w-]+)` \| (none): ", table, re.MULTILINE)}
    assert named == written | IN_FILE | without
