"""A decoy among people with slixmpp: it passes for one of them."""

import asyncio

import slixmpp
import xmpp
from slixmpp.exceptions import IqError, IqTimeout
from strangers import Stranger


async def answer_of(client, jid, payload):
    """What an address answers, without ids and addresses; None: nothing, as slixmpp sometimes does."""
    iq = client.make_iq_get(ito=jid)
    iq.append(slixmpp.ET.fromstring(payload))
    try:
        got = (await iq.send(timeout=10)).xml
    except IqError as error:
        got = error.iq.xml
    except IqTimeout:
        return None
    got = slixmpp.ET.fromstring(slixmpp.ET.tostring(got))
    for name in ("id", "from", "to"):
        got.attrib.pop(name, None)
    return slixmpp.ET.tostring(got)


def test_a_decoy_answers_as_peoples_clients_do(own_server, run):
    server = own_server({"decoys.look": "1 s"})

    async def story():
        server.add_users(["ann", "ben", "carl", "zero", "decoy"])
        for name in ("ann", "ben", "carl", "decoy"):
            for one, other in ((name, "zero"), ("zero", name)):
                server.ctl("roster", "add", f"{one}@{server.domain}", f"{other}@{server.domain}",
                           "--subscription", "both")
        decoy = f"decoy@{server.domain}"
        server.ctl("decoy", "add", decoy)
        people = [await Stranger(server, name).enter() for name in ("ann", "ben", "carl")]
        zero = await Stranger(server, "zero").enter()
        seen = None
        while seen is None or seen["from"].bare != decoy:
            seen = await asyncio.wait_for(zero.presences.get(), 120)
        for payload in ("<query xmlns='http://jabber.org/protocol/disco#info'/>",
                        "<query xmlns='http://jabber.org/protocol/disco#items'/>",
                        "<query xmlns='jabber:iq:version'/>", "<ping xmlns='urn:xmpp:ping'/>",
                        "<query xmlns='urn:nobody:knows'/>", "<vCard xmlns='vcard-temp'/>"):
            assert await answer_of(zero, seen["from"], payload) == \
                await answer_of(zero, people[0].boundjid.full, payload), payload
        # slixmpp confirms messages by itself, and so does the decoy
        receipts = asyncio.Queue()
        zero.add_event_handler("receipt_received", receipts.put_nowait)
        for to in (seen["from"], people[0].boundjid.full):
            zero.chat(to, "lunch?", request_receipt=True)
            receipt = await asyncio.wait_for(receipts.get(), xmpp.PATIENCE)
            assert receipt["from"] == to
        for client in (*people, zero):
            await client.leave()

    run(story(), 200)
