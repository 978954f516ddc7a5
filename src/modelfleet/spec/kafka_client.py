"""How a Kafka client of the streaming job is configured: what the spec says, and secrets from the environment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelfleet.errors import InputError

ENVIRONMENT = "MODELFLEET_KAFKA_CONFIG"
"""A JSON object of librdkafka options, such as ``{"sasl.username": "...", "sasl.password": "..."}``; read by every
process that talks with Kafka, and never written anywhere."""


@dataclass(frozen=True)
class KafkaClient:
    """What every client of one Kafka has in common.

    Attributes:
        servers: Where to ask first: ``host:port``, or several with commas between.
        options: Options of librdkafka from the spec; none of them secret.
    """

    servers: str
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)

    def configuration(
        self, own: Mapping[str, Any] | None = None, *, defaults: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the options of one client.

        Args:
            own: What must be so, whatever the spec and the environment say.
            defaults: What is so unless the spec or the environment says otherwise; the latter has the last word.

        Raises:
            InputError: The environment variable does not hold a JSON object.
        """
        said = {**(defaults or {}), **self.options, **_from_environment(), **(own or {})}
        return {**said, "bootstrap.servers": self.servers}


def _from_environment() -> dict[str, Any]:
    text = os.environ.get(ENVIRONMENT)
    if not text:
        return {}
    wrong = f"${ENVIRONMENT} must hold a JSON object from option to text, number or boolean"  # its value may be secret
    try:
        options = json.loads(text)
    except ValueError as error:
        raise InputError(f"{wrong}, but is not JSON at character {getattr(error, 'pos', '?')}") from None
    if not isinstance(options, dict):
        raise InputError(wrong)
    for name, value in options.items():
        if not isinstance(value, str | int | float):
            raise InputError(f"{wrong}; '{name}' is none of these")
    return options
