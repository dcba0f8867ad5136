"""aioxmpp: another lineage than slixmpp: its own XML, SASL (aiosasl), TLS (pyOpenSSL) and stream
management."""

import asyncio

import aiosasl
import aioxmpp
import aioxmpp.carbons
import aioxmpp.connector
import aioxmpp.dispatcher
import aioxmpp.roster
import OpenSSL
import pytest

import server as servers


def client_of(server, name, resource=None):
    # its own checks of certificates cannot know ours; everything else is its default
    def context():
        made = OpenSSL.SSL.Context(OpenSSL.SSL.TLS_METHOD)
        made.set_verify(OpenSSL.SSL.VERIFY_NONE)
        return made

    layer = aioxmpp.make_security_layer(servers.PASSWORD, no_verify=True)._replace(
        ssl_context_factory=context)
    jid = aioxmpp.JID(localpart=name, domain=server.domain, resource=resource)
    host, port = server.address
    return aioxmpp.PresenceManagedClient(
        jid, layer, override_peer=[(host, port, aioxmpp.connector.STARTTLSConnector())])


def listen(client):
    got = asyncio.Queue()
    dispatcher = client.summon(aioxmpp.dispatcher.SimpleMessageDispatcher)
    dispatcher.register_callback(aioxmpp.MessageType.CHAT, None, got.put_nowait)
    return got


def chat(to, body):
    message = aioxmpp.Message(to=to, type_=aioxmpp.MessageType.CHAT)
    message.body[None] = body
    return message


def test_login_and_chat(server, people, run):
    async def story():
        one, other = (client_of(server, n) for n in people(2))
        async with one.connected(), other.connected():
            got = listen(other)
            await one.send(chat(other.local_jid, "hark"))
            message = await got.get()
            assert message.body.any() == "hark" and message.from_ == one.local_jid

    run(story())


def test_stream_management_is_negotiated(server, people, run):
    async def story():
        one = client_of(server, people(1)[0])
        async with one.connected() as stream:
            assert stream.sm_enabled
            assert stream.sm_resumable

    run(story())


def test_roster(server, people, run):
    async def story():
        one, other = (client_of(server, n) for n in people(2))
        roster_one = one.summon(aioxmpp.RosterClient)
        roster_other = other.summon(aioxmpp.RosterClient)
        asked, both = (asyncio.get_event_loop().create_future() for _ in range(2))

        def on_subscribe(stanza):
            asked.done() or asked.set_result(stanza)

        def on_state(item):
            if item.subscription == "to" and not both.done():
                both.set_result(item)

        roster_other.on_subscribe.connect(on_subscribe)
        roster_one.on_entry_subscription_state_changed.connect(on_state)
        async with one.connected(), other.connected():
            roster_one.subscribe(other.local_jid.bare())
            request = await asked
            assert request.from_ == one.local_jid.bare()
            roster_other.approve(request.from_)
            assert (await both).jid == other.local_jid.bare()
            await roster_one.set_entry(other.local_jid.bare(), name="Juliet",
                                       add_to_groups={"Capulets"})
            assert {g for i in roster_one.items.values() for g in i.groups} == {"Capulets"}

    run(story())


def test_carbons(server, people, run):
    async def story():
        name, other = people(2)
        desk, phone = client_of(server, name, "desk"), client_of(server, name, "phone")
        friend = client_of(server, other)
        async with desk.connected(), phone.connected(), friend.connected():
            carbons = phone.summon(aioxmpp.CarbonsClient)
            await carbons.enable()
            copies = asyncio.Queue()
            dispatcher = phone.summon(aioxmpp.dispatcher.SimpleMessageDispatcher)
            dispatcher.register_callback(None, desk.local_jid.bare(), copies.put_nowait)
            got = listen(desk)
            await friend.send(chat(desk.local_jid, "to the desk"))
            assert (await got.get()).body.any() == "to the desk"
            copy = await copies.get()
            assert copy.xep0280_received.stanza.body.any() == "to the desk"

    run(story())


def test_disco_and_blocking(server, people, run):
    async def story():
        one, other = (client_of(server, n) for n in people(2))
        async with one.connected(), other.connected():
            disco = one.summon(aioxmpp.DiscoClient)
            info = await disco.query_info(aioxmpp.JID.fromstr(server.domain))
            assert "urn:xmpp:blocking" in info.features
            blocking = one.summon(aioxmpp.BlockingClient)
            await blocking.block_jids([other.local_jid.bare()])
            error = asyncio.get_event_loop().create_future()
            dispatcher = other.summon(aioxmpp.dispatcher.SimpleMessageDispatcher)
            dispatcher.register_callback(
                aioxmpp.MessageType.ERROR, None, lambda m: error.done() or error.set_result(m))
            await other.send(chat(one.local_jid.bare(), "wherefore"))
            assert (await error).error.condition == \
                aioxmpp.ErrorCondition.SERVICE_UNAVAILABLE

    run(story())


@pytest.mark.parametrize("wrong", ["wrong", ""])
def test_a_wrong_password_is_refused(server, people, run, wrong):
    async def story():
        name, = people(1)
        client = client_of(server, name)
        client._security_layer = aioxmpp.make_security_layer(wrong or "x", no_verify=True)
        failed = asyncio.get_event_loop().create_future()
        client.on_failure.connect(lambda e: failed.done() or failed.set_result(e))
        client.start()
        assert isinstance(await failed, aiosasl.AuthenticationFailure)

    run(story())
