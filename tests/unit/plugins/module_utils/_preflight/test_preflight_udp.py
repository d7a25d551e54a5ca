# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The listener and the questions, over the loopback link."""

from __future__ import annotations

import os
import socket

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._host.process import start_time
from ansible_collections.podnet.cni.plugins.module_utils._preflight import udp
from ansible_collections.podnet.cni.plugins.module_utils._probe.measure import Target

HERE = "127.0.0.1"
WORD = "t"


@pytest.fixture
def listener():
    """Starts listeners, and ends them."""
    started = []

    def start(token, seconds=20.0):
        sockets, outcomes = udp.listen([HERE], [0])
        port = sockets[0].getsockname()[1]
        assert outcomes[0]["state"] == "listening"
        process = udp.spawn(sockets, token, seconds)
        started.append(process)
        return port, process

    yield start
    for process in started:
        udp.stop(process["pid"], process["start_time"])
        os.waitpid(process["pid"], 0)


def ask(port, token, timeout=2.0, attempts=2):
    return udp.ask("a", [HERE], [Target("b", HERE)], [port], token=token, attempts=attempts, timeout=timeout)[0]


def test_a_listener_answers_who_knows_the_token(listener):
    port, _process = listener("secret")
    answer = ask(port, "secret")
    assert answer["open"] is True
    assert answer["error"] == ""
    assert answer["rtt"] >= 0
    assert (answer["source"], answer["target"], answer["address"], answer["port"]) == ("a", "b", HERE, port)


def test_a_listener_is_silent_to_others(listener):
    port, _process = listener("secret")
    assert ask(port, "guess", timeout=0.2, attempts=1)["open"] is False


def test_a_port_where_nobody_listens_says_so():
    sockets, _outcomes = udp.listen([HERE], [0])
    port = sockets[0].getsockname()[1]
    sockets[0].close()
    answer = ask(port, "secret", timeout=0.2)
    assert (answer["open"], answer["error"]) == (False, "Connection refused")


def test_a_port_that_somebody_has_is_held():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HERE, 0))
        sockets, outcomes = udp.listen([HERE, "192.0.2.77"], [other.getsockname()[1]])
    assert [outcome["state"] for outcome in outcomes] == ["held", "failed"]
    assert outcomes[0]["reason"] == "Address already in use"
    assert udp.spawn(sockets, "x", 1.0) == {"pid": None, "start_time": None}


def test_a_listener_ends_by_itself(listener):
    _port, process = listener("secret", seconds=0.0)
    os.waitid(os.P_PID, process["pid"], os.WEXITED | os.WNOWAIT)
    assert start_time(process["pid"]) is None


def test_a_listener_is_stopped_and_another_process_is_not(listener):
    _port, process = listener("secret")
    assert udp.stop(process["pid"], process["start_time"] + 1) is False
    assert udp.stop(process["pid"], process["start_time"]) is True
    os.waitid(os.P_PID, process["pid"], os.WEXITED | os.WNOWAIT)
    assert udp.stop(process["pid"], process["start_time"]) is False


def test_an_address_without_a_way_there_is_an_answer_of_its_own():
    answer = udp.ask("a", ["192.0.2.77"], [Target("b", HERE)], [9], token=WORD, attempts=1, timeout=0.1)[0]
    assert answer["open"] is False
    assert "assign" in answer["error"]


def test_a_question_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="512 is the most"):
        udp.ask("a", [], [Target("b", HERE)], [9], token=WORD * 600, attempts=1, timeout=0.1)
