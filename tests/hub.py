"""A hub on the loopback interface, for tests: repos with revisions, gates and redirects, and a log of requests."""

import hashlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit

Files = Mapping[str, bytes | str]


class Hub:
    """Serves repos of files in the protocol of huggingface_hub; pass its ``url`` as ``endpoint=``.

    ``requests`` lists what was asked, as ``"GET /owner/name/resolve/main/config.json"``.
    """

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, str]] = {}  # id -> revision -> commit
        self.commits: dict[str, dict[str, bytes]] = {}  # commit -> file -> content
        self.gated: set[str] = set()  # listed for everyone, files need the token "open-sesame"
        self.moved: dict[str, str] = {}  # old id -> id
        self.requests: list[str] = []
        self.ranges: list[tuple[str, str | None]] = []  # files that were sent, and which part of each was asked for
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def add(self, repo: str, files: Path | Files, *, revision: str = "main", gated: bool = False) -> str:
        """Let ``revision`` of ``repo`` be ``files``, a folder or contents by name; return the commit."""
        if isinstance(files, Path):
            content = {str(path.relative_to(files)): path.read_bytes() for path in files.rglob("*") if path.is_file()}
        else:
            content = {name: data.encode() if isinstance(data, str) else data for name, data in files.items()}
        commit = hashlib.sha1(repr((repo, sorted(content.items()))).encode()).hexdigest()
        self.commits[commit] = content
        self.repos.setdefault(repo, {}).update({revision: commit, commit: commit})
        if gated:
            self.gated.add(repo)
        return commit

    def __enter__(self) -> "Hub":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path).lstrip("/")
            hub.requests.append(f"{self.command} /{path}")
            if path.startswith("api/models/"):
                repo, _, rest = path.removeprefix("api/models/").partition("/revision/")
                repo, _, tree = repo.partition("/tree/")
                if commit := self._commit(repo, rest or tree or "main", self.path):
                    self._tell(repo, commit, as_tree=bool(tree))
            else:
                repo, _, rest = path.partition("/resolve/")
                revision = next((r for r in hub.repos.get(repo, ()) if rest.startswith(f"{r}/")), rest.split("/")[0])
                if commit := self._commit(repo, revision, self.path):
                    self._send_file(repo, commit, rest.removeprefix(f"{revision}/"))

        do_HEAD = do_GET

        def _commit(self, repo: str, revision: str, path: str) -> str | None:
            """Return the commit; None where the answer was sent already."""
            if repo in hub.moved:
                self._answer(307, Location=path.replace(f"/{repo}", f"/{hub.moved[repo]}", 1))
            elif repo not in hub.repos:
                # The real hub does not tell strangers whether a repo is private or missing.
                self._answer(401, **{"X-Error-Code": "RepoNotFound"})
            elif revision not in hub.repos[repo]:
                self._answer(404, **{"X-Error-Code": "RevisionNotFound"})
            else:
                return hub.repos[repo][revision]
            return None

        def _tell(self, repo: str, commit: str, *, as_tree: bool) -> None:
            files = hub.commits[commit]
            tree = [{"type": "file", "path": n, "size": len(d), "oid": _etag(d)} for n, d in files.items()]
            info = {"id": repo, "sha": commit, "siblings": [{"rfilename": name} for name in files]}
            self._answer(200, json.dumps(tree if as_tree else info).encode(), **{"Content-Type": "application/json"})

        def _send_file(self, repo: str, commit: str, name: str) -> None:
            known = {"X-Repo-Commit": commit}
            if repo in hub.gated and self.headers["Authorization"] != "Bearer open-sesame":
                return self._answer(403 if self.headers["Authorization"] else 401, **{"X-Error-Code": "GatedRepo"})
            data = hub.commits[commit].get(name)
            if data is None:
                return self._answer(404, **known, **{"X-Error-Code": "EntryNotFound"})
            known["ETag"] = f'"{_etag(data)}"'
            if self.command == "GET":
                hub.ranges.append((name, self.headers["Range"]))
            if part := self.headers["Range"]:
                start, _, stop = part.removeprefix("bytes=").partition("-")
                first, last = int(start), min(int(stop or len(data)), len(data) - 1)
                known["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
                return self._answer(206, data[first : last + 1], **known)
            return self._answer(200, data, **known)

        def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
