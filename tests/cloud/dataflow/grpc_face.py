"""The gRPC services of Dataflow, over a job store: what Beam and modelfleet speak to."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.cloud import dataflow_v1beta3 as api

from tests.cloud.dataflow.job_store import JobStore, Refused

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    503: grpc.StatusCode.UNAVAILABLE,
}


class GrpcFace:
    """Listens from the start.

    Args:
        store: The jobs.
    """

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._server = grpc.server(ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers(
            [
                _service(
                    "Jobs",
                    CreateJob=(api.CreateJobRequest, api.Job, self._create),
                    GetJob=(api.GetJobRequest, api.Job, lambda request: store.look(request.job_id)),
                    UpdateJob=(api.UpdateJobRequest, api.Job, self._update),
                    ListJobs=(api.ListJobsRequest, api.ListJobsResponse, self._list),
                ),
                _service(
                    "Messages",
                    ListJobMessages=(api.ListJobMessagesRequest, api.ListJobMessagesResponse, self._messages),
                ),
                _service(
                    "Metrics", GetJobMetrics=(api.GetJobMetricsRequest, api.JobMetrics, lambda request: {"metrics": []})
                ),
            ]
        )
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def close(self) -> None:
        """Take no more calls."""
        self._server.stop(None).wait()

    def _create(self, request: Any) -> dict[str, Any]:
        # Names of enums rather than numbers, as REST has them
        given = api.Job.to_json(request.job, use_integers_for_enums=False, always_print_fields_with_no_presence=False)
        return self._store.create(request.project_id, request.location, json.loads(given))

    def _update(self, request: Any) -> dict[str, Any]:
        return self._store.request(request.job_id, api.JobState(request.job.requested_state).name)

    def _list(self, request: Any) -> dict[str, Any]:
        active = request.filter == api.ListJobsRequest.Filter.ACTIVE
        return {"jobs": self._store.list(request.name, active=active)}

    def _messages(self, request: Any) -> dict[str, Any]:
        return {"jobMessages": self._store.told(request.job_id)}


def _service(name: str, **methods: tuple[Any, Any, Callable[[Any], dict[str, Any]]]) -> grpc.GenericRpcHandler:
    handlers = {method: _method(*parts) for method, parts in methods.items()}
    return grpc.method_handlers_generic_handler(f"google.dataflow.v1beta3.{name}V1Beta3", handlers)


def _method(asked: Any, told: Any, call: Callable[[Any], dict[str, Any]]) -> grpc.RpcMethodHandler:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return told.from_json(json.dumps(call(request)), ignore_unknown_fields=True)
        except Refused as refused:
            context.abort(CODES[refused.code], refused.message)

    return grpc.unary_unary_rpc_method_handler(
        answer, request_deserializer=asked.deserialize, response_serializer=told.serialize
    )
