"""The local Kafka broker: one Java process, broker and controller in one, loopback only.

``python -m modelfleet.engines.kafka_broker --home=.modelfleet`` formats the storage the first time, writes the
configuration and the address, then becomes the Java process, so whoever supervises it supervises Kafka itself.
Everything it leaves lies in ``<home>/kafka``. One that was killed comes back with its data, on its port.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import logging
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from modelfleet.engines.java_process import java_program
from modelfleet.engines.loopback import HOST, free_port, listens
from modelfleet.errors import EngineUnavailableError, MissingExtraError
from modelfleet.home import Home
from modelfleet.whole_file import write_whole

START = "`python -m modelfleet.engines.kafka_broker`"
HEAP = "512m"
STOP_SECONDS = 20
_REPOSITORY = Path(__file__).resolve().parents[3]


class KafkaBroker(BaseModel):
    """Where a broker listens; written to ``<home>/kafka/broker.json`` when it starts.

    Attributes:
        pid: The Java process.
        host: Always loopback.
        port: Where clients connect.
        controller_port: Where the broker talks with its controller, in the same process.
    """

    model_config = ConfigDict(frozen=True)

    pid: int
    host: Literal["127.0.0.1"] = HOST
    port: int
    controller_port: int

    @property
    def bootstrap_servers(self) -> str:
        """What clients call ``bootstrap.servers``."""
        return f"{self.host}:{self.port}"

    def answers(self, seconds: float = 2.0) -> bool:
        """Return whether a request for the list of topics is answered: a port that is open is not yet a broker.

        Args:
            seconds: How long to wait for the answer.

        Raises:
            MissingExtraError: There is no Kafka client to ask with.
        """
        if not listens(self.port):
            return False
        try:
            from confluent_kafka import KafkaException
            from confluent_kafka.admin import AdminClient
        except ImportError:
            raise MissingExtraError("confluent-kafka", "kafka") from None
        # Its own log would go to standard error
        client = AdminClient({"bootstrap.servers": self.bootstrap_servers}, logger=logging.getLogger(__name__))
        try:
            return bool(client.list_topics(timeout=seconds).brokers)
        except KafkaException:
            return False


def kafka_broker_folder() -> Path:
    """Return the folder that ``infra/kafka/build.sh`` fills, or what ``$MODELFLEET_KAFKA_BROKER`` names.

    Raises:
        EngineUnavailableError: It has not been built.
    """
    named = os.environ.get("MODELFLEET_KAFKA_BROKER")
    folder = Path(named) if named else _REPOSITORY / ".build" / "kafka"
    if not (folder / "stamp").is_file():
        raise EngineUnavailableError(f"{folder}: holds no Kafka broker; build one with `infra/kafka/build.sh`")
    return folder


def kafka_broker_command(home: Home, *, port: int = 0) -> list[str]:
    """Return the command line that runs a broker until it is stopped, for a process supervisor.

    Args:
        home: The root folder; one broker per home.
        port: Where it listens; 0 takes the port of the last start if that is free, else any free one.
    """
    return [sys.executable, "-m", "modelfleet.engines.kafka_broker", f"--home={home.root}", f"--port={port}"]


def find_kafka_broker(home: Home) -> KafkaBroker:
    """Return the broker of this home.

    Raises:
        EngineUnavailableError: None was started, or it does not answer.
        MissingExtraError: There is no Kafka client to ask with.
    """
    broker = _recorded(home)
    if broker is None:
        raise EngineUnavailableError(f"no Kafka broker runs for {home.root}: start one with {START}")
    if not broker.answers():
        raise EngineUnavailableError(
            f"the Kafka broker of {home.root} does not answer at {broker.bootstrap_servers}: look into "
            f"{home.logs / 'kafka-broker.log'} and start it again with {START}"
        )
    return broker


def wait_for_kafka_broker(
    home: Home, *, process: subprocess.Popen[bytes] | None = None, seconds: float = 180.0
) -> KafkaBroker:
    """Wait until the broker of this home answers.

    Args:
        home: The root folder.
        process: The process just started, so that its end is noticed at once; None where somebody else started it.
        seconds: How long to wait.

    Raises:
        EngineUnavailableError: It ended, or did not answer in time.
        MissingExtraError: There is no Kafka client to ask with.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        broker = _recorded(home)
        if broker is not None and (process is None or broker.pid == process.pid) and broker.answers():
            return broker
        if process is not None and process.poll() is not None:
            break
        time.sleep(0.1)
    raise EngineUnavailableError(
        f"the Kafka broker of {home.root} did not start; its log is {home.logs / 'kafka-broker.log'}"
    )


