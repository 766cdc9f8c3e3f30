"""An S3 server on this machine behind a proxy that can fail as networks do."""

from __future__ import annotations

import http.client
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ERROR = "<Error><Code>{code}</Code><Message>{message}</Message></Error>"
CODES = {
    500: ("InternalError", "We encountered an internal error. Please try again."),
    503: ("SlowDown", "Please reduce your request rate."),
    403: ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist."),
}


@dataclass
class Fault:
    """What goes wrong: a status in the place of the answer, or an answer cut in the middle."""

    method: str
    match: str
    status: int = 0  # 0 cuts the answer
    times: int = 1


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a server, and fails those that a fault asks for."""

    daemon_threads = True

    def __init__(self, upstream: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = upstream
        self.faults: list[Fault] = []
        self.failed: list[str] = []
        self.requests: list[str] = []
        self.page_keys = 0  # keys on a page of a listing; 0 leaves the server's 1,000
        self._lock = threading.Lock()

    def handle_error(self, request, client_address) -> None:
        """Say nothing of connections that clients close."""

    def fault_for(self, method: str, path: str) -> Fault | None:
        """Take the fault that this request runs into, if any."""
        with self._lock:
            self.requests.append(f"{method} {path}")
            for fault in self.faults:
                if fault.times > 0 and fault.method in {method, "*"} and fault.match in path:
                    fault.times -= 1
                    self.failed.append(f"{method} {path}")
                    return fault
        return None


class Handler(BaseHTTPRequestHandler):
    """One connection to the proxy."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Proxy

    def log_message(self, *_: object) -> None:
        """Write no log."""

    def do_GET(self) -> None:
        """Pass a request on, or fail it."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.fault_for(self.command, self.path)
        if fault is not None and fault.status:
            code, message = CODES[fault.status]
            self.answer(fault.status, {}, ERROR.format(code=code, message=message).encode())
            return
        with closing(http.client.HTTPConnection("127.0.0.1", self.server.upstream)) as up:
            headers = {k: v for k, v in self.headers.items() if k.lower() != "expect"}
            up.request(self.command, self.paged(), body or None, headers)
            got = up.getresponse()
            data = got.read()
        skipped = {"content-length", "transfer-encoding", "connection", "server", "date"}
        headers = {k: v for k, v in got.getheaders() if k.lower() not in skipped}
        if self.command == "HEAD":
            headers["Content-Length"] = got.getheader("Content-Length") or "0"
        self.answer(got.status, headers, data, cut=fault is not None)

    def paged(self) -> str:
        """Ask the server for short pages."""
        pages = self.server.page_keys and "list-type=2" in self.path
        return f"{self.path}&max-keys={self.server.page_keys}" if pages else self.path

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET

    def answer(self, status: int, headers: dict[str, str], data: bytes, cut: bool = False) -> None:
        """Send an answer, or half of one and then a reset connection."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(data)))
        if self.command == "HEAD":
            data = b""
        # Head and body in one packet: else each answer waits for an acknowledgement.
        self._headers_buffer.append(b"\r\n" + (data[: len(data) // 2] if cut else data))
        self.flush_headers()
        if cut:
            time.sleep(0.05)
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True


def free_port() -> int:
    """Return a port that nobody listens on."""
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def object_server():
    """Run moto's S3 server in a process of its own, and the proxy before it."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1"]
    server = subprocess.Popen(
        [*command, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while True:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert server.poll() is None, "moto did not start"
        assert time.monotonic() < deadline, "moto does not answer"
        time.sleep(0.05)
    proxy = Proxy(port)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
        server.terminate()
        server.wait()
