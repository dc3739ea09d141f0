"""A Hugging Face Hub on this machine: what its client asks for when it fetches a model, and nothing more."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit


@dataclass
class FakeHub:
    """models: directory by name. revisions: commit by name and revision. gated: names that nobody may read.
    fetched: the files whose content was asked for."""

    models: dict[str, Path]
    revisions: dict[tuple[str, str], str]
    gated: set[str] = field(default_factory=set)
    fetched: list[str] = field(default_factory=list)
    address: str = ""


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """Serve ``hub`` at ``hub.address`` for the length of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
            api = parts[:2] == ["api", "models"]
            parts = parts[2:] if api else parts
            name = "/".join(parts[:2])
            if name not in hub.models:
                return self._answer(401, {"X-Error-Code": "RepoNotFound"}, b"{}")
            commit = hub.revisions.get((name, parts[3]))
            if commit is None:
                return self._answer(404, {"X-Error-Code": "RevisionNotFound"}, b"{}")
            if parts[2] == "revision":
                files = [{"rfilename": path.name} for path in sorted(hub.models[name].iterdir())]
                return self._json({"id": name, "sha": commit, "siblings": files})
            if name in hub.gated:
                return self._answer(403, {"X-Error-Code": "GatedRepo"}, b"{}")
            if parts[2] == "tree":
                return self._json([_entry(path) for path in sorted(hub.models[name].iterdir())])
            return self._file(hub.models[name] / parts[4], commit)

        def _file(self, path: Path, commit: str) -> None:
            if not path.is_file():
                return self._answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b"{}")
            content = path.read_bytes()
            if self.command == "GET":
                hub.fetched.append(path.name)
            tag = f'"{hashlib.sha256(content).hexdigest()}"'
            return self._answer(200, {"ETag": tag, "X-Repo-Commit": commit}, content)

        def _json(self, value: object) -> None:
            self._answer(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

        def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

    return Handler


def _entry(path: Path) -> dict[str, object]:
    return {
        "type": "file",
        "path": path.name,
        "size": path.stat().st_size,
        "oid": hashlib.sha1(path.name.encode()).hexdigest(),
    }
