# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directory of network configurations: what is written, what is removed, and which file wins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._cni import conflist
from ansible_collections.podnet.cni.plugins.module_utils._cni import directory as cni_directory

OURS = "10-flannel.conflist"
DOCUMENT = conflist.desired("cbr0", "0.3.1", conflist.flannel_plugins())
VALID_CONF = '{"cniVersion": "0.3.1", "name": "other", "type": "bridge"}'


def converge(directory: Path, obsolete: tuple[str, ...] = ()) -> Any:
    return converge_to(DOCUMENT, directory, obsolete)


def converge_to(document: Any, directory: Path, obsolete: tuple[str, ...] = ()) -> Any:
    observed = cni_directory.observe(str(directory), obsolete)
    plan = cni_directory.plan(OURS, document, observed)
    cni_directory.apply(str(directory), OURS, plan)
    return plan


def test_a_missing_directory_is_made_and_a_second_run_finds_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "cni" / "net.d"
    assert converge(directory).actions == (f"create {OURS}",)
    assert json.loads((directory / OURS).read_text()) == DOCUMENT
    assert not converge(directory)


def test_the_same_json_in_another_layout_is_kept(tmp_path: Path) -> None:
    text = json.dumps(DOCUMENT, sort_keys=True)
    (tmp_path / OURS).write_text(text)
    assert not converge(tmp_path)
    assert (tmp_path / OURS).read_text() == text


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({**DOCUMENT, "cniVersion": "1.0.0"})])
def test_other_content_is_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / OURS).write_text(text)
    assert converge(tmp_path).actions == (f"change {OURS}",)
    assert json.loads((tmp_path / OURS).read_text()) == DOCUMENT


def test_one_and_true_are_different_json(tmp_path: Path) -> None:
    document = conflist.desired("cbr0", "0.3.1", [{"type": "bridge", "vlan": 1}])
    (tmp_path / OURS).write_text(json.dumps(document).replace('"vlan": 1', '"vlan": true'))
    assert converge_to(document, tmp_path).actions


def test_obsolete_files_go_and_others_stay(tmp_path: Path) -> None:
    for name in ("10-containerd-net.conflist", "readme", "99-loopback.conf"):
        (tmp_path / name).write_text(VALID_CONF)
    plan = converge(tmp_path, obsolete=("10-containerd-net.conflist", "readme", "not-there.conf"))
    assert plan.actions == (f"create {OURS}", "remove 10-containerd-net.conflist", "remove readme")
    assert sorted(path.name for path in tmp_path.iterdir()) == [OURS, "99-loopback.conf"]


def test_absent_removes_the_file(tmp_path: Path) -> None:
    converge(tmp_path)
    assert converge_to(None, tmp_path).actions == (f"remove {OURS}",)
    assert not converge_to(None, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_planning_changes_nothing_and_tells_what_will_be(tmp_path: Path) -> None:
    (tmp_path / "05-old.conf").write_text(VALID_CONF)
    observed = cni_directory.observe(str(tmp_path), ["05-old.conf"])
    plan = cni_directory.plan(OURS, DOCUMENT, observed)
    assert [path.name for path in tmp_path.iterdir()] == ["05-old.conf"]
    assert cni_directory.winner(cni_directory.candidates(plan.texts)) == OURS
    new, old = cni_directory.diff("/d", observed, plan)[::-1]
    assert (old["before"], old["after"]) == (VALID_CONF, "")
    assert (new["before"], new["after"]) == ("", conflist.render(DOCUMENT))
    assert new["after_header"] == f"/d/{OURS}"


def test_a_file_that_sorts_first_wins_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "10-containerd-net.conflist").write_text(json.dumps(DOCUMENT))
    texts = converge(tmp_path).texts
    files = cni_directory.candidates(texts)
    assert cni_directory.winner(files) == "10-containerd-net.conflist"
    (message,) = cni_directory.warnings(OURS, files, texts)
    assert message.startswith(f"the container runtime takes 10-containerd-net.conflist, not {OURS}")


def test_an_invalid_file_that_sorts_first_is_told(tmp_path: Path) -> None:
    (tmp_path / "05-broken.conflist").write_text("{")
    (tmp_path / "99-broken.conflist").write_text("{")
    texts = converge(tmp_path).texts
    files = cni_directory.candidates(texts)
    assert cni_directory.winner(files) == OURS
    (message,) = cni_directory.warnings(OURS, files, texts)
    assert message.startswith("05-broken.conflist is invalid (no JSON")


def test_nothing_is_told_when_ours_comes_first(tmp_path: Path) -> None:
    (tmp_path / "99-other.conf").write_text(VALID_CONF)
    texts = converge(tmp_path).texts
    assert cni_directory.warnings(OURS, cni_directory.candidates(texts), texts) == []


