"""slixmpp: login with channel binding, roster, subscription, chat, offline, carbons, archive,
resumption, blocking."""

import asyncio
import io
import socket
import ssl

import aiohttp
import pytest
from slixmpp.plugins.xep_0363 import FileTooBig

import uploads
from strangers import PLUGINS, IqError, Stranger


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1",
                                       "SCRAM-SHA-256", "PLAIN", None])
@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct-tls"])
def test_login(server, people, run, mechanism, direct):
    async def story():
        name, = people(1)
        if mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256"):
            # slixmpp says y ("you do not offer -PLUS") when told not to use it: RFC 5802 wants
            # that refused, so here it is made to believe that it cannot bind at all
            client = Stranger(server, name, mechanism)
            mechanisms = client["feature_mechanisms"]
            given = mechanisms.sasl_callback
            mechanisms.sasl_callback = lambda required, optional: {
                **given(required, optional - {"channel_binding"}), "channel_binding": None}
        else:
            client = Stranger(server, name, mechanism)
        await client.enter(direct=direct)
        assert client.boundjid.bare == f"{name}@{server.domain}"
        used = client["feature_mechanisms"].mech.name
        assert used == (mechanism or "SCRAM-SHA-256-PLUS")
        await client.leave()

    run(story())


def test_a_wrong_password_is_refused(server, people, run):
    async def story():
        client = Stranger(server, people(1)[0], password="wrong")
        client.connect(server.address)
        # slixmpp tries every mechanism; the server may lose its patience before that
        await asyncio.wait([client.ready, client.gone], return_when=asyncio.FIRST_COMPLETED)
        assert not client.ready.done() or client.ready.result() == "refused"

    run(story())


def test_roster_and_subscription(server, people, run):
    async def story():
        romeo, juliet = [await Stranger(server, n).enter() for n in people(2)]
        await romeo.befriend(juliet)
        juliet.send_presence(pshow="away", pstatus="balcony")
        while True:
            presence = await romeo.presences.get()
            if presence["status"] == "balcony":
                break
        assert presence["from"].bare == juliet.boundjid.bare and presence["show"] == "away"
        romeo.update_roster(juliet.boundjid.bare, name="Juliet", groups=["Capulets"])
        await romeo.fence()
        await romeo.get_roster()
        assert romeo.client_roster[juliet.boundjid.bare]["name"] == "Juliet"
        assert romeo.client_roster[juliet.boundjid.bare]["groups"] == ["Capulets"]
        romeo.del_roster_item(juliet.boundjid.bare)
        await romeo.fence()
        await romeo.get_roster()
        await juliet.leave()
        await romeo.leave()

    run(story())


def test_chat_with_receipts_and_states(server, people, run):
    async def story():
        romeo, juliet = [await Stranger(server, n).enter() for n in people(2)]
        juliet["xep_0184"].auto_ack = True
        receipt = asyncio.get_event_loop().create_future()
        romeo.add_event_handler("receipt_received", receipt.set_result)
        message = romeo.make_message(mto=juliet.boundjid.bare, mbody="ciao, Giulietta €",
                                     mtype="chat")
        message["request_receipt"] = True
        message["chat_state"] = "active"
        message.send()
        got = await juliet.next()
        assert got["body"] == "ciao, Giulietta €" and got["from"] == romeo.boundjid
        assert got["chat_state"] == "active"
        assert (await receipt)["receipt"] == message["id"]
        await romeo.leave()
        await juliet.leave()

    run(story())


def test_offline_messages_wait(server, people, run):
    async def story():
        one, other = people(2)
        romeo = await Stranger(server, one).enter()
        romeo.chat(f"{other}@{server.domain}", "while you were away")
        await romeo.fence()
        juliet = await Stranger(server, other).enter()
        got = await juliet.next()
        assert got["body"] == "while you were away" and got["delay"]["stamp"]
        await romeo.leave()
        await juliet.leave()

    run(story())


def test_carbons(server, people, run):
    async def story():
        one, other = people(2)
        romeo = await Stranger(server, one).enter()
        desk = await Stranger(server, other, resource="desk").enter()
        phone = await Stranger(server, other, resource="phone").enter()
        await phone["xep_0280"].enable()
        romeo.chat(f"{other}@{server.domain}/desk", "to the desk")
        assert (await desk.next())["body"] == "to the desk"
        carbon = await phone.carbons.get()
        assert carbon["carbon_received"]["body"] == "to the desk"
        desk.chat(romeo.boundjid, "from the desk")
        carbon = await phone.carbons.get()
        assert carbon["carbon_sent"]["body"] == "from the desk"
        for client in (romeo, desk, phone):
            await client.leave()

    run(story())


def test_archive_in_pages(server, people, run):
    async def story():
        romeo, juliet = [await Stranger(server, n).enter() for n in people(2)]
        for i in range(25):
            romeo.chat(juliet.boundjid.bare, f"message {i}")
            await juliet.next()
        bodies = []
        async for result in juliet["xep_0313"].iterate(rsm={"max": 10}):
            bodies.append(result["mam_result"]["forwarded"]["stanza"]["body"])
        assert bodies == [f"message {i}" for i in range(25)]
        bodies = []
        async for result in juliet["xep_0313"].iterate(rsm={"max": 10}, reverse=True, total=7):
            bodies.append(result["mam_result"]["forwarded"]["stanza"]["body"])
        assert sorted(bodies, key=lambda b: int(b.split()[1])) == \
            [f"message {i}" for i in range(18, 25)]
        await romeo.leave()
        await juliet.leave()

    run(story())


