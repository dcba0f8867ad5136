"""Putting and fetching files (XEP-0363) with our raw client and plain HTTPS."""

import http.client
import urllib.parse
from xml.sax.saxutils import quoteattr

import https
import server as servers
import xmpp

Broken = http.client.HTTPException  # what a connection that is cut comes to
NS = "{urn:xmpp:http:upload:0}"


def with_uploads(own_server, settings=None, **options):
    port = servers.free_ports(1)[0]
    one = own_server({"http.addresses": "127.0.0.1", "http.port": port,
                      "http.accepts_per_second": 1000000, "http.connections_per_address": 1000,
                      "upload.enabled": "true", **(settings or {})}, **options)
    one.https = https.Https(port, one.domain, one.certificate)
    return one


def ask_slot(client, name, size):
    return client.ask("get", f"<request xmlns='urn:xmpp:http:upload:0' filename={quoteattr(name)} "
                      f"size='{size}' content-type='text/plain'/>", to=client.server_of.domain)


def slot(client, name, size):
    """(URL to put to, URL to get from)."""
    answer = ask_slot(client, name, size)
    assert answer.get("type") == "result", xmpp.show(answer)
    found = answer.find(NS + "slot")
    return found.find(NS + "put").get("url"), found.find(NS + "get").get("url")


def path(url):
    return urllib.parse.urlsplit(url).path


def id_of(url):
    return path(url).split("/")[2]


def put(server, url, content, **headers):
    return server.https.ask("PUT", path(url), content, headers)[0]


def get(server, url, **headers):
    """(status, headers, body)."""
    return server.https.get(path(url), **headers)


def upload(server, client, name, content, status=201):
    """Puts a file; its URL."""
    to, url = slot(client, name, len(content))
    got = server.https.ask("PUT", path(to), content)
    assert got[0] == status, got
    return url