def multus(**members: Any) -> str:
    return json.dumps({"cniVersion": "0.3.1", "name": "multus-cni-network", "type": "multus", **members})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (multus(delegates=[DOCUMENT]), ""),
        (multus(type="multus-shim", clusterNetwork=f"/host/etc/cni/net.d/{OURS}"), ""),
        (multus(clusterNetwork="cbr0"), ""),
        (
            multus(delegates=[{**DOCUMENT, "cniVersion": "1.0.0"}]),
            "a copy that differs from 10-flannel.conflist: restart",
        ),
        (multus(delegates=[{"name": "cilium", "plugins": []}]), "that is cilium, not cbr0 of 10-flannel.conflist"),
        (multus(delegates="cbr0"), "which it does not name"),
        (multus(), "which it does not name"),
    ],
)
def test_multus_comes_first_and_is_judged_by_what_it_hands_pods_on_to(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "00-multus.conf").write_text(text)
    texts = converge(tmp_path).texts
    warnings = cni_directory.warnings(OURS, cni_directory.candidates(texts), texts)
    assert len(warnings) == bool(told)
    for message in warnings:
        assert told in message
        assert "Leave it there" in message
        assert "emove it" not in message


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.conflist", json.dumps(DOCUMENT), ""),
        ("a.conf", VALID_CONF, ""),
        ("a.json", VALID_CONF, ""),
        ("a.conf", json.dumps(DOCUMENT), "it has no plugin type"),
        ("a.conflist", VALID_CONF, "it has no plugins"),
        ("a.conflist", '{"plugins": [{"type": "x"}]}', "it has no name"),
        ("a.conflist", '{"name": "x", "plugins": []}', "it has no plugins"),
        ("a.conflist", '{"name": "x", "plugins": [{}]}', "a plugin has no type"),
        ("a.conflist", '{"name": 1}', "its name is not a string"),
        ("a.conflist", "[]", "no JSON object"),
        ("a.conflist", "", "no JSON"),
    ],
)
def test_valid_is_what_the_runtime_takes(name: str, text: str, problem: str) -> None:
    (candidate,) = cni_directory.candidates({name: text})
    assert candidate.file == name
    assert candidate.problem == problem if not problem else candidate.problem.startswith(problem)


def test_only_files_that_a_runtime_reads_are_candidates(tmp_path: Path) -> None:
    for name in ("a.conflist", "b.conf", "c.json", ".d.conf", "e.conflist.tmp", "f", "g.conflist~"):
        (tmp_path / name).write_text(VALID_CONF)
    (tmp_path / "h.conf").mkdir()
    (tmp_path / "i.conf").symlink_to("nowhere")
    (tmp_path / "j.conf").symlink_to(tmp_path / "h.conf")
    observed = cni_directory.observe(str(tmp_path))
    files = {candidate.file: candidate for candidate in cni_directory.candidates(observed.texts, observed.reasons)}
    assert list(files) == [".d.conf", "a.conflist", "b.conf", "c.json", "i.conf", "j.conf"]
    assert files["i.conf"].problem == "there is no such file"
    assert files["j.conf"].problem.endswith("Is a directory")


def test_missing_plugins_are_named_with_the_remedy(tmp_path: Path) -> None:
    for name, mode in (("bridge", 0o755), ("portmap", 0o644)):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(mode)
    message = cni_directory.missing_plugins(DOCUMENT, ["/nowhere", str(tmp_path)])
    assert message.startswith(
        f"CNI plugins flannel, host-local, portmap are not executable files in /nowhere, {tmp_path}"
    )
    assert "validate_plugins=false" in message
    for name in ("flannel", "host-local", "portmap"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    assert cni_directory.missing_plugins(DOCUMENT, ["/nowhere", str(tmp_path)]) == ""


NAMES = st.builds("{}{}".format, st.text("ab01-", min_size=1, max_size=4), st.sampled_from(cni_directory.EXTENSIONS))
TEXTS = st.one_of(
    st.none(), st.text(max_size=8), st.sampled_from([VALID_CONF, json.dumps(DOCUMENT), conflist.render(DOCUMENT)])
)


@given(st.dictionaries(NAMES, TEXTS), st.sets(NAMES))
def test_a_carried_out_plan_leaves_nothing_to_do(texts: dict[str, str | None], obsolete: set[str]) -> None:
    gone = tuple(sorted((obsolete - {OURS}) & set(texts)))
    plan = cni_directory.plan(OURS, DOCUMENT, cni_directory.Observed(texts, {}, gone))
    assert not set(plan.texts) & set(gone)
    assert not cni_directory.plan(OURS, DOCUMENT, cni_directory.Observed(plan.texts, {}, ()))
    files = cni_directory.candidates(plan.texts)
    first = cni_directory.winner(files)
    assert first is not None
    assert first <= OURS
    assert all(candidate.problem for candidate in files if candidate.file < first)
