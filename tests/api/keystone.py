"""A Keystone of a few lines on loopback: issues our service a token, validates users' tokens."""

from __future__ import annotations

import json
import threading
from collections import Counter
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SERVICE_TOKEN = "service-token"


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class FakeKeystone:
    """Tokens by their text; `asked` counts validations, `issued` tokens for our service."""

    def __init__(self) -> None:
        self.tokens: dict[str, dict[str, Any]] = {}
        self.asked: Counter[str] = Counter()
        self.issued = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def issue(self, token: str, expires: float, **more: Any) -> None:
        """A token of alice in project north."""
        self.tokens[token] = {
            "methods": ["password"],
            "user": {"id": "alice-id", "name": "alice", "domain": {"id": "default", "name": "D"}},
            "project": {"id": "north", "name": "North", "domain": {"id": "default", "name": "D"}},
            "roles": [{"id": "1", "name": "Member"}, {"id": "2", "name": "reader"}],
            "issued_at": iso(expires - 3600),
            "expires_at": iso(expires),
            "audit_ids": ["x"],
            "catalog": [{"type": "container", "name": "zun", "id": "c", "endpoints": []}],
        } | more

    def _handler(keystone) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def _send(self, status: int, body: Any, **headers: str) -> None:
                raw = json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                keystone.issued += 1
                keystone.issue(SERVICE_TOKEN, datetime.now(UTC).timestamp() + 3600)
                catalog = [{"type": "identity", "name": "keystone", "id": "k", "endpoints": [
                    {"interface": i, "url": keystone.url, "id": i, "region_id": "R", "region": "R"}
                    for i in ("public", "internal", "admin")
                ]}]  # fmt: skip
                token = keystone.tokens[SERVICE_TOKEN] | {"catalog": catalog}
                self._send(201, {"token": token}, X_Subject_Token=SERVICE_TOKEN)

            def do_GET(self) -> None:
                if not self.path.startswith("/v3/auth/tokens"):
                    version = {
                        "id": "v3.14",
                        "status": "stable",
                        "links": [{"rel": "self", "href": f"{keystone.url}/v3/"}],
                    }
                    if self.path.startswith("/v3"):
                        self._send(200, {"version": version})
                    else:
                        self._send(300, {"versions": {"values": [version]}})
                    return
                subject = self.headers["X-Subject-Token"]
                keystone.asked[subject] += 1
                if subject in keystone.tokens:
                    self._send(200, {"token": keystone.tokens[subject]}, X_Subject_Token=subject)
                else:
                    self._send(404, {"error": {"code": 404, "message": "no", "title": "No"}})

        return Handler