def start_kafka_broker(home: Home, *, port: int = 0) -> subprocess.Popen[bytes]:
    """Start the broker of this home in the background; ``wait_for_kafka_broker`` says when it is there.

    Args:
        home: The root folder.
        port: As in ``kafka_broker_command``.

    Raises:
        EngineUnavailableError: It is not built.
    """
    kafka_broker_folder()
    home.logs.mkdir(parents=True, exist_ok=True)
    with (home.logs / "kafka-broker.log").open("ab") as log:
        return subprocess.Popen(
            kafka_broker_command(home, port=port),
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches only us; what uses the broker is stopped before it
        )


@contextlib.contextmanager
def running_kafka_broker(home: Home, *, port: int = 0) -> Iterator[KafkaBroker]:
    """Give the broker of this home, starting one for the length of the block where none runs.

    One that was running already is left running; one started here is stopped.

    Args:
        home: The root folder.
        port: As in ``kafka_broker_command``.

    Raises:
        EngineUnavailableError: It is not built, or does not start.
        MissingExtraError: There is no Kafka client to ask with.
    """
    broker = _recorded(home)
    if broker is not None and broker.answers():
        yield broker
        return
    process = start_kafka_broker(home, port=port)
    try:
        yield wait_for_kafka_broker(home, process=process)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main(arguments: list[str] | None = None) -> None:
    """Format the storage if it is new, write configuration and address, then become the Java process."""
    parser = argparse.ArgumentParser(prog="python -m modelfleet.engines.kafka_broker", description=__doc__)
    parser.add_argument("--home", type=Path, default=None, help="default: $MODELFLEET_HOME, or .modelfleet")
    parser.add_argument("--port", type=int, default=0, help="0: that of the last start if it is free, else any")
    options = parser.parse_args(arguments)
    home = Home(options.home.absolute()) if options.home else Home.from_environment()
    last = _recorded(home)
    if last is not None and _runs(last):
        raise EngineUnavailableError(
            f"process {last.pid} is the Kafka broker of {home.root} already, at {last.bootstrap_servers}"
        )
    if options.port and listens(options.port):
        raise EngineUnavailableError(f"port {options.port} is taken; stop what listens there or give --port=0")
    # Clients go on asking where the broker was
    again = last is not None and not listens(last.port)
    port = options.port or (last.port if last is not None and again else free_port())
    broker = KafkaBroker(pid=os.getpid(), port=port, controller_port=free_port())
    configuration = _configure(home, broker)
    _format(home, configuration)
    command = [*_java(), "kafka.Kafka", str(configuration)]
    write_whole(_address(home), broker.model_dump_json(indent=1))
    os.execv(command[0], command)  # noqa: S606 - no shell; the process id stays what the supervisor knows


def _configure(home: Home, broker: KafkaBroker) -> Path:
    text = (kafka_broker_folder() / "server.properties").read_text(encoding="utf-8")
    for name, value in (("folder", home.kafka), ("port", broker.port), ("controller_port", broker.controller_port)):
        text = text.replace(f"{{{name}}}", str(value))
    configuration = home.kafka / "server.properties"
    write_whole(configuration, text)
    return configuration


def _format(home: Home, configuration: Path) -> None:
    """Give the storage its identity, once; Kafka writes ``meta.properties`` as the last of it."""
    data = home.kafka / "data"
    if (data / "meta.properties").is_file():
        return
    shutil.rmtree(data, ignore_errors=True)
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # With an equals sign: an id may begin with a dash
    arguments = ["format", f"--cluster-id={cluster}", "--config", str(configuration)]
    done = subprocess.run(
        [*_java(), "kafka.tools.StorageTool", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise EngineUnavailableError(f"{data} could not be made ready for Kafka: {done.stderr or done.stdout}")


def _java() -> list[str]:
    return [
        java_program(),
        f"-Xmx{HEAP}",
        "-XX:+UseSerialGC",  # a small heap and few cores: fewer threads, less memory
        "-XX:TieredStopAtLevel=1",  # on a busy machine it is up in half the time
        "-XX:+ExitOnOutOfMemoryError",  # a supervisor can start a dead broker again, not a hung one
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        "-cp",
        str(kafka_broker_folder() / "lib" / "*"),
    ]


def _runs(broker: KafkaBroker) -> bool:
    """Return whether the process of a record lives and listens; one that is only paused does, and answers nothing."""
    try:
        os.kill(broker.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return listens(broker.port)


def _address(home: Home) -> Path:
    return home.kafka / "broker.json"


def _recorded(home: Home) -> KafkaBroker | None:
    try:
        return KafkaBroker.model_validate_json(_address(home).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


if __name__ == "__main__":
    main()
