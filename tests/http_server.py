"""An HTTP server on an address of its own that gives every request the same answer, but for chosen paths."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HttpServer:
    """Answers every request with one status and body, as a server or as a proxy; asked: what it was asked for.

    by_path: the answers to requests whose path ends like this; they may change.
    """

    def __init__(self, status: int, body: bytes = b"", by_path: Mapping[str, tuple[int, bytes]] | None = None) -> None:
        self.asked: list[str] = []
        self.by_path = dict(by_path or {})
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                path = self.path.partition("?")[0]
                own = (answer for ending, answer in outer.by_path.items() if path.endswith(ending))
                code, text = next(own, (status, body))
                self.send_response(code)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            do_PUT = do_POST  # noqa: N815 (http.server's)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (http.server's)
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self) -> None:
        """Answer no more."""
        self.server.shutdown()
        self.server.server_close()
