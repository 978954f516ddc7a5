"""A small Cloud KMS: one key, asked over gRPC by the real client library."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import google_crc32c
import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.cloud import kms_v1
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport

SERVICE = "google.cloud.kms.v1.KeyManagementService"
VERSION = "projects/shop/locations/europe/keyRings/fleets/cryptoKeys/releases/cryptoKeyVersions/1"


class FakeKms:
    """Serves one key until it is closed.

    Attributes:
        key: The private key.
        damage: Applied to every signature before it is sent.
        asked: Names of the methods that were called.
    """

    def __init__(self) -> None:
        self.key: Any = Ed25519PrivateKey.generate()
        self.damage = lambda signature: signature
        self.asked: list[str] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        self._server.add_generic_rpc_handlers((self._handlers(),))
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.client = kms_v1.KeyManagementServiceClient(
            transport=KeyManagementServiceGrpcTransport(channel=self._channel)
        )

    def close(self) -> None:
        self._channel.close()
        self._server.stop(None).wait()

    def stop(self) -> None:
        """Answer nobody any more."""
        self._server.stop(None).wait()

    def _handlers(self) -> grpc.GenericRpcHandler:
        def method(function: Any, request: Any, response: Any) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(function, request.deserialize, response.serialize)

        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "GetPublicKey": method(self._public, kms_v1.GetPublicKeyRequest, kms_v1.PublicKey),
                "AsymmetricSign": method(self._sign, kms_v1.AsymmetricSignRequest, kms_v1.AsymmetricSignResponse),
            },
        )

    def _known(self, name: str, context: grpc.ServicerContext) -> None:
        if name != VERSION:
            context.abort(grpc.StatusCode.NOT_FOUND, f"{name} not found")

    def _public(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.asked.append("public")
        self._known(request.name, context)
        pem = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return kms_v1.PublicKey(pem=pem.decode(), name=VERSION)

    def _sign(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.asked.append("sign")
        self._known(request.name, context)
        intact = request.data_crc32c == google_crc32c.value(request.data)
        return kms_v1.AsymmetricSignResponse(
            signature=self.damage(self.key.sign(request.data)), verified_data_crc32c=intact, name=VERSION
        )
