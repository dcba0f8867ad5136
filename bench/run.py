#!/usr/bin/python3
"""Firedoor beside Prosody and ejabberd: one load generator, one run, one table.

    bench/run.py [--quick] [--only SCENARIO,…] [--servers NAME,…] [--rounds N]

Each scenario gives every server in turn a fresh start with nothing but what it
measures: the peers are not asked to carry features that Firedoor leaves out,
nor the other way round.  All get the same certificate (P-256), the same users,
SCRAM keys of the same strength, no rate limits.  Nothing listens but on
loopback; every server is stopped by its own process id.  The figures go to
BUILD/bench.json.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
DOMAIN = "localhost"
PASSWORD = "a long pass phrase for the benchmark"
SALT = b"firedoor-bench-1"
ITERATIONS = 4096
PACKAGES = ["prosody", "lua-dbi-sqlite3", "ejabberd", "erlang-p1-sqlite3", "openssl"]


# Scenarios: what a server must be able to do, and how it is loaded.

class Scenario:
    def __init__(self, name, kind, users, load, figures, quick=None, servers=None, rounds=3,
                 share=None):
        self.name = name        # for --only
        self.kind = kind        # how servers are configured
        self.users = users
        self.load = load        # arguments of firedoor-load
        self.figures = figures  # key in bench.json: key in what firedoor-load prints
        self.quick = quick or []  # later options win
        self.servers = servers  # None: all
        self.rounds = rounds    # the median is taken
        self.share = share      # of one processor: what each worker thread may use; None: all


# How throughput grows with workers cannot be seen where the load generator shares the processors:
# with two cores one worker and the generator fill them.  So each worker gets a small share of one,
# and the generator has more than it needs.
SHARE = 0.2
CHAT = ["chat", "--users", "400", "--in-flight", "10"]
SCENARIOS = [
    Scenario("plain", "plain", 400, CHAT + ["--seconds", "10"],
             {"plain_cpu_s_per_million": "cpu_s_per_million", "plain_per_second": "per_second"},
             ["--seconds", "3", "--warmup", "1"]),
    Scenario("plain-guard-off", "guard-off", 400, CHAT + ["--seconds", "10"],
             {"plain_cpu_s_per_million_guard_off": "cpu_s_per_million"},
             ["--seconds", "3", "--warmup", "1"], ["firedoor"]),
    Scenario("plain-one-worker", "workers-1", 400, CHAT + ["--seconds", "10"],
             {"plain_per_second_one_worker": "per_second",
              "plain_cpu_s_per_million_one_worker": "cpu_s_per_million"},
             ["--seconds", "3", "--warmup", "1"], ["firedoor"]),
    Scenario("lures", "plain", 400, CHAT + ["--seconds", "10", "--lures"],
             {"lures_cpu_s_per_million": "cpu_s_per_million"},
             ["--seconds", "3", "--warmup", "1"]),
    Scenario("full", "full", 400, CHAT + ["--seconds", "20", "--sm"],
             {"full_cpu_s_per_million": "cpu_s_per_million", "full_per_second": "per_second"},
             ["--seconds", "6"]),
    Scenario("idle", "idle", 5000, ["idle", "--users", "5000", "--seconds", "10"],
             {"kib_per_idle_session": "kib_per_session"},
             ["--users", "1000", "--seconds", "5"], rounds=1),
    Scenario("logins", "plain", 400, ["logins", "--users", "400", "--logins", "1000"],
             {"cpu_s_per_1000_logins": "cpu_s_per_1000_logins"},
             ["--logins", "300"]),
    Scenario("open", "plain", 400,
             ["open", "--users", "400", "--rate", "1000", "--warmup", "3", "--seconds", "20"],
             {"p50_ms": "p50_ms", "p99_ms": "p99_ms",
              "open_cpu_s_per_million": "cpu_s_per_million"},
             ["--seconds", "5", "--warmup", "2"]),
    *(Scenario(f"steady-{n}", f"workers-{n}", 400,
               ["open", "--users", "400", "--rate", "20000", "--warmup", "2", "--seconds", "10"],
               {f"steady_cpu_us_{n}_workers": "cpu_s_per_million"},
               ["--seconds", "4"], ["firedoor"]) for n in (1, 2)),
    *(Scenario(f"shares-{n}", f"workers-{n}", 400, CHAT + ["--seconds", "10"],
               {f"shares_per_second_{n}_workers": "per_second"},
               ["--seconds", "4"], ["firedoor"], share=SHARE) for n in (1, 2, 4)),
    Scenario("kills", "kills", 2,
             ["kills", "--users", "2", "--rate", "400", "--sm", "--ack-every", "10"],
             {"acked_then_lost": "acked_then_lost", "acked": "acked"}, rounds=1),
]

# What Firedoor wants to reach: (key, its greatest share of the peer's figure, peer)
TARGETS = [
    ("plain_cpu_s_per_million", 1 / 5, "ejabberd"),
    ("plain_cpu_s_per_million", 1 / 7, "prosody"),
    ("full_cpu_s_per_million", 1 / 40, "ejabberd"),
    ("full_cpu_s_per_million", 1 / 40, "prosody"),
    ("kib_per_idle_session", 2 / 5, "prosody"),
    ("kib_per_idle_session", 1 / 4, "ejabberd"),
    ("cpu_s_per_1000_logins", 1 / 4, "ejabberd"),
    ("p99_ms", 1, "prosody"),
    ("p99_ms", 1, "ejabberd"),
]


# Small things

def say(*words):
    print(*words, file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def scram_keys(digest):
    """StoredKey and ServerKey of everybody's password."""
    salted = hashlib.pbkdf2_hmac(digest, PASSWORD.encode(), SALT, ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", digest)
    return hashlib.new(digest, client_key).digest(), hmac.digest(salted, b"Server Key", digest)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    return path


def make_certificate(directory):
    key, certificate = os.path.join(directory, "key.pem"), os.path.join(directory, "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-keyout", key, "-out",
                    certificate, "-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    both = os.path.join(directory, "both.pem")
    with open(both, "w") as out:
        for path in (key, certificate):
            with open(path) as file:
                out.write(file.read())
    return key, certificate, both


# Servers.  Each knows how to lay itself out in a directory for a kind of run, with users u0 to
# u(n-1), how to start and when it is ready.

class Server:
    name = ""

    def __init__(self, directory, certificates, build):
        self.directory = directory
        self.key, self.certificate, self.both = certificates
        self.build = build
        self.port = free_port()
        self.process = None
        self.log = None

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def lay_out(self, kind, users):
        raise NotImplementedError

    def command(self):
        """The command line and the environment's additions."""
        raise NotImplementedError

    def first_start(self, users):
        """What is left to do once, when the server answers for the first time."""

    def start(self):
        argv, more = self.command()
        if self.log is None:
            self.log = open(self.path("output"), "ab")
        self.process = subprocess.Popen(argv, cwd=self.directory, env={**os.environ, **more},
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        start_new_session=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"{self.name} did not start:\n{self.tail()}")

    def tail(self):
        with open(self.path("output"), "rb") as file:
            return file.read()[-3000:].decode(errors="replace")

    def kill(self):
        """As a power switch would; helpers of a dead server end by themselves."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class Prosody(Server):
    name = "prosody"

    def lay_out(self, kind, users):
        modules = ["roster", "saslauth", "tls", "disco", "ping", "offline"]
        # By default Prosody begins a collection at 105 % of the last one's heap, which doubles the
        # cost of a message; Lua's own 200 % is what its operators choose when they look.  Its
        # memory is measured with its default, which is kinder to it there.
        more = ("" if kind == "idle" else
                'gc = { mode = "incremental", threshold = 200, speed = 500 }\n')
        if kind == "full":
            modules += ["smacks", "mam", "carbons"]
            more += ('storage = { archive = "sql" }\n'
                     f'sql = {{ driver = "SQLite3", database = "{self.path("archive.sqlite")}" }}\n'
                     'archive_expires_after = "never"\n')
        if kind == "kills":
            modules += ["smacks"]
        listed = ", ".join(f'"{m}"' for m in modules)
        write(self.path("prosody.cfg.lua"), f"""
run_as_root = true
daemonize = false
pidfile = "{self.path("prosody.pid")}"
data_path = "{self.path("data")}"
log = {{ error = "*console" }}
network_backend = "epoll"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.port} }}
c2s_direct_tls_ports = {{ }}
s2s_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
modules_enabled = {{ {listed} }}
modules_disabled = {{ "s2s" }}
c2s_require_encryption = true
authentication = "internal_hashed"
{more}
VirtualHost "{DOMAIN}"
    ssl = {{ key = "{self.key}", certificate = "{self.certificate}" }}
