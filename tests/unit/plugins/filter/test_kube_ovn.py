# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters that check the configuration and render the policies."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.filter.kube_ovn_policies import kube_ovn_policies
from ansible_collections.podnet.cni.tests.unit._private_filters import private

kube_ovn_config = private("kube_ovn_config")


def test_config_is_filled_in() -> None:
    full = kube_ovn_config({"annotations": ["routes"]})
    assert full["annotations"][0]["mode"] == "default"
    assert kube_ovn_config(full) == full
    with pytest.raises(AnsibleFilterError, match="annotations is empty"):
        kube_ovn_config({})


def test_policies_follow_the_options() -> None:
    enforced = {"annotations": [{"annotation": "port_security", "mode": "enforce"}]}
    objects = kube_ovn_policies(enforced, name="n", version="v1beta1", failure_policy="Fail")
    assert [(item["kind"], item["metadata"]["name"]) for item in objects] == [
        ("MutatingAdmissionPolicy", "n"),
        ("MutatingAdmissionPolicyBinding", "n"),
        ("ValidatingAdmissionPolicy", "n-enforced"),
        ("ValidatingAdmissionPolicyBinding", "n-enforced"),
        ("ValidatingAdmissionPolicy", "n-values"),
        ("ValidatingAdmissionPolicyBinding", "n-values"),
    ]
    assert objects[0]["apiVersion"] == "admissionregistration.k8s.io/v1beta1"
    assert objects[0]["spec"]["failurePolicy"] == "Fail"
    assert len(kube_ovn_policies({"annotations": ["routes"]}, validate_namespaces=False)) == 2


@pytest.mark.parametrize("options", [("n", "v2", "Fail"), ("n", "v1", "fail")])
def test_unknown_choices(options: tuple[str, str, str]) -> None:
    with pytest.raises(AnsibleFilterError, match="use one of"):
        kube_ovn_policies({"annotations": ["routes"]}, *options)
