"""A client of the server's HTTPS service: http.client where it will do, raw bytes where not."""

import http.client
import socket
import ssl

import server as servers
import xmpp


def serve(make, settings=None, **options):
    """A server (make: the fixture own_server) that speaks HTTPS; its client is one.https."""
    port = servers.free_ports(1)[0]
    one = make({"http.addresses": "127.0.0.1", "http.port": port,
                "http.accepts_per_second": 1000000, "http.connections_per_address": 1000,
                **(settings or {})}, **options)
    one.https = Https(port, one.domain, one.certificate)
    return one


class Https:
    """port of 127.0.0.1; the certificate must be that of host, signed by itself."""

    def __init__(self, port, host, certificate):
        self.port, self.host = port, host
        self.context = ssl.create_default_context(cafile=certificate)
        self.context.set_alpn_protocols(["http/1.1"])

    def dial(self):
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=xmpp.PATIENCE)
        return self.context.wrap_socket(plain, server_hostname=self.host)

    def ask(self, method, path, body=None, headers=None):
        """(status, headers, body) of one request on a connection of its own."""
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=xmpp.PATIENCE)
        connection.sock = self.dial()
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, headers=headers)

    def half_closed(self, request):
        """What is answered to who ends his side in the very record behind these bytes."""
        coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = self.context.wrap_bio(coming, going, server_hostname=self.host)
        with socket.create_connection(("127.0.0.1", self.port), timeout=xmpp.PATIENCE) as plain:

            def until_done(step):
                while True:
                    try:
                        return step()
                    except ssl.SSLWantReadError:
                        plain.sendall(going.read())
                        coming.write(plain.recv(65536))

            until_done(secure.do_handshake)
            secure.write(request)
            try:
                secure.unwrap()
            except ssl.SSLWantReadError:
                pass
            plain.sendall(going.read())
            plain.shutdown(socket.SHUT_WR)
            while more := plain.recv(65536):
                coming.write(more)
            answer = b""
            while True:
                try:
                    more = secure.read(65536)
                except ssl.SSLError:
                    return answer
                if not more:
                    return answer
                answer += more

    def raw(self, request):
        """All that is answered to these bytes until the server closes."""
        with self.dial() as secure:
            secure.sendall(request)
            answer = b""
            while True:
                try:
                    more = secure.recv(65536)
                except (ssl.SSLError, ConnectionError):
                    return answer
                if not more:
                    return answer
                answer += more

    def statuses(self, request):
        """The statuses of all answers to these bytes, final ones only."""
        lines = [part.split(b"\r\n")[0] for part in self.raw(request).split(b"HTTP/1.1 ")[1:]]
        return [int(line[:3]) for line in lines]
