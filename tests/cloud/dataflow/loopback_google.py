"""Google Cloud on loopback: all stand-ins, and the environment in which clients find them."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from modelfleet.engines.loopback import free_port, listens
from tests.cloud.dataflow.certificates import make_certificates
from tests.cloud.dataflow.grpc_face import GrpcFace
from tests.cloud.dataflow.id_tokens import IdTokens
from tests.cloud.dataflow.job_store import JobStore
from tests.cloud.dataflow.rest_face import RestFace
from tests.cloud.dataflow.tls_proxy import TlsProxy

PROJECT, REGION, BUCKET = "acme-fleets", "europe-west1", "acme-staging"
CALLER = f"tester@{PROJECT}.iam.gserviceaccount.com"


@dataclass
class Google:
    """Started from the start, until it is closed.

    Args:
        folder: For certificates, the key, and the emulator's log.
        emulator: Program of the object store.
    """

    folder: Path
    emulator: Path
    store: JobStore = field(default_factory=JobStore)

    def __post_init__(self) -> None:
        certificates = make_certificates(self.folder)
        self.grpc, self.rest = GrpcFace(self.store), RestFace(self.store)
        self.storage_port = free_port()
        with (self.folder / "storage.log").open("w") as log:
            self._storage = subprocess.Popen(
                [self.emulator, "start", f"--port={self.storage_port}", "--host=127.0.0.1", "--in-memory"],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 30
        while not listens(self.storage_port):
            assert self._storage.poll() is None and time.monotonic() < deadline, "the object store does not start"
            time.sleep(0.05)
        self.proxy = TlsProxy(
            certificates.context(), grpc=self.grpc.port, storage=self.storage_port, rest=self.rest.port
        )
        self.make_bucket(BUCKET)
        self.key = self.folder / "key.json"
        self.key.write_text(json.dumps(_key()))
        proxy, authority = f"http://localhost:{self.proxy.port}", str(certificates.authority)
        self.environment = {
            "GOOGLE_APPLICATION_CREDENTIALS": str(self.key),
            "HTTP_PROXY": proxy,
            "http_proxy": proxy,
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "NO_PROXY": "localhost,127.0.0.1",
            "no_proxy": "localhost,127.0.0.1",
            # One for each of: gRPC, Python's own TLS, requests, httplib2
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": authority,
            "SSL_CERT_FILE": authority,
            "REQUESTS_CA_BUNDLE": authority,
            "HTTPLIB2_CA_CERTS": authority,
        }

    def close(self) -> None:
        """End everything."""
        self.proxy.close()
        self.rest.close()
        self.grpc.close()
        self._storage.terminate()
        self._storage.wait(10)

    def forget(self) -> None:
        """Be as at the start, but for what is in the buckets."""
        fresh = JobStore()
        for name in ("work", "refuse", "linger", "refuse_updates", "created", "asked", "jobs", "messages", "_begun"):
            setattr(self.store, name, getattr(fresh, name))
        self.rest.apis_off, self.rest.pubsub, self.rest.token_refused = set(), set(), ""
        self.rest.id_tokens.given.clear()
        self.rest.id_tokens.seconds = IdTokens.seconds
        self.rest.paths.clear()
        self.proxy.hosts.clear()

    def make_bucket(self, name: str) -> None:
        """Make a bucket."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.storage_port}/storage/v1/b?project={PROJECT}",
            data=json.dumps({"name": name}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            answer.read()

    def write(self, url: str, content: bytes) -> None:
        """Put an object.

        Args:
            url: ``gs://bucket/name``.
            content: Its content.
        """
        bucket, _, name = url.removeprefix("gs://").partition("/")
        where = f"http://127.0.0.1:{self.storage_port}/upload/storage/v1/b/{bucket}/o"
        query = urllib.parse.urlencode({"uploadType": "media", "name": name})
        with urllib.request.urlopen(urllib.request.Request(f"{where}?{query}", data=content)) as answer:
            answer.read()

    def read(self, url: str) -> bytes:
        """Return the content of an object.

        Args:
            url: ``gs://bucket/name``.
        """
        bucket, _, name = url.removeprefix("gs://").partition("/")
        where = f"http://127.0.0.1:{self.storage_port}/storage/v1/b/{bucket}/o/{name.replace('/', '%2F')}?alt=media"
        with urllib.request.urlopen(where) as answer:
            content: bytes = answer.read()
        return content


def _key() -> dict[str, str]:
    """Return a service account's key as Google makes them, made here and known to nobody."""
    private = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "1",
        "private_key": private.decode(),
        "client_email": CALLER,
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
    }
