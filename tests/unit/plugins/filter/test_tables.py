# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables that reports are made of."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.filter import reachability_table as reach
from ansible_collections.podnet.cni.plugins.filter import text_table as table
from ansible_collections.podnet.cni.plugins.plugin_utils._text_table import align


def probe(source: str, target: str, received: int = 4, rtt: float = 0.1) -> dict[str, Any]:
    return {
        "source": source,
        "target": target,
        "sent": 4,
        "received": received,
        "loss": 100.0 * (4 - received) / 4,
        "rtt_avg": rtt if received else None,
    }


def test_few_hosts_make_a_matrix_in_one_order() -> None:
    probes = [probe("b", "a", rtt=0.256), probe("b", "c", received=3), probe("a", "b"), probe("c", "a", received=0)]
    assert reach.reachability_table(probes).split("\n") == [
        "from \\ to  b             a             c",
        "b          -             0 %  0.26 ms  25 %  0.10 ms",
        "a          0 %  0.10 ms  -             -",
        "c          -             no answer     -",
        "",
        "3 of 4 pairs reach each other, loss 31.2 %, round trip 0.10 to 0.26 ms",
    ]


def test_many_hosts_make_a_line_each_and_name_the_pairs_that_lose() -> None:
    names = [f"n{number}" for number in range(12)]
    probes = [probe(a, b) for a in names for b in names if a != b]
    probes[0].update(received=0, loss=100.0, rtt_avg=None)
    probes[1].update(received=3, loss=25.0)
    lines = reach.reachability_table(probes).split("\n")
    assert lines[0].split() == ["from", "reached", "loss", "round", "trip", "min", "/", "mean", "/", "max"]
    assert lines[1].split()[:5] == ["n0", "10", "of", "11", "11.4"]
    assert lines[14:16] == ["n0 -> n1: no answer", "n0 -> n2: 25 %  0.10 ms"]
    assert lines[-1].startswith("131 of 132 pairs")


def test_the_limit_of_the_matrix_can_be_set() -> None:
    assert "from \\ to" not in reach.reachability_table([probe("a", "b"), probe("b", "a")], matrix_limit=1)


def test_no_answer_at_all_has_no_round_trip() -> None:
    text = reach.reachability_table([probe("a", "b", received=0)])
    assert text.endswith("0 of 1 pairs reach each other, loss 100 %")
    assert "-" in reach.reachability_table([probe("a", "b", received=0)], matrix_limit=0).split("\n")[1]


def test_nothing_measured_is_said() -> None:
    assert reach.reachability_table([]) == "nothing was measured"


@pytest.mark.parametrize("wrong", ["text", 3, [1], [{"source": "a"}]])
def test_what_the_module_did_not_return_is_refused(wrong: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="reachability_table"):
        reach.reachability_table(wrong)


def test_rows_become_columns_of_text() -> None:
    rows = [{"host": "a", "peers": ["b", "c"], "mac": None}, {"host": "long name", "peers": []}]
    assert table.text_table(rows, {"host": "HOST", "mac": "MAC", "peers": "PEERS"}).split("\n") == [
        "HOST       MAC  PEERS",
        "a               b, c",
        "long name",
    ]
    assert table.text_table(rows).splitlines()[0] == "host       peers  mac"
    assert table.text_table(rows, ["mac"]).splitlines()[0] == "mac"
    assert table.text_table([]) == ""


@pytest.mark.parametrize("wrong", [3, ["a"], "a"])
def test_what_is_no_list_of_dictionaries_is_refused(wrong: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="list of dictionaries"):
        table.text_table(wrong)


@given(st.lists(st.lists(st.text("ab ", max_size=5), min_size=1, max_size=4), max_size=6))
def test_each_cell_stands_where_its_column_starts(rows: list[list[str]]) -> None:
    lines = align(rows)
    assert len(lines) == len(rows)
    for row, line in zip(rows, lines):
        start = 0
        for column, cell in enumerate(row):
            assert line[start:].ljust(len(cell)).startswith(cell.rstrip())
            start += max(len(other[column]) for other in rows if column < len(other)) + 2


def test_the_filters_are_found_by_name() -> None:
    assert set(reach.FilterModule().filters()) == {"reachability_table"}
    assert set(table.FilterModule().filters()) == {"text_table"}
