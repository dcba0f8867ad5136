"""incident replay: a recorded incident is judged again under other settings."""

import contextlib

import pytest

from ctl_test import MISSING, USAGE, status_of
from doors_test import convict, fresh, online, settle
from incident_test import first_incident, say
from notices_test import outbreak, store


def replay(server, incident, *sets):
    words = [word for one in sets for word in ("--set", one)]
    told = server.ctl_json("incident", "replay", incident, *words)
    really, again = told["judgements"]
    assert (really["which"], again["which"]) == ("really", "replayed")
    assert told["complete"] and told["events"] > 0
    return really, again


@pytest.mark.parametrize("end", ["none", "stop", "kill"])
def test_an_incident_is_judged_again(own_server, end):
    server = own_server({"guard.mode": "on"})
    outbreak(server)
    incident = first_incident(server, "--state", "convicted")
    if end != "none":
        getattr(server, end)()
        server.start()
    before = server.ctl_json("incident", "show", incident)

    # under the same settings it is what it was, to the microsecond
    really, again = replay(server, incident)
    assert really["verdict"] == again["verdict"] == "convicted"
    assert {**really, "which": ""} == {**again, "which": ""}
    # more evidence wanted: it would have gone on
    really, again = replay(server, incident, "guard.convict_nats=500", "guard.hold_nats=400")
    assert really["verdict"] == "convicted" and really["rejected"] > 0
    assert again["verdict"] == "not convicted" and again["convicted"] is None
    assert again["rejected"] == 0
    # less: earlier, or not later
    really, again = replay(server, incident, "guard.convict_nats=8")
    assert again["verdict"] == "convicted" and again["seconds"] <= really["seconds"]
    # a wider window lets more go out before the next one waits
    really, again = replay(server, incident, "guard.window_first=1000", "guard.hold_nats=400",
                           "guard.ask=0 s")
    assert really["held"] > again["held"] == 0

    # nothing of it is done
    assert server.ctl_json("incident", "show", incident) == before
    text = server.ctl("incident", "replay", incident, "--set", "guard.convict_nats=500")
    assert "not convicted" in text


def test_what_the_guard_would_have_thought_of_what_an_operator_convicted(own_server):
    server = own_server({"guard.mode": "on"})
    sender, reader = online(server, 2)
    _, link = fresh()
    say(sender, reader.bare, link)
    settle(sender, reader)
    incident = str(convict(server, link)["incident"])
    really, again = replay(server, incident)
    # convicted by hand: by evidence it is not, in either
    assert really["verdict"] == again["verdict"] == "not convicted"
    assert again["sendings"] == 1


def first_event_kept(server):
    """Of a server that does not run."""
    with contextlib.closing(store(server)) as db:
        return db.execute("SELECT min(number) FROM event").fetchone()[0]


def test_the_log_is_cut_where_no_incident_can_be_judged_from_any_more(own_server):
    server = own_server({"guard.mode": "on", "guard.replay": "1 s"})
    outbreak(server)
    incident = first_incident(server, "--state", "convicted")
    for _ in range(30):  # until two stops were late enough for another base
        sender, reader = online(server, 2)
        say(sender, reader.bare, fresh()[1])
        settle(sender, reader)
        server.stop()
        is_cut = first_event_kept(server) > 1
        server.start()
        if is_cut:
            break
    assert is_cut
    told = server.ctl_json("incident", "replay", incident)
    assert not told["complete"]


@pytest.mark.parametrize("setting", ["limits.depth=16", "guard.nonsense=1", "guard.convict_nats=x"])
def test_only_settings_of_the_guard_are_taken(server, setting):
    assert status_of(server, "incident", "replay", "1", "--set", setting) == USAGE


def test_an_incident_that_does_not_exist_is_missing(server):
    assert status_of(server, "incident", "replay", "999999") == MISSING
