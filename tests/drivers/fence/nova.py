"""A Nova and its Keystone of a few lines on loopback: servers that can be looked at and stopped."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token"


class FakeNova:
    """Servers by name; `slow` stops only after so many looks, `broken` answers 503."""

    def __init__(self) -> None:
        self.servers: list[dict[str, Any]] = []
        self.stops: list[str] = []
        self.slow = 0
        self.broken = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(
        self,
        name: str,
        status: str = "ACTIVE",
        power: int = 1,
        task: Any = None,
        more: dict[str, Any] | None = None,
    ) -> str:
        ident = f"id-{len(self.servers)}"
        self.servers.append(
            {
                "id": ident,
                "name": name,
                "status": status,
                "OS-EXT-STS:power_state": power,
                "OS-EXT-STS:task_state": task,
            }
            | (more or {})
        )
        return ident

    def found(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        deleted = query.get("deleted") == ["true"]
        pattern = re.compile(query["name"][0])
        return [
            server
            for server in self.servers
            if pattern.search(server["name"]) and (server["status"] == "DELETED") == deleted
        ]

    def shown(self, ident: str) -> dict[str, Any] | None:
        for server in self.servers:
            if server["id"] == ident and server["status"] != "DELETED":
                if ident in self.stops and self.slow:
                    self.slow -= 1
                elif ident in self.stops:
                    server |= {"status": "SHUTOFF", "OS-EXT-STS:power_state": 4}
                return server
        return None

    def _catalog(self) -> list[dict[str, Any]]:
        def service(kind: str, url: str) -> dict[str, Any]:
            ends = [{"interface": "public", "url": url, "id": kind, "region_id": "R"}]
            return {"type": kind, "name": kind, "id": kind, "endpoints": ends}

        return [service("identity", self.url), service("compute", f"{self.url}/compute")]

    def _handler(nova) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def _send(self, status: int, body: Any = None, **headers: str) -> None:
                raw = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path.endswith("/auth/tokens"):
                    token = {
                        "methods": ["password"],
                        "user": {"id": "u", "name": "u", "domain": {"id": "d", "name": "D"}},
                        "project": {"id": "p", "name": "p", "domain": {"id": "d", "name": "D"}},
                        "expires_at": "2099-01-01T00:00:00.000000Z",
                        "issued_at": "2020-01-01T00:00:00.000000Z",
                        "catalog": nova._catalog(),
                    }
                    self._send(201, {"token": token}, X_Subject_Token=TOKEN)
                    return
                ident = self.path.split("/")[-2]
                assert asked == {"os-stop": None}
                if nova.shown(ident) is None or ident in nova.stops:
                    self._send(409, {"conflictingRequest": {"message": "no", "code": 409}})
                    return
                nova.stops.append(ident)
                self._send(202)

            def do_GET(self) -> None:
                where = urlsplit(self.path)
                if not where.path.startswith("/compute"):
                    link = {"rel": "self", "href": f"{nova.url}/v3/"}
                    version = {"id": "v3.14", "status": "stable", "links": [link]}
                    self._send(300, {"versions": {"values": [version]}})
                elif nova.broken:
                    self._send(503)
                elif where.path == "/compute/servers/detail":
                    self._send(200, {"servers": nova.found(parse_qs(where.query))})
                elif (server := nova.shown(where.path.rpartition("/")[2])) is not None:
                    self._send(200, {"server": server})
                else:
                    self._send(404, {"itemNotFound": {"message": "gone", "code": 404}})

        return Handler
