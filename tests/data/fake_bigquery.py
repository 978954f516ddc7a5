"""A small BigQuery, as far as its Storage Read API goes, asked over gRPC by the real client library."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pyarrow as pa
from google.cloud import bigquery_storage_v1
from google.cloud.bigquery_storage_v1 import types
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

SERVICE = "google.cloud.bigquery.storage.v1.BigQueryRead"


class FakeBigQuery:
    """Serves tables until it is closed.

    Attributes:
        tables: By their full name.
        sessions: What sessions were asked for.
        breaks: How many more times a stream breaks off after a batch.
        refuses: A status and a word that every session is refused with; None for none.
    """

    def __init__(self) -> None:
        self.tables: dict[str, pa.Table] = {}
        self.sessions: list[Any] = []
        self.breaks = 0
        self.refuses: tuple[grpc.StatusCode, str] | None = None
        self._streams: dict[str, list[pa.RecordBatch]] = {}
        self._server = grpc.server(ThreadPoolExecutor(8))
        handlers = {
            "CreateReadSession": grpc.unary_unary_rpc_method_handler(
                self._create, types.CreateReadSessionRequest.deserialize, types.ReadSession.serialize
            ),
            "ReadRows": grpc.unary_stream_rpc_method_handler(
                self._rows, types.ReadRowsRequest.deserialize, types.ReadRowsResponse.serialize
            ),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.client = bigquery_storage_v1.BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=self._channel))

    def close(self) -> None:
        self._channel.close()
        self._server.stop(None).wait()

    def _create(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.sessions.append(request)
        if self.refuses is not None:
            context.abort(*self.refuses)
        wanted = request.read_session
        if wanted.table not in self.tables:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Not found: Table {wanted.table}")
        table = self.tables[wanted.table]
        fields = list(wanted.read_options.selected_fields)
        for field in set(fields) - set(table.column_names):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"The following selected fields do not exist: {field}")
        table = table.select(fields) if fields else table
        name = f"sessions/{len(self.sessions)}"
        batches = table.to_batches(max_chunksize=100)
        count = min(request.max_stream_count, len(batches), 3)
        streams = [f"{name}/streams/{number}" for number in range(count)]
        for number, stream in enumerate(streams):
            self._streams[stream] = batches[number::count]
        return types.ReadSession(
            name=name,
            table=wanted.table,
            data_format=types.DataFormat.ARROW,
            arrow_schema=types.ArrowSchema(serialized_schema=table.schema.serialize().to_pybytes()),
            streams=[types.ReadStream(name=stream) for stream in streams],
        )

    def _rows(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        at = 0
        for batch in self._streams[request.read_stream]:
            if at >= request.offset:
                yield types.ReadRowsResponse(
                    arrow_record_batch=types.ArrowRecordBatch(serialized_record_batch=batch.serialize().to_pybytes()),
                    row_count=batch.num_rows,
                )
                if self.breaks:
                    self.breaks -= 1
                    context.abort(grpc.StatusCode.UNAVAILABLE, "the stream broke off")
            at += batch.num_rows
