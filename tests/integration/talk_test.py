"""Runs every dialogue (*.talk) of this folder; support/talk.py says how they are written."""

import glob
import os
import xml.etree.ElementTree as ET

import pytest

import talk

HERE = os.path.dirname(__file__)
CASES = [pytest.param(steps, id=f"{os.path.basename(path)[:-5]}: {name}",
                      marks=[pytest.mark.threads] if "messages" in path or "sm" in path else [])
         for path in sorted(glob.glob(os.path.join(HERE, "*.talk")))
         for name, steps in talk.variants(path)]


@pytest.mark.parametrize("steps", CASES)
def test_dialogue(steps, request):
    settings = talk.settings_of(steps)
    if settings is None:
        server = request.getfixturevalue("server")
    else:
        server = request.getfixturevalue("own_server")(settings)
    talk.Dialogue(server, steps).run()


def test_a_pattern_matches_what_it_should_and_nothing_else():
    ns = "<iq xmlns='jabber:client' type='result' id='b' from='x'>{}</iq>"
    error = ns.format("<error type='cancel'><item-not-found xmlns='urn:e'/></error>")
    for pattern, text, good in [
        ("<iq type='result' id='b'/>", ns.format(""), True),
        ("<iq type='result' id='b'/>", ns.format("<more/>"), False),
        ("<iq type='error'/>", ns.format(""), False),
        ("<iq>…</iq>", ns.format("<more/>"), True),
        ("<iq>…<item-not-found/>…</iq>", error, True),
        ("<iq>…<item-not-found xmlns='urn:e'/>…</iq>", error, True),
        ("<iq>…<item-not-found xmlns='urn:f'/>…</iq>", error, False),
        ("<iq>…<forbidden/>…</iq>", error, False),
        ("<iq to='∅'/>", ns.format(""), True),
        ("<iq from='∅'/>", ns.format(""), False),
        ("<iq id='…'/>", ns.format(""), True),
        ("<iq><body>hello …</body></iq>", ns.format("<body>hello you</body>"), True),
        ("<iq><body>hello</body></iq>", ns.format("<body>hello you</body>"), False),
        ("<iq><a/><b/></iq>", ns.format("<b/><a/>"), False),
        ("<iq>…<item-not-found/></error></iq>", error, True),
        ("<iq><error>…</iq>", error, True),
        ("<iq>…<b></iq>", ns.format("<a><b/></a>"), False),
        ("<iq>…<a/>…<b/>…</iq>", ns.format("<x><a/></x><b/>"), True),
    ]:
        element = ET.fromstring(text)
        assert talk.matches(pattern, element, {}) == good, pattern
    caught = {}
    assert talk.matches("<iq id='{=id}'/>", ET.fromstring(ns.format("")), caught)
    assert caught == {"id": "b"}


def test_any_order_keeps_the_order_of_each_person():
    steps = talk.read_steps("any order\n  romeo sends 1\n  romeo sends 2\n  juliet sends 3\n")
    texts = [[s.text for s in order] for order in talk.orders(steps)]
    assert len(texts) == 3
    assert all(t.index("romeo sends 1") < t.index("romeo sends 2") for t in texts)
