"""Telling serving jobs of a release, and hearing of it: two small protocols over a message service.

A job that listens says where beside the ledger, in ``notices.json``; whoever publishes a release looks there. So a
rollback needs no spec to reach the job, and a fleet that nobody listens for sends nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from pydantic import TypeAdapter, ValidationError

from modelfleet.releases.notice import Notice
from modelfleet.spec.notices import KafkaNotices, Notices
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelfleet.releases.manifest import Release

logger = logging.getLogger(__name__)

PLACE = "notices.json"

_NOTICES: TypeAdapter[KafkaNotices | Notices] = TypeAdapter(Notices)


class Notifier(Protocol):
    """Sends notices."""

    def send(self, notice: Notice) -> None:
        """Send one; returns when the service has it.

        Raises:
            NoticeError: It could not be sent within ``SEND_SECONDS``.
        """
        ...


class Listener(Protocol):
    """Hears what is sent from the time it is made, and perhaps some of what was sent before."""

    def heard(self) -> Sequence[bytes]:
        """Return the messages that came since the last call, without waiting; trouble is logged, never raised."""
        ...

    def close(self) -> None:
        """Stop listening; calling it again does nothing."""
        ...


def make_notifier(notices: Notices) -> Notifier:
    """Return the notifier of a spec's ``serving.notices``.

    Raises:
        MissingExtraError: The library that it needs is not installed.
    """
    if isinstance(notices, KafkaNotices):
        from modelfleet.releases.kafka_notices import KafkaNotifier

        return KafkaNotifier(notices)
    from modelfleet.releases.pubsub_notices import PubsubNotifier

    return PubsubNotifier(notices)


def make_listener(notices: Notices) -> Listener:
    """Return a listener by a spec's ``serving.notices``; see ``make_notifier``."""
    if isinstance(notices, KafkaNotices):
        from modelfleet.releases.kafka_notices import KafkaListener

        return KafkaListener(notices)
    from modelfleet.releases.pubsub_notices import PubsubListener

    return PubsubListener(notices)


def listen_at(ledger: Place, notices: Notices | None) -> None:
    """Say where the fleet's job listens.

    Args:
        ledger: Folder of the fleet's releases.
        notices: Where; None means nowhere.
    """
    beside = open_store(ledger.parent)
    if notices is None:
        beside.remove(PLACE)
    else:
        beside.write(PLACE, notices.model_dump_json(indent=1).encode())


def announce(ledger: Place, release: Release) -> None:
    """Send a notice of a release to where the fleet's job listens, if one does. Never raises: the release stands.

    Args:
        ledger: Folder of the fleet's releases.
        release: What was published.
    """
    try:
        notices = _NOTICES.validate_json(open_store(ledger.parent).read(PLACE))
    except FileNotFoundError:
        return
    except (OSError, ValidationError) as error:
        where = ledger.parent / PLACE
        logger.warning("%s cannot be read (%s): no notice of generation %d", where, error, release.generation)
        return
    try:
        make_notifier(notices).send(Notice(release.fleet, release.generation))
    except Exception as error:  # whatever a client library raises, a notice must not fail a promotion
        logger.warning("no notice of generation %d: %s; jobs find it when they look", release.generation, error)
