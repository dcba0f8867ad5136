"""A real clamd of our own: signatures of our own, a socket of our own, ended by its pid."""

import os
import subprocess
import time

# put together here, so that no scanner takes this file for the one it is made to find
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"


class Clamd:
    """most: StreamMaxLength."""

    def __init__(self, folder, most="1M"):
        self.folder = os.path.join(folder, "clamd")
        os.mkdir(self.folder)
        self.socket = os.path.join(self.folder, "socket")
        self.config = os.path.join(self.folder, "clamd.conf")
        self.process = None
        self.teach("Eicar-Test-Signature", EICAR)
        with open(self.config, "w", encoding="ascii") as file:
            file.write(f"LocalSocket {self.socket}\nLocalSocketMode 666\nFixStaleSocket yes\n"
                       f"DatabaseDirectory {self.folder}\nForeground yes\nMaxThreads 4\n"
                       f"StreamMaxLength {most}\nTemporaryDirectory {self.folder}\n"
                       f"LogFile {self.folder}/log\n")
        # it may become nobody in particular, whoever has started it
        for path in (folder, self.folder):
            os.chmod(path, 0o755)

    def teach(self, name, content):
        """A signature: files with this content."""
        with open(os.path.join(self.folder, "own.ndb"), "a", encoding="ascii") as file:
            file.write(f"{name}:0:*:{content.hex()}\n")

    def start(self):
        with open(os.path.join(self.folder, "said"), "ab") as said:
            self.process = subprocess.Popen(["/usr/sbin/clamd", "--config-file", self.config],
                                            stdout=said, stderr=said, stdin=subprocess.DEVNULL)
        until = time.monotonic() + 120
        while not os.path.exists(self.socket):
            assert self.process.poll() is None and time.monotonic() < until, self.said()
            time.sleep(0.05)
        return self

    def said(self):
        with open(os.path.join(self.folder, "said"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None
        if os.path.exists(self.socket):
            os.unlink(self.socket)
