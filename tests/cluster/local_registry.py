"""A container registry on the loopback interface that holds one image: what `Bootstrap: docker` really talks to.

    with LocalRegistry(tar) as registry:       # tar: a root file system
        registry.base                          # 127.0.0.1:PORT/base@sha256:…
        registry.forge()                       # from now on another manifest comes under the same digest

It answers the three requests of a pull (is there an API, the manifest, the blobs), and no others.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class LocalRegistry:
    """Serves from memory and from one compressed file in `folder` until it is left."""

    def __init__(self, tar: Path, folder: Path) -> None:
        layer = folder / "layer.tar.gz"
        with tar.open("rb") as plain, gzip.open(layer, "wb", compresslevel=1) as packed:
            shutil.copyfileobj(plain, packed)
        diff = f"sha256:{digest(tar)}"
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
                "rootfs": {"type": "layers", "diff_ids": [diff]},
            }
        ).encode()
        parts = {
            "config": {"mediaType": CONFIG, "digest": told(config), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": f"sha256:{digest(layer)}", "size": layer.stat().st_size}],
        }
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, **parts}).encode()
        self.digest = told(manifest)
        self.manifests = {self.digest: manifest}
        self.blobs: dict[str, bytes | Path] = {told(config): config, f"sha256:{digest(layer)}": layer}
        self._server = _Quiet(("127.0.0.1", 0), _handler(self))

    @property
    def base(self) -> str:
        """The image's name, by digest."""
        return f"127.0.0.1:{self._server.server_address[1]}/base@{self.digest}"

    def forge(self) -> None:
        """Serve a manifest that is not the one of the digest."""
        self.manifests[self.digest] = self.manifests[self.digest] + b" "

    def __enter__(self) -> LocalRegistry:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no fault."""


def told(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _handler(registry: LocalRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            name, found = self.path.rpartition("/")[2], None
            kind = "application/json"
            if self.path == "/v2/":
                found = b"{}"
            elif "/manifests/" in self.path:
                found, kind = registry.manifests.get(name), MANIFEST
            elif "/blobs/" in self.path:
                found, kind = registry.blobs.get(name), "application/octet-stream"
            if found is None:
                found = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'
                self.send_response(404)
            else:
                self.send_response(200)
            size = found.stat().st_size if isinstance(found, Path) else len(found)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            if not with_body:
                return
            if isinstance(found, Path):
                with found.open("rb") as file:
                    shutil.copyfileobj(file, self.wfile)
            else:
                self.wfile.write(found)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler
