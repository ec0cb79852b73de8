"""A proxy before an object store that answers badly when it is told to."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOPS = ("connection", "transfer-encoding", "content-length")
DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
BUSY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


@dataclass
class Request:
    method: str
    path: str
    number: int  # from 1


@dataclass
class BadObjectStore:
    """``how`` gives what to do with a request: "denied", "busy", "corrupt", "slow" or nothing."""

    behind: int  # port of the true one
    how: Callable[[Request], str | None] = lambda request: None
    struck: list[str] = field(default_factory=list)
    count: int = 0

    def start(self) -> int:
        """The port at which it listens."""
        outer, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                with lock:
                    outer.count += 1
                    found = outer.how(Request(self.command, self.path, outer.count))
                    if found:
                        outer.struck.append(f"{self.command} {self.path}")
                body = self.body()
                if found in ("denied", "busy"):
                    self.reply(403 if found == "denied" else 503, {}, DENIED if found == "denied" else BUSY)
                    return
                there = http.client.HTTPConnection("127.0.0.1", outer.behind, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name.lower() not in HOPS}
                there.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
                response = there.getresponse()
                content, answered = response.read(), dict(response.getheaders())
                there.close()
                if found == "slow":
                    time.sleep(2)
                if found == "corrupt" and content:
                    content = content[:-1] + bytes([content[-1] ^ 1])
                self.reply(response.status, answered, content)

            def body(self) -> bytes:
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                while self.rfile.readline().strip():
                    pass
                return b"".join(parts)

            def reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in HOPS:
                        self.send_header(name, value)
                length = next((value for name, value in headers.items() if name.lower() == "content-length"), len(content))
                self.send_header("Content-Length", str(length if self.command == "HEAD" else len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self._server.server_address[1]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