""")
        stored, server = scram_keys("sha1")
        account = (f'return {{\n\t["iteration_count"] = {ITERATIONS};\n\t["salt"] = "{SALT.decode()}";\n'
                   f'\t["server_key"] = "{server.hex()}";\n\t["stored_key"] = "{stored.hex()}";\n}};\n')
        for i in range(users):
            write(self.path("data", DOMAIN, "accounts", f"u{i}.dat"), account)

    def command(self):
        return ["prosody", "--config", self.path("prosody.cfg.lua")], {}


class Ejabberd(Server):
    name = "ejabberd"

    def lay_out(self, kind, users):
        modules = "  mod_roster: {}\n  mod_disco: {}\n  mod_ping: {}\n"
        modules += "  mod_offline:\n    access_max_user_messages: offline_messages\n"
        more = ""
        if kind == "full":
            modules += ("  mod_stream_mgmt: {}\n  mod_carboncopy: {}\n"
                        "  mod_mam:\n    db_type: sql\n    default: always\n")
            more = f"sql_type: sqlite\nsql_database: \"{self.path('archive.sqlite')}\"\n"
        if kind == "kills":
            modules += "  mod_stream_mgmt: {}\n"
        write(self.path("ejabberd.yml"), f"""
hosts: [{DOMAIN}]
loglevel: error
certfiles: ["{self.both}"]
listen:
  -
    port: {self.port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    starttls: true
    starttls_required: true
    max_stanza_size: 262144
    shaper: none
    access: all
auth_method: internal
auth_password_format: scram
shaper_rules:
  offline_messages: infinity
  max_user_sessions: 10
{more}modules:
{modules}""")
        write(self.path("inetrc"), "{lookup,[file,native]}.\n{file,resolv,\"/dev/null\"}.\n")
        os.makedirs(self.path("spool"), exist_ok=True)
        # one user is registered as the server does it, the others are his twins
        write(self.path("users.erl"), f"""-module(users).
-export([make/0]).
make() ->
    Host = <<"{DOMAIN}">>,
    ok = wait(100),
    ok = ejabberd_auth:try_register(<<"u0">>, Host, <<"{PASSWORD}">>),
    [User] = mnesia:dirty_read(passwd, {{<<"u0">>, Host}}),
    {{atomic, ok}} = mnesia:transaction(fun() ->
        [mnesia:write(setelement(2, User, {{<<"u", (integer_to_binary(I))/binary>>, Host}}))
         || I <- lists:seq(1, {users - 1})], ok end),
    mnesia:sync_log(),
    ok = file:write_file("{self.path('users.made')}", <<>>).
wait(0) -> never;
wait(N) ->
    case lists:keymember(ejabberd, 1, application:which_applications()) of
        true -> ok;
        false -> timer:sleep(200), wait(N - 1)
    end.
""")
        subprocess.run(["erlc", "users.erl"], cwd=self.directory, check=True,
                       stdout=subprocess.DEVNULL)

    def command(self):
        # as ejabberdctl starts it, but without distribution: no name, no epmd, no cookie
        argv = ["erl", "+K", "true", "+P", "250000", "-noinput", "-pa", self.directory,
                "-mnesia", "dir", f"\"{self.path('spool')}\"", "-s", "ejabberd"]
        if not os.path.exists(self.path("users.made")):
            argv += ["-s", "users", "make"]
        return argv, {
            "ERL_LIBS": "/usr/lib/x86_64-linux-gnu", "ERL_INETRC": self.path("inetrc"),
            "ERL_CRASH_DUMP_BYTES": "0", "ERL_MAX_PORTS": "32000", "ERL_MAX_ETS_TABLES": "1400",
            "EJABBERD_CONFIG_PATH": self.path("ejabberd.yml"),
            "EJABBERD_LOG_PATH": self.path("ejabberd.log"),
            "SPOOL_DIR": self.path("spool"), "HOME": self.directory,
        }

    def first_start(self, users):
        deadline = time.monotonic() + 60
        while not os.path.exists(self.path("users.made")):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"ejabberd made no users:\n{self.tail()}")
            time.sleep(0.1)
        # the helper module is not part of what is measured
        self.stop()
        self.start()


class Firedoor(Server):
    name = "firedoor"

    def lay_out(self, kind, users):
        settings = {
            "server.state_directory": self.path("state"),
            "server.run_as": "root",
            "listen.addresses": "127.0.0.1",
            "listen.starttls": self.port,
            "listen.direct_tls": 0,
            "tls.certificate": self.certificate,
            "tls.key": self.key,
            "control.socket": self.path("control.sock"),
            "archive.enabled": "true" if kind == "full" else "false",
            "guard.mode": "off" if kind == "guard-off" else "on",
            "log.level": "warning",
            # no limits on the load: it all comes from one address and from few accounts
            "limits.connections_per_address": 1000000,
            "limits.accepts_per_second": 1000000,
            "limits.bytes_per_second": "1 GiB",
            "limits.bytes_burst": "1 GiB",
            "limits.stanzas_per_second": 10000000,
            "limits.stanzas_burst": 10000000,
            "limits.offline_messages": 1000000,
            "limits.offline_bytes": "1 TiB",
        }
        if kind.startswith("workers-"):
            settings["server.workers"] = int(kind.removeprefix("workers-"))
        self.settings = settings
        write(self.path("firedoor.conf"), f'domains = ( {{ name = "{DOMAIN}"; }} );\n')
        os.makedirs(self.path("state"), exist_ok=True)
        mechanisms = ""
        for name, digest in (("SCRAM-SHA-1", "sha1"), ("SCRAM-SHA-256", "sha256")):
            stored, server = (base64.b64encode(k).decode() for k in scram_keys(digest))
            mechanisms += (f"<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='{name}'>"
                           f"<iter-count>{ITERATIONS}</iter-count>"
                           f"<salt>{base64.b64encode(SALT).decode()}</salt>"
                           f"<server-key>{server}</server-key><stored-key>{stored}</stored-key>"
                           "</scram-credentials>")
        people = "".join(f"<user name='u{i}'>{mechanisms}</user>\n" for i in range(users))
        write(self.path("users.xml"), "<?xml version='1.0'?>\n<server-data xmlns='urn:xmpp:pie:0'>"
              f"<host jid='{DOMAIN}'>\n{people}</host></server-data>\n")

    def command(self):
        argv = [os.path.join(self.build, "firedoord"), "--config", self.path("firedoor.conf")]
        for key, value in self.settings.items():
            argv += ["--set", f"{key}={value}"]
        return argv, {}

    def first_start(self, users):
        done = subprocess.run([os.path.join(self.build, "firedoorctl"), "--socket",
                               self.path("control.sock"), "import", self.path("users.xml")],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"firedoorctl import: {done.stderr}{done.stdout}{self.tail()}")


SERVERS = {"firedoor": Firedoor, "prosody": Prosody, "ejabberd": Ejabberd}


# Shares of a processor

class NoShares(Exception):
    """This machine, or this user, cannot confine threads."""


class Shares:
    """Worker threads of a process confined to a share of one processor each, by the kernel's CPU
    controller: version 1, or version 2 with threaded groups.  Below this process's own group, so
    that what confines the benchmark confines them too."""

    PERIOD_US = 10000

    def __init__(self, pid, share):
        self.groups = []
        quota = int(self.PERIOD_US * share)
        try:
            for tid in self.workers(pid):
                self.confine(tid, quota)
        except OSError as trouble:
            self.close()
            raise NoShares(f"the CPU controller cannot be used: {trouble}") from trouble

    @staticmethod
    def workers(pid):
        found = []
        for tid in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{tid}/comm") as file:
                if file.read().startswith("worker-"):
                    found.append(tid)
        return found

    @staticmethod
    def own_group():
        """(version, directory) of the group with the CPU controller."""
        unified = None
        with open("/proc/self/cgroup") as file:
            for line in file:
                _, controllers, path = line.rstrip("\n").split(":", 2)
                if "cpu" in controllers.split(","):
                    for mount in ("cpu", "cpu,cpuacct"):
                        if os.path.exists(f"/sys/fs/cgroup/{mount}/cpu.shares"):
                            return 1, f"/sys/fs/cgroup/{mount}{path}"
                if controllers == "":
                    unified = "/sys/fs/cgroup" + path
        if unified is None or not os.path.exists(os.path.join(unified, "cgroup.controllers")):
            raise NoShares("the CPU controller is not there")
        return 2, unified

    @staticmethod
    def put(group, name, value):
        with open(os.path.join(group, name), "w") as file:
            file.write(str(value))

    def confine(self, tid, quota):
        version, own = self.own_group()
        group = os.path.join(own, f"firedoor-bench-{tid}")
        os.mkdir(group)
        self.groups.append(group)
        if version == 1:
            self.put(group, "cpu.cfs_period_us", self.PERIOD_US)
            self.put(group, "cpu.cfs_quota_us", quota)
            self.put(group, "tasks", tid)
            return
        self.put(group, "cgroup.type", "threaded")
        self.put(own, "cgroup.subtree_control", "+cpu")
        self.put(group, "cpu.max", f"{quota} {self.PERIOD_US}")
        self.put(group, "cgroup.threads", tid)

    def close(self):
        """After the process has ended: a group goes when it is empty."""
        for group in self.groups:
            for _ in range(50):
                try:
                    os.rmdir(group)
                    break
                except OSError:
                    time.sleep(0.1)
        self.groups = []


# Running

def load_command(build, server, scenario, quick):
    return ([os.path.join(build, "firedoor-load")] + scenario.load
            + (scenario.quick if quick else [])
            + ["--server", f"127.0.0.1:{server.port}", "--domain", DOMAIN, "--password", PASSWORD,
               "--pid", str(server.process.pid)])


def run_kills(build, server, scenario, cycles):
    """The server dies and comes back while the load goes on."""
    load = subprocess.Popen(load_command(build, server, scenario, False), stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    for cycle in range(cycles):
        time.sleep(1.5 + 0.137 * (cycle % 7))  # not in step with anybody's flush timer
        server.kill()
        server.start()
    time.sleep(1.5)
    out, _ = load.communicate()
    return load.returncode, out


def run_one(args, scenario, name, certificates):
    directory = tempfile.mkdtemp(prefix=f"{name}-{scenario.name}-", dir=args.work)
    server = SERVERS[name](directory, certificates, args.build)
    shares = None
    try:
        server.lay_out(scenario.kind, scenario.users)
        server.start()
        server.first_start(scenario.users)
        if scenario.name == "kills":
            status, out = run_kills(args.build, server, scenario, 3 if args.quick else 10)
        else:
            time.sleep(1)
            if scenario.share is not None:
                shares = Shares(server.process.pid, scenario.share)
            done = subprocess.run(load_command(args.build, server, scenario, args.quick),
                                  stdout=subprocess.PIPE, text=True)
            status, out = done.returncode, done.stdout
        if status != 0:
            raise RuntimeError(f"firedoor-load failed; the server says:\n{server.tail()}")
        return json.loads(out)
    finally:
        server.stop()
        if shares is not None:
            shares.close()
        if not args.keep:
            shutil.rmtree(directory, ignore_errors=True)


def show(result, names):
    keys = []
    for scenario in SCENARIOS:
        for key in scenario.figures:
            if any(key in result[n] for n in names) and key not in keys:
                keys.append(key)
    print(f"\n{'':38}" + "".join(f"{n:>12}" for n in names))
    for key in keys:
        row = "".join(f"{result[n][key]:12.4g}" if isinstance(result[n].get(key), float)
                      else f"{result[n].get(key, '-'):>12}" for n in names)
        print(f"{key:38}{row}")
    if "firedoor" not in names:
        return
    print(f"\n{'target':38}{'of':>12}{'at most':>12}{'is':>12}")
    for key, most, peer in TARGETS:
        ours, theirs = result["firedoor"].get(key), result.get(peer, {}).get(key)
        if ours is None or not theirs:
            continue
        share = ours / theirs
        print(f"{key:38}{peer:>12}{most:12.3f}{share:12.3f}  {'ok' if share <= most else 'MISSED'}")
    show_growth(result["firedoor"])
    on = result["firedoor"].get("plain_cpu_s_per_million")
    off = result["firedoor"].get("plain_cpu_s_per_million_guard_off")
    if on and off:
        share = on / off - 1
        print(f"{'guard, share of a plain message':38}{'itself':>12}{0.05:12.3f}{share:12.3f}  "
              f"{'ok' if share < 0.05 else 'MISSED'}")


def show_growth(figures):
    one = figures.get("shares_per_second_1_workers")
    for n in (2, 4):
        more = figures.get(f"shares_per_second_{n}_workers")
        if one and more:
            what = f"throughput, {n} workers, {SHARE:.0%} of a core each"
            print(f"{what:38}{'one worker':>12}{n * 0.85:>11.2f}+{more / one:12.3f}  "
                  f"{'ok' if more / one >= n * 0.85 else 'MISSED'}")
    one, two = (figures.get(f"steady_cpu_us_{n}_workers") for n in (1, 2))
    if one and two:
        print(f"{'CPU of a message at 20,000/s':38}{'one worker':>12}{'':12}{two / one:12.3f}")


def install_packages():
    missing = [p for p in PACKAGES
               if subprocess.run(["dpkg-query", "-W", "-f=${Status}", p], capture_output=True,
                                 text=True).stdout != "install ok installed"]
    if not missing:
        return
    say("installing", *missing, "(their services are not started)")
    policy = "/usr/sbin/policy-rc.d"
    before = policy + ".before-bench"
    had_one = os.path.lexists(policy)
    if had_one:
        os.rename(policy, before)
    try:
        with open(policy, "w") as file:
            file.write("#!/bin/sh\nexit 101\n")
        os.chmod(policy, 0o755)
        subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing],
                       check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    finally:
        os.unlink(policy)
        if had_one:
            os.rename(before, policy)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="shorter runs, coarser figures")
    parser.add_argument("--rounds", type=int, help="measure so many times, take the median")
    parser.add_argument("--only", help="scenarios: " + ",".join(s.name for s in SCENARIOS))
    parser.add_argument("--servers", default="firedoor,prosody,ejabberd")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--keep", metavar="DIR", help="keep the servers' directories here")
    parser.add_argument("--output", help="instead of BUILD/bench.json")
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    names = args.servers.split(",")
    for name in names:
        if name not in SERVERS:
            parser.error(f"{name}: servers are {', '.join(SERVERS)}")
    wanted = args.only.split(",") if args.only else [s.name for s in SCENARIOS]
    for name in wanted:
        if name not in [s.name for s in SCENARIOS]:
            parser.error(f"{name}: scenarios are {', '.join(s.name for s in SCENARIOS)}")
    install_packages()
    args.work = args.keep or tempfile.mkdtemp(prefix="firedoor-bench-")
    os.makedirs(args.work, exist_ok=True)
    result = {name: {} for name in names}
    failed = False
    try:
        certificates = make_certificate(args.work)
        for scenario in SCENARIOS:
            if scenario.name not in wanted:
                continue
            got = {name: [] for name in names
                   if scenario.servers is None or name in scenario.servers}
            # in turn, so that whatever else the machine does falls on all of them alike
            for _ in range(1 if args.quick else args.rounds or scenario.rounds):
                for name in got:
                    try:
                        say(f"{scenario.name}: {name} …")
                        got[name].append(run_one(args, scenario, name, certificates))
                        say(f"    {json.dumps(got[name][-1])}")
                    except NoShares as trouble:
                        say(f"{scenario.name}: left out: {trouble}")
                    except RuntimeError as trouble:
                        say(f"{scenario.name}: {name}: {trouble}")
                        failed = True
            for name, figures in got.items():
                for key, source in scenario.figures.items():
                    if figures:
                        result[name][key] = statistics.median(f[source] for f in figures)
    finally:
        if not args.keep:
            shutil.rmtree(args.work, ignore_errors=True)
    output = args.output or os.path.join(args.build, "bench.json")
    write(os.path.abspath(output), json.dumps(result, indent=2) + "\n")
    show(result, names)
    print(f"\nwritten to {output}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
