"""A web server on this machine that does what the test tells it, faults included."""

from __future__ import annotations

import collections
import contextlib
import http.server
import threading
import time
from collections.abc import Callable

Respond = Callable[["Request", int], None]  # Gets the request, and its number for that path.


class Request(http.server.BaseHTTPRequestHandler):
    """One request; what it sends is counted at its server."""

    protocol_version = "HTTP/1.1"
    server: LoopbackServer

    def log_message(self, *_):
        pass

    def do_GET(self):
        with self.server.lock:
            self.server.requests[self.path].append(dict(self.headers))
            number = len(self.server.requests[self.path])
        self.close_connection = True
        with contextlib.suppress(OSError):  # The client went away.
            self.server.responds.get(self.path, status(404))(self, number)

    def head(self, code, **fields):
        """Sends the head of an answer; `content_length=3` is the field Content-Length."""
        self.send_response(code)
        self.send_header("Connection", "close")
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def body(self, content, pause_seconds=0.0):
        """Sends bytes in blocks of 64 KiB."""
        for first in range(0, len(content), 1 << 16):
            block = content[first : first + (1 << 16)]
            # Counted first: the client may have all before this thread goes on.
            with self.server.lock:
                self.server.sent[self.path] += len(block)
            self.wfile.write(block)
            time.sleep(pause_seconds)

    def asked_from(self, etag):
        """The first byte that is asked for, where the client has the same version; else 0."""
        matches = self.headers.get("If-Range", etag) == etag
        return int(self.headers["Range"][6:-1]) if "Range" in self.headers and matches else 0


class LoopbackServer(http.server.ThreadingHTTPServer):
    """Answers at 127.0.0.1. Paths that no test has set give 404.

    Attributes:
      responds: what to do, by path.
      requests: the header fields of each request, by path.
      sent: bytes of bodies, by path.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Request)
        self.responds: dict[str, Respond] = {}
        self.requests = collections.defaultdict(list)
        self.sent = collections.Counter()
        self.lock = threading.Lock()

    def handle_error(self, *_):
        """A connection that broke is what many tests want."""

    def at(self, path: str, respond: Respond) -> str:
        """Sets what a path does, and gives its address."""
        self.responds[path] = respond
        return f"http://127.0.0.1:{self.server_port}{path}"


@contextlib.contextmanager
def serving():
    """Gives a server that runs until the block ends."""
    server = LoopbackServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def file(content, etag='"1"', cut_bytes=None, has_ranges=True, pause_seconds=0.0) -> Respond:
    """Gives a file as a good server does; each answer breaks off after `cut_bytes`."""

    def respond(request, number):
        first = request.asked_from(etag) if has_ranges else 0
        fields = {"Content_Length": len(content) - first}
        if etag:
            fields["ETag"] = etag
        if first and first >= len(content):
            request.head(416, Content_Length=0)
        elif first:
            place = f"bytes {first}-{len(content) - 1}/{len(content)}"
            request.head(206, Content_Range=place, **fields)
        else:
            request.head(200, **fields)
        last = len(content) if cut_bytes is None else first + cut_bytes
        request.body(content[first:last], pause_seconds)

    return respond


def status(code, content=b"", **fields) -> Respond:
    """Gives the same short answer each time."""

    def respond(request, number):
        request.head(code, **{"Content_Length": len(content), **fields})
        request.body(content)

    return respond


def first_then(count, first: Respond, then: Respond) -> Respond:
    """Answers `count` requests in one way, and those after them in another."""

    def respond(request, number):
        (first if number <= count else then)(request, number)

    return respond
