"""Servers under test, each behind the same few methods.

Firedoor is what the suites prove; Prosody stands here only so that a doubtful
test can be tried against a second server (FIREDOOR_TEST_SERVER=prosody): a test
that only Prosody passes proves nothing, one that both fail is suspect.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from xml.sax.saxutils import quoteattr

import xmpp

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PASSWORD = "pencil, and a secret"
ITERATIONS = 4096
TROUBLE = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehavior|"
                     r"runtime error:|must failed")


def build_directory():
    return os.path.join(ROOT, os.environ.get("FIREDOOR_BUILD", "build"))


def free_ports(n):
    """Ports nobody has now; all are held until all are known, so they differ."""
    held = [socket.socket() for _ in range(n)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def make_certificate(folder, domains):
    """A self-signed P-256 certificate; (certificate, key)."""
    certificate, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    names = ",".join("DNS:" + d for d in domains)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-sha256", "-days", "30", "-subj",
                    "/CN=" + domains[0], "-addext", "subjectAltName=" + names, "-keyout", key,
                    "-out", certificate], check=True, capture_output=True)
    return certificate, key


def scram_credentials(password, mechanism, salt):
    """What a server keeps of a password: (stored key, server key)."""
    name = "sha256" if "256" in mechanism else "sha1"
    salted = hashlib.pbkdf2_hmac(name, password.encode(), salt, ITERATIONS)
    client_key = hmac.new(salted, b"Client Key", name).digest()
    return (hashlib.new(name, client_key).digest(),
            hmac.new(salted, b"Server Key", name).digest())


def portable_accounts(domain, names, inside=None):
    """An XEP-0227 document; every account has PASSWORD, derived once."""
    salt = secrets.token_bytes(16)
    keys = ""
    for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256"):
        stored, server = scram_credentials(PASSWORD, mechanism, salt)
        keys += (f"<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='{mechanism}'>"
                 f"<iter-count>{ITERATIONS}</iter-count>"
                 f"<salt>{base64.b64encode(salt).decode()}</salt>"
                 f"<server-key>{base64.b64encode(server).decode()}</server-key>"
                 f"<stored-key>{base64.b64encode(stored).decode()}</stored-key>"
                 "</scram-credentials>")
    users = "".join(f"<user name={quoteattr(n)}>{keys}{(inside or {}).get(n, '')}</user>\n"
                    for n in names)
    return ("<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='urn:xmpp:pie:0'>"
            f"<host jid={quoteattr(domain)}>\n{users}</host></server-data>\n")


class Server:
    """What every server can do.  domain; address and tls_address to connect to; pid."""

    name = None

    def __init__(self, settings=None, domain="firedoor.test", domains=()):
        self.settings = dict(settings or {})
        self.domain = domain
        self.domains = [domain, *domains]
        # below /tmp, not pytest's folder: a UNIX socket's path may have 107 bytes only
        self.folder = tempfile.mkdtemp(prefix="firedoor-test-")
        os.chmod(self.folder, 0o755)
        self.log_path = os.path.join(self.folder, "log")
        self.process = None
        self.n_users = 0
        self.log_seen = 0
        starttls, tls, self.metrics_port = free_ports(3)
        self.address, self.tls_address = ("127.0.0.1", starttls), ("127.0.0.1", tls)
        self.certificate, self.key = make_certificate(self.folder, self.domains)

    # life

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd=self.folder,
                                            env=self.environment())
        until = time.monotonic() + 120
        while True:
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.returncode} at start:\n"
                                     + self.log_tail())
            try:
                for address in (self.address, self.tls_address):
                    socket.create_connection(address, timeout=5).close()
                break
            except OSError:
                if time.monotonic() > until:
                    raise AssertionError(f"{self.name} does not listen:\n"
                                         + self.log_tail()) from None
                time.sleep(0.05)
        return self

    def environment(self):
        return dict(os.environ)

    def stop(self):
        """Asks it to end, as an operator would; its exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGABRT)
                self.process.wait()
                raise AssertionError(f"{self.name} did not stop:\n" + self.log_tail()) from None
        status, self.process = self.process.returncode, None
        return status

    def kill(self):
        """Gives it no chance: SIGKILL."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def remove(self):
        try:
            if self.process is not None and self.process.poll() is None:
                self.stop()
        finally:
            if not os.environ.get("FIREDOOR_TEST_KEEP"):
                shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    # what it says

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def log_tail(self, most=6000):
        return self.log()[-most:]

    def check_healthy(self):
        """Alive, and its log holds no report of a sanitizer since the last call."""
        assert self.alive(), f"{self.name} died:\n" + self.log_tail()
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            file.seek(self.log_seen)
            new = file.read()
            self.log_seen = file.tell()
        found = TROUBLE.search(new)
        assert not found, "the log reports:\n" + new[max(0, found.start() - 500):][:8000]

    def rss_kib(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def count(self, metric):
        """A counter's value, all labels together; 0 when it was never counted."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        total = 0.0
        with urllib.request.urlopen(url, timeout=xmpp.PATIENCE) as answer:
            for line in answer.read().decode().splitlines():
                found = re.match(rf"(?:firedoor_)?{re.escape(metric)}(?:_total)?"
                                 r"(?:\{[^}]*\})? (\S+)$", line)
                if found:
                    total += float(found.group(1))
        return total

    # people

    def fresh_users(self, n, prefix="u"):
        """Names of n accounts nobody has used; their password is PASSWORD."""
        names = [f"{prefix}{self.n_users + i}" for i in range(n)]
        self.n_users += n
        self.add_users(names)
        return names

    def connect(self, user, resource=None, **options):
        return xmpp.Client(self, user, options.pop("password", PASSWORD), resource, **options)

    def stream(self, direct=False, source=None):
        """A connection on which nothing was said yet."""
        one = xmpp.Stream(self.tls_address if direct else self.address, self.domain, source=source)
        if direct:
            one.secure(alpn="xmpp-client")
        return one


