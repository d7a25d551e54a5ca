# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an action tells its module beside the options."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils import basic

from ansible_collections.podnet.cni.plugins.module_utils._kube import channel

TOLD = {"holder": {"type": "str", "default": "me"}, "patience": {"type": "float"}}


@pytest.mark.parametrize(
    ("given", "names"), [(None, []), ({"name": "x"}, []), ({"name": "x", "_task": {"holder": "y"}}, ["_task"])]
)
def test_only_a_module_that_is_given_it_takes_it(monkeypatch: pytest.MonkeyPatch, given: Any, names: list[str]) -> None:
    arguments = None if given is None else json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode()
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", arguments)
    assert list(channel.spec(TOLD)) == names


def test_the_rest_has_its_defaults() -> None:
    params = {"name": "x", "_task": {"holder": None, "patience": 2.0}}
    assert channel.take(params, TOLD) == {"holder": "me", "patience": 2.0}
    assert params == {"name": "x"}
    assert channel.take(params, TOLD) == {"holder": "me", "patience": None}