def test_a_session_is_resumed(server, people, run):
    async def story():
        one, other = people(2)
        romeo = await Stranger(server, one).enter()
        juliet = await Stranger(server, other).enter()
        romeo.chat(juliet.boundjid, "before")
        assert (await juliet.next())["body"] == "before"
        old = juliet.boundjid.full
        juliet.ready = asyncio.get_event_loop().create_future()
        juliet.abort()
        romeo.chat(juliet.boundjid.bare, "while the network was away")
        await romeo.fence()
        juliet.connect(server.address)
        assert await juliet.ready == "resumed"
        assert (await juliet.next())["body"] == "while the network was away"
        assert juliet.boundjid.full == old
        await romeo.leave()
        await juliet.leave()

    run(story())


def test_blocking(server, people, run):
    async def story():
        romeo, juliet = [await Stranger(server, n).enter() for n in people(2)]
        errors = asyncio.Queue()
        romeo.add_event_handler("message_error", errors.put_nowait)
        await juliet["xep_0191"].block(romeo.boundjid.bare)
        listed = await juliet["xep_0191"].get_blocked()
        assert {str(j) for j in listed["blocklist"]["items"]} == {romeo.boundjid.bare}
        romeo.chat(juliet.boundjid.bare, "wherefore")
        assert (await errors.get())["error"]["condition"] == "service-unavailable"
        await juliet["xep_0191"].unblock(romeo.boundjid.bare)
        romeo.chat(juliet.boundjid.bare, "again")
        assert (await juliet.next())["body"] == "again"
        await romeo.leave()
        await juliet.leave()

    run(story())


def test_small_questions(server, people, run):
    async def story():
        client = await Stranger(server, people(1)[0]).enter()
        assert await client["xep_0199"].ping(server.domain) >= 0
        version = await client["xep_0092"].get_version(server.domain)
        assert version["software_version"]["name"] == "Firedoor"
        info = await client["xep_0030"].get_info(jid=server.domain)
        features = set(info["disco_info"]["features"])
        assert {"urn:xmpp:carbons:2", "urn:xmpp:blocking", "urn:xmpp:ping"} <= features
        account = await client["xep_0030"].get_info(jid=client.boundjid.bare)
        assert "urn:xmpp:mam:2" in set(account["disco_info"]["features"])
        card = client["xep_0054"].make_vcard()
        card["FN"] = "A Stranger"
        await client["xep_0054"].publish_vcard(card)
        got = await client["xep_0054"].get_vcard(client.boundjid.bare)
        assert got["vcard_temp"]["FN"] == "A Stranger"
        with pytest.raises(IqError):
            await client["xep_0092"].get_version("nobody-at-all@" + server.domain)
        await client.leave()

    run(story())


def test_a_file_is_uploaded_and_fetched(own_server, run, monkeypatch):
    server = uploads.with_uploads(own_server)
    # slixmpp makes its HTTP session by itself: it is to believe our certificate and find our host
    context = ssl.create_default_context(cafile=server.certificate)

    class Resolver(aiohttp.abc.AbstractResolver):
        async def resolve(self, host, port=0, family=socket.AF_INET):
            return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": family,
                     "proto": 0, "flags": 0}]

        async def close(self):
            pass

    def session(**options):
        connector = aiohttp.TCPConnector(ssl=context, resolver=Resolver())
        return aiohttp.ClientSession(connector=connector, **options)

    monkeypatch.setattr("slixmpp.plugins.xep_0363.http_upload.ClientSession", session)

    async def story():
        names = server.fresh_users(2)
        romeo, juliet = [await Stranger(server, n, plugins=[*PLUGINS, "xep_0363"]).enter()
                         for n in names]
        # its own search passes coroutines to asyncio.wait(), which Python 3.11 refuses: what the
        # search would have read is read here
        info = await romeo["xep_0030"].get_info(jid=server.domain)
        assert "urn:xmpp:http:upload:0" in set(info["disco_info"]["features"])
        assert ("store", "file") in {i[:2] for i in info["disco_info"]["identities"]}
        form, = [f for f in info["disco_info"].iterables
                 if f["values"].get("FORM_TYPE") == ["urn:xmpp:http:upload:0"]]
        romeo["xep_0363"].upload_service = info["from"]
        romeo["xep_0363"].max_file_size = int(form["values"]["max-file-size"])
        content = b"wherefore art thou " * 10000
        url = await romeo["xep_0363"].upload_file("play.txt", size=len(content),
                                                  input_file=io.BytesIO(content))
        message = romeo.make_message(mto=juliet.boundjid.bare, mbody=url, mtype="chat")
        message["oob"]["url"] = url
        message.send()
        got = await juliet.next()
        async with session() as http:
            async with http.get(got["oob"]["url"]) as answer:
                assert answer.status == 200 and await answer.read() == content
                assert answer.headers["Content-Disposition"].startswith("attachment")
        with pytest.raises(FileTooBig):
            await romeo["xep_0363"].upload_file("play.txt", size=1 << 40,
                                                input_file=io.BytesIO(b""))
        await romeo.leave()
        await juliet.leave()

    run(story())