class Firedoor(Server):
    name = "firedoord"

    # Loopback is one address: limits an address are set high unless a test is about them.
    DEFAULTS = {
        "auth.iterations": ITERATIONS,
        "auth.failures_address": 10000,
        "limits.accepts_per_second": 1000000,
        "limits.connections_per_address": 100000,
        "registration.per_address": 10000,
        "log.level": "info",
        "store.check": "full",
    }

    def __init__(self, settings=None, **options):
        super().__init__(settings, **options)
        self.socket_path = os.path.join(self.folder, "ctl")
        self.config_path = os.path.join(self.folder, "firedoor.conf")
        domains = ",\n".join(
            f'  {{ name = "{d}"; certificate = "{self.certificate}"; key = "{self.key}"; }}'
            for d in self.domains)
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(f"domains = (\n{domains}\n);\n")
        os.chmod(self.key, 0o644)
        self.state = os.path.join(self.folder, "state")
        os.mkdir(self.state)
        os.chmod(self.state, 0o777)
        self.imported = []

    def command(self):
        settings = {
            "server.state_directory": self.state,
            "server.run_as": os.environ.get("FIREDOOR_TEST_RUN_AS", "root"),
            "listen.addresses": "127.0.0.1",
            "listen.starttls": self.address[1],
            "listen.direct_tls": self.tls_address[1],
            "control.socket": self.socket_path,
            "metrics.port": self.metrics_port,
            **self.DEFAULTS, **self.settings,
        }
        words = [os.path.join(build_directory(), "firedoord"), "--config", self.config_path]
        for key, value in settings.items():
            words += ["--set", f"{key}={value}"]
        return words

    def environment(self):
        environment = dict(os.environ)
        # the suites run it sanitized: leaks are reported at a stop, and all goes to the log
        environment.setdefault("ASAN_OPTIONS", "abort_on_error=1:detect_leaks=1")
        # freed memory is not hoarded for long: tests look at the size of the process
        environment["ASAN_OPTIONS"] += ":quarantine_size_mb=8:thread_local_quarantine_size_kb=64"
        environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
        return environment

    def ctl(self, *words, input=None, check=True):
        """Runs firedoorctl; its standard output."""
        got = subprocess.run([os.path.join(build_directory(), "firedoorctl"), "--socket",
                              self.socket_path, *words], input=input, capture_output=True,
                             text=True, timeout=300)
        if check and got.returncode != 0:
            raise AssertionError(f"firedoorctl {' '.join(words)}: {got.returncode}\n"
                                 f"{got.stdout}{got.stderr}\n{self.log_tail(2000)}")
        return got.stdout if check else got

    def ctl_json(self, *words):
        return json.loads(self.ctl("--json", *words))

    def start(self):
        super().start()
        until = time.monotonic() + 120
        while self.ctl("status", check=False).returncode != 0:
            if time.monotonic() > until or not self.alive():
                raise AssertionError("firedoorctl gets no answer:\n" + self.log_tail())
            time.sleep(0.05)
        return self

    def import_accounts(self, names, inside=None, domain=None):
        path = os.path.join(self.folder, f"accounts-{secrets.token_hex(4)}.xml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(portable_accounts(domain or self.domain, names, inside))
        os.chmod(path, 0o644)
        return self.ctl("import", path)

    def add_users(self, names, domain=None):
        self.import_accounts(names, domain=domain)

    def fresh_users(self, n, prefix="u"):
        # imported in hundreds: one command for many tests
        if prefix != "u" or n > 100:
            return super().fresh_users(n, prefix)
        if len(self.imported) < n:
            more = [f"u{self.n_users + i}" for i in range(200)]
            self.n_users += 200
            self.add_users(more)
            self.imported += more
        names, self.imported = self.imported[:n], self.imported[n:]
        return names

    def make_admin(self, name):
        self.ctl("user", "admin", f"{name}@{self.domain}", "on")


class Prosody(Server):
    name = "prosody"

    def __init__(self, settings=None, **options):
        super().__init__(settings, **options)
        self.data = os.path.join(self.folder, "data")
        self.admins = []
        os.mkdir(self.data)
        self.config_path = os.path.join(self.folder, "prosody.cfg.lua")
        self.n_users = 0

    def command(self):
        registration = self.settings.get("registration.enabled") == "true"
        hosts = "\n".join(f'VirtualHost "{d}"\n  ssl = {{ certificate = "{self.certificate}", '
                          f'key = "{self.key}" }}' for d in self.domains)
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(f"""
run_as_root = true
data_path = "{self.data}"
pidfile = "{self.folder}/prosody.pid"
certificates = "{self.folder}"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.address[1]} }}
c2s_direct_tls_ports = {{ {self.tls_address[1]} }}
s2s_ports = {{}}
s2s_direct_tls_ports = {{}}
modules_disabled = {{ "s2s" }}
http_ports = {{}}
https_ports = {{}}
component_ports = {{}}
admins = {{ {", ".join(f'"{a}"' for a in self.admins)} }}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "private", "vcard", "version",
  "uptime", "time", "ping", "mam", "carbons", "smacks", "csi_simple", "blocklist", "admin_adhoc",
  "adhoc", "lastactivity", "offline"{', "register"' if registration else ''} }}
allow_registration = {"true" if registration else "false"}
authentication = "internal_plain"
storage = "internal"
default_archive_policy = true
c2s_require_encryption = true
ssl = {{ certificate = "{self.certificate}", key = "{self.key}" }}
log = {{ {{ levels = {{ min = "debug" }}, to = "console" }} }}
{hosts}
""")
        return ["prosody", "-F", "--config", self.config_path]

    def add_users(self, names, domain=None):
        folder = os.path.join(self.data, (domain or self.domain).replace(".", "%2e"), "accounts")
        os.makedirs(folder, exist_ok=True)
        for name in names:
            with open(os.path.join(folder, name + ".dat"), "w", encoding="utf-8") as file:
                file.write(f'return {{ ["password"] = "{PASSWORD}" }};\n')

    def make_admin(self, name):
        self.admins.append(f"{name}@{self.domain}")
        self.stop()
        self.start()

    def count(self, metric):
        raise AssertionError("prosody's counters have other names")


def make(settings=None, **options):
    kind = {"firedoor": Firedoor, "prosody": Prosody}[os.environ.get("FIREDOOR_TEST_SERVER",
                                                                     "firedoor")]
    return kind(settings, **options)
