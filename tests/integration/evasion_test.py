"""What a worm's author would try: ways to show a convicted link that a client makes clickable.

How links are read in a text is unit-tested (guard_lure_test.c); here are the places and the ways of
writing XML in which they may stand.  The sender of each is refused, and nobody gets anything.
"""

import secrets

import pytest

import xmpp
from doors_test import online, settle

HOST = "evil-" + secrets.token_hex(4) + ".com"
URL = f"http://{HOST}/x.php"
XHTML = ("<body>x</body><html xmlns='http://jabber.org/protocol/xhtml-im'>"
         "<body xmlns='http://www.w3.org/1999/xhtml'>{}</body></html>")
FORM = "<x xmlns='jabber:x:data' type='form'>{}</x>"
RDF = ("<body>x</body><rdf:Description xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' "
       "xmlns:og='https://ogp.me/ns#' {}</rdf:Description>")
SIMS = ("<body>x</body><reference xmlns='urn:xmpp:reference:0' type='data'><media-sharing "
        "xmlns='urn:xmpp:sims:1'><file xmlns='urn:xmpp:jingle:apps:file-transfer:5'>"
        "<name>a.jpg</name></file><sources><reference xmlns='urn:xmpp:reference:0' type='data' "
        f"uri='{URL}'/></sources></media-sharing></reference>")
half, rest = HOST[:4], HOST[4:]

MESSAGES = {
    "plain": f"<body>{URL}</body>",
    "another language": f"<body>hi</body><body xml:lang='de'>{URL}</body>",
    "subject": f"<subject>{URL}</subject>",
    "nickname": f"<body>x</body><nick xmlns='http://jabber.org/protocol/nick'>{URL}</nick>",
    "an element inside": f"<body>http://{half}<x xmlns='a'/>{rest}/x</body>",
    "CDATA": f"<body>http://<![CDATA[{half}]]>{rest}/x</body>",
    "references": "<body>&#104;ttp&#58;//" + HOST.replace(".", "&#46;") + "</body>",
    "zero width": f"<body>http://{half}\u200b{rest}/x</body>",
    "padded": f"<body>{URL}" + "\n" * 3000 + "</body>",
    "a very long link": f"<body>{URL}?{'a' * 20000}</body>",
    "a very long name before it": f"<body>http://{'a' * 9000}@{HOST}/</body>",
    "the same out of band": f"<x xmlns='jabber:x:oob'><url>http://{'a' * 9000}@{HOST}/</url></x>",
    "too many": "<body>" + " ".join(f"http://h{i}.example/" for i in range(70)) + "</body>",
    "XHTML": XHTML.format(f"<a href='{URL}'>x</a>"),
    "XHTML in capitals": XHTML.format(f"<a HREF='{URL}'>x</a>"),
    "XHTML without a scheme": XHTML.format(f"<a href='//{HOST}/x'>x</a>"),
    "XHTML with a bare host": XHTML.format(f"<a href='www.{HOST}/x'>x</a>"),
    "XHTML behind a break": XHTML.format(f"<p>hello<br/>{URL}</p>"),
    "XHTML with a tab": XHTML.format(f"<a href='http://{half}&#9;{rest}/'>x</a>"),
    "out of band": f"<x xmlns='jabber:x:oob'><url>{URL}</url></x>",
    "out of band, bare": f"<x xmlns='jabber:x:oob'><url>{HOST}/x</url></x>",
    "media sharing": SIMS,
    "file sharing": "<body>x</body><file-sharing xmlns='urn:xmpp:sfs:0'><sources><url-data xmlns="
                    f"'http://jabber.org/protocol/url-data' target='{URL}'/></sources>"
                    "</file-sharing>",
    "link metadata": RDF.format(f"rdf:about='{URL}'>"),
    "link metadata's image": RDF.format(f"><og:image>{URL}</og:image>"),
    "a form's title": FORM.format(f"<title>{URL}</title>"),
    "a form's words": FORM.format(f"<instructions>{URL}</instructions>"),
    "a form's text": FORM.format(f"<field type='fixed'><value>{URL}</value></field>"),
    "a form's label": FORM.format(f"<field var='a' label='{URL}'/>"),
    "an invitation": f"<x xmlns='jabber:x:conference' jid='r@c.example' reason='{URL}'/>",
    "a published item": "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='x'>"
                        "<item><entry xmlns='http://www.w3.org/2005/Atom'>"
                        f"<title>{URL}</title></entry></item></items></event>",
    "a correction": f"<body>{URL}</body><replace xmlns='urn:xmpp:message-correct:0' id='x'/>",
    "a retraction's fallback": f"<body>{URL}</body><retract id='x' "
                               "xmlns='urn:xmpp:message-retract:1'/>",
    "a forwarded message": "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'>"
                           f"<body>{URL}</body></message></forwarded>",
}


@pytest.fixture(scope="module")
def talk():
    import server as servers
    server = servers.make({"guard.mode": "on"}).start()
    server.ctl("incident", "convict", URL, "--width", "host", "--reason", "test")
    worm, victim = online(server, 2)
    yield server, worm, victim
    worm.close()
    victim.close()
    server.check_healthy()
    server.remove()


def is_refused(talk, attributes, payload):
    _, worm, victim = talk
    id = "e" + secrets.token_hex(4)
    worm.send(f"<message id='{id}' {attributes}>{payload}</message>")
    back = worm.wait_for(lambda e: e.get("id") == id)
    assert back.get("type") == "error", xmpp.show(back)
    assert xmpp.condition_of(back.find("{jabber:client}error")) == "policy-violation"
    settle(worm, victim)
    assert not [xmpp.show(e) for e in victim.drain()]


@pytest.mark.parametrize("payload", MESSAGES.values(), ids=MESSAGES.keys())
def test_a_convicted_link_is_found_wherever_it_stands(talk, payload):
    is_refused(talk, f"type='chat' to='{talk[2].jid}'", payload)


@pytest.mark.parametrize("kind", ["chat", "normal", "headline", "groupchat", "nonsense"])
def test_no_type_of_message_passes_by(talk, kind):
    is_refused(talk, f"type='{kind}' to='{talk[2].bare}'", f"<body>{URL}</body>")


def test_every_field_of_a_vcard_is_read(talk):
    _, worm, _ = talk
    for field in (f"<FN>{URL}</FN>", f"<TITLE>{URL}</TITLE>", f"<URL>{HOST}</URL>",
                  f"<ORG><ORGNAME>{URL}</ORGNAME></ORG>", f"<ADR><STREET>{URL}</STREET></ADR>"):
        answer = worm.ask("set", f"<vCard xmlns='vcard-temp'>{field}</vCard>")
        assert answer.get("type") == "error", field


def test_a_text_full_of_what_is_almost_a_link_holds_up_nobody(talk):
    # each of these made the scanner read far ahead: the worker was busy for seconds
    _, worm, victim = talk
    is_refused(talk, f"type='chat' to='{victim.jid}'", "<body>" + "xn--.com/" * 20000 + "</body>")
