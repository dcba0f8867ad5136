"""slixmpp behind a few words, for the tests of this folder."""

import asyncio
import ssl

import slixmpp
from slixmpp.exceptions import IqError  # noqa: F401  (for the tests)

import server as servers

PLUGINS = ["xep_0004", "xep_0030", "xep_0054", "xep_0059", "xep_0066", "xep_0085", "xep_0092",
           "xep_0115", "xep_0184", "xep_0191", "xep_0198", "xep_0199", "xep_0202", "xep_0203",
           "xep_0280", "xep_0297", "xep_0308", "xep_0313", "xep_0352", "xep_0359", "xep_0422",
           "xep_0424"]


class Stranger(slixmpp.ClientXMPP):
    """A slixmpp client that keeps what it gets."""

    def __init__(self, server, name, mechanism=None, resource=None, plugins=PLUGINS,
                 password=servers.PASSWORD, sasl_order=None):
        jid = f"{name}@{server.domain}" + (f"/{resource}" if resource else "")
        super().__init__(jid, password, sasl_mech=mechanism)
        self.house = server
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE
        for plugin in plugins:
            self.register_plugin(plugin)
        self.got = asyncio.Queue()
        self.carbons = asyncio.Queue()
        self.presences = asyncio.Queue()
        self.ready = asyncio.get_event_loop().create_future()
        self.gone = asyncio.get_event_loop().create_future()
        self.add_event_handler("session_start", lambda _: self.settle(self.ready, "new"))
        self.add_event_handler("session_resumed", lambda _: self.settle(self.ready, "resumed"))
        self.add_event_handler("failed_all_auth", lambda _: self.settle(self.ready, "refused"))
        self.add_event_handler("disconnected", lambda _: self.settle(self.gone, True))
        self.add_event_handler("message", self.got.put_nowait)
        self.add_event_handler("message_error", lambda _: None)
        self.add_event_handler("carbon_received", self.carbons.put_nowait)
        self.add_event_handler("carbon_sent", self.carbons.put_nowait)
        for kind in ("available", "away", "dnd", "xa", "chat"):
            self.add_event_handler("presence_" + kind, self.presences.put_nowait)

    @staticmethod
    def settle(future, value):
        if not future.done():
            future.set_result(value)

    async def enter(self, online=True, direct=False):
        """Logs in; with the roster and presence when online."""
        if direct:
            self.connect(self.house.tls_address, use_ssl=True)
        else:
            self.connect(self.house.address)
        how = await self.ready
        assert how != "refused", "no mechanism was accepted"
        if online:
            await self.get_roster()
            self.send_presence()
        return self

    async def next(self, wanted=lambda m: True):
        """The next message for which wanted holds."""
        while True:
            message = await self.got.get()
            if wanted(message):
                return message

    async def leave(self):
        self.disconnect()
        await self.gone

    def chat(self, to, body, **attributes):
        message = self.make_message(mto=to, mbody=body, mtype="chat")
        for name, value in attributes.items():
            message[name] = value
        message.send()
        return message["id"]

    async def fence(self):
        """Returns when the server is done with what was sent before."""
        iq = self.make_iq_set()
        query = slixmpp.ET.fromstring("<query xmlns='jabber:iq:private'>"
                                      "<fence xmlns='urn:firedoor:test'/></query>")
        iq.append(query)
        await iq.send()

    async def befriend(self, other):
        """Both subscribe to each other; slixmpp answers requests by itself."""
        self.auto_authorize = other.auto_authorize = True
        self.auto_subscribe = other.auto_subscribe = True
        self.send_presence_subscription(pto=other.boundjid.bare)
        while not (self.roster_has(other) and other.roster_has(self)):
            await asyncio.sleep(0.02)

    def roster_has(self, other):
        jid = other.boundjid.bare
        return jid in self.client_roster and self.client_roster[jid]["subscription"] == "both"
