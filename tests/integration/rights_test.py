"""A name made anew has no rights (advisories "rooms")."""

import pytest

import xmpp

COMMAND = ("<command xmlns='http://jabber.org/protocol/commands' "
           "node='http://jabber.org/protocol/admin#get-online-users-num'/>")


@pytest.mark.parametrize("how", ["by himself", "by firedoorctl"])
def test_an_administrator_s_name_made_anew_is_nobody_s(own_server, how):
    server = own_server({"registration.cancel": "true"})
    name = server.fresh_users(1)[0]
    server.make_admin(name)
    boss = server.connect(name)
    assert boss.ask("set", COMMAND, to=server.domain).get("type") == "result"
    if how == "by himself":
        answer = boss.ask("set", "<query xmlns='jabber:iq:register'><remove/></query>")
        assert answer.get("type") == "result"
    else:
        server.ctl("user", "delete", f"{name}@{server.domain}")
    boss.read_until_closed()
    server.add_users([name])
    again = server.connect(name)
    refused = again.ask("set", COMMAND, to=server.domain)
    assert xmpp.condition_of(refused.find("{jabber:client}error")) == "forbidden"
    listed = [u for u in server.ctl_json("user", "list")["accounts"] if u["jid"].startswith(name + "@")]
    assert not any(u.get("administrator") for u in listed)
