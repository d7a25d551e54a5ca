# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The etcd options: what is accepted, what is refused and how, and that their documentation is theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.doc_fragments._etcd import ModuleDocFragment
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._stores.options import (
    DEFAULT_ENDPOINTS,
    ETCD_ARGUMENT_SPEC,
    Endpoint,
    from_params,
    parse_endpoint,
)

PLAIN = {"etcd_endpoints": DEFAULT_ENDPOINTS}


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("http://127.0.0.1:2379", Endpoint("http", "127.0.0.1", 2379)),
        ("https://etcd-1.example.com", Endpoint("https", "etcd-1.example.com", 2379)),
        ("https://[2001:db8::10]:4001/", Endpoint("https", "2001:db8::10", 4001)),
    ],
)
def test_endpoint(text: str, endpoint: Endpoint) -> None:
    assert parse_endpoint(text, "etcd_endpoints[0]") == endpoint
    assert parse_endpoint(str(endpoint), "again") == endpoint


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("127.0.0.1:2379", "no scheme"),
        ("unix:///run/etcd.sock", "http:// or https://"),
        ("http://", "names no host"),
        ("http://a b:2379", "names no host"),
        ("http://host:port", "is not a URL"),
        ("http://host:99999", "is not a URL"),
        ("http://host:0", "port 0"),
        ("http://[::1:2379", "is not a URL"),
        ("http://host:2379/v3", "must end after the port"),
        ("http://root:secret@host:2379", "etcd_username"),
    ],
)
def test_bad_endpoint_is_named(text: str, part: str) -> None:
    with pytest.raises(InputError, match="etcd_endpoints") as caught:
        from_params({"etcd_endpoints": ["http://good:2379", text]})
    assert part in str(caught.value)
    assert "etcd_endpoints[1]" in str(caught.value)
    assert "secret" not in str(caught.value)


@given(st.text())
def test_no_text_crashes(text: str) -> None:
    try:
        endpoint = parse_endpoint(text, "etcd_endpoints[0]")
    except InputError:
        return
    assert parse_endpoint(str(endpoint), "again") == endpoint


@pytest.mark.parametrize(
    ("given_prefix", "prefix"),
    [("/coreos.com/network", "/coreos.com/network"), ("//a///b/", "/a/b"), (None, "/coreos.com/network")],
)
def test_prefix_is_joined_as_flanneld_does(given_prefix: str | None, prefix: str) -> None:
    assert from_params({**PLAIN, "etcd_prefix": given_prefix}).prefix == prefix


@pytest.mark.parametrize("prefix", ["coreos.com/network", "/", "//", "/a/../b", "/a/."])
def test_bad_prefix(prefix: str) -> None:
    with pytest.raises(InputError, match="etcd_prefix"):
        from_params({**PLAIN, "etcd_prefix": prefix})


@pytest.mark.parametrize(
    ("params", "part"),
    [
        ({"etcd_endpoints": []}, "etcd_endpoints is empty"),
        ({**PLAIN, "etcd_timeout": 0.0}, "etcd_timeout 0"),
        ({**PLAIN, "etcd_timeout": float("nan")}, "etcd_timeout nan"),
        ({**PLAIN, "etcd_cafile": "/nonexistent/ca.pem"}, "etcd_cafile /nonexistent/ca.pem"),
        ({**PLAIN, "etcd_username": "root"}, "etcd_username is given without etcd_password"),
        ({**PLAIN, "etcd_password": "secret"}, "etcd_password is given without etcd_username"),
    ],
)
def test_bad_options(params: dict[str, object], part: str) -> None:
    with pytest.raises(InputError) as caught:
        from_params(params)
    assert part in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("given_name", ["etcd_certfile", "etcd_keyfile"])
def test_certificate_and_key_belong_together(given_name: str) -> None:
    with pytest.raises(InputError, match="give both or neither"):
        from_params({"etcd_endpoints": ["https://h:1"], given_name: __file__})


def test_tls_files_with_plain_endpoint() -> None:
    with pytest.raises(InputError, match="http://h:1 is not encrypted"):
        from_params({"etcd_endpoints": ["https://g:1", "http://h:1"], "etcd_cafile": __file__})


def test_unreadable_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a file"):
        from_params({"etcd_endpoints": ["https://h:1"], "etcd_cafile": str(tmp_path)})


def test_password_is_not_in_the_representation() -> None:
    options = from_params({**PLAIN, "etcd_username": "root", "etcd_password": "pass-phrase"})
    assert options.password
    assert "pass-phrase" not in repr(options)


def test_documentation_fragment_is_the_argument_spec() -> None:
    documented = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert documented.keys() == ETCD_ARGUMENT_SPEC.keys()
    for name, option in ETCD_ARGUMENT_SPEC.items():
        for field in ("type", "elements", "default"):
            assert documented[name].get(field) == option.get(field), f"{name}.{field}"
