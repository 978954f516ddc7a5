"""Bundles named by a URL: downloaded once per machine, checked at every use, bounded, and never half there."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelfleet.bundles.loaded import LoadedBundle
from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.storage import RemoteStorage
from modelfleet.errors import BundleError
from modelfleet.releases.manifest import BundleRef
from modelfleet.serving.answer import Answer
from modelfleet.serving.cache import BundleCache
from modelfleet.serving.status import fleet_status

PLENTY = 10**9
SHARDS = {i: {f"e{i}": 10.0 * i} for i in range(4)}

OPENS = """
import os, sys, time
from pathlib import Path
from modelfleet.bundles import storage
from modelfleet.bundles.reader import Bundle
from modelfleet.serving.cache import BundleCache

cache, url, sha256, log, mode = sys.argv[1:]
real = storage.RemoteStorage._bytes

def noted(self, path):
    with open(log, "a") as stream:
        stream.write(f"{os.getpid()} {path}\\n")
    if mode == "stuck" and "shards/00002" in path:
        print("downloading", flush=True)
        time.sleep(600)
    time.sleep(0.05)
    return real(self, path)

storage.RemoteStorage._bytes = noted
bundle = Bundle.open(BundleCache(Path(cache), 10**9).storage(url, sha256), sha256=sha256)
print(len(bundle.manifest.files), flush=True)
if mode == "hold":
    sys.stdin.read()
"""


def url_of(bundle: Bundle) -> str:
    return f"file://{bundle.path}"


def start(folder: Path, bundle: Bundle, mode: str = "open") -> subprocess.Popen[str]:
    arguments = [str(folder / "cache"), url_of(bundle), bundle.sha256, str(folder / "log"), mode]
    return subprocess.Popen(
        [sys.executable, "-c", OPENS, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def cached(folder: Path, bundle: Bundle, limit: int = PLENTY) -> Bundle:
    return Bundle.open(BundleCache(folder, limit).storage(url_of(bundle), bundle.sha256), sha256=bundle.sha256)


def size(bundle: Bundle) -> int:
    return sum(part.bytes for part in (bundle.manifest.index, *bundle.manifest.files))


def kept(folder: Path) -> set[str]:
    return {path.name for path in (folder / "files").iterdir()}


def hashes(bundle: Bundle) -> set[str]:
    return {part.sha256 for part in (bundle.manifest.index, *bundle.manifest.files)}


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []
    real = RemoteStorage._bytes
    monkeypatch.setattr(RemoteStorage, "_bytes", lambda self, path: asked.append(path) or real(self, path))
    return asked


def test_many_processes_download_each_file_once(shop: Any, tmp_path: Path) -> None:
    bundle = shop.bundle(shards=SHARDS)
    processes = [start(tmp_path, bundle) for _ in range(4)]
    assert [process.communicate(timeout=120)[0] for process in processes] == ["5\n"] * 4
    read = [line.split()[1] for line in (tmp_path / "log").read_text().splitlines()]
    assert sorted(read) == sorted(["bundle.json", "index.parquet", *bundle.files])
    assert kept(tmp_path / "cache") == hashes(bundle)


def test_a_process_killed_while_it_downloads_leaves_nothing_in_the_way(shop: Any, tmp_path: Path) -> None:
    bundle = shop.bundle(shards=SHARDS)
    killed = start(tmp_path, bundle, "stuck")
    assert killed.stdout is not None
    assert killed.stdout.readline() == "downloading\n"
    waiting = start(tmp_path, bundle)
    shop.until(lambda: str(waiting.pid) in (tmp_path / "log").read_text() or waiting.poll() is None)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    assert waiting.communicate(timeout=120)[0] == "5\n"
    assert kept(tmp_path / "cache") == hashes(bundle)
    assert cached(tmp_path / "cache", bundle).entities == bundle.entities


def test_what_two_bundles_have_in_common_is_downloaded_once(shop: Any, tmp_path: Path, downloads: list[str]) -> None:
    first = shop.bundle(shards=SHARDS)
    second = shop.bundle(shards=SHARDS | {3: {"e3": 31.0}})
    cached(tmp_path / "c", first)
    downloads.clear()
    opened = cached(tmp_path / "c", second)
    assert [path for path in downloads if path.startswith(("shards", "pooled"))] == [
        file.path for file in second.manifest.files if file.shard == 3
    ]
    assert opened.index.num_rows == 4
    downloads.clear()
    cached(tmp_path / "c", second)
    assert downloads == []


def test_the_bundle_used_last_stays_and_one_in_use_always(shop: Any, tmp_path: Path) -> None:
    bundles = [shop.bundle(shards=SHARDS, add=float(i)) for i in range(3)]
    limit = 2 * max(size(bundle) for bundle in bundles) + 100
    folder = tmp_path / "cache"
    cached(folder, bundles[0])
    for path in (folder / "files").iterdir():
        os.utime(path, ns=(1, 1))
    cached(folder, bundles[1], limit)
    gc.collect()
    cached(folder, bundles[2], limit)
    assert hashes(bundles[1]) | hashes(bundles[2]) <= kept(folder)
    assert not hashes(bundles[0]) <= kept(folder)
    assert sum(path.stat().st_size for path in (folder / "files").iterdir()) <= limit

    user = start(tmp_path, bundles[1], "hold")
    assert user.stdout is not None
    assert user.stdout.readline() == "5\n"
    tight = size(bundles[1]) + 10
    opened = cached(folder, bundles[2], tight)
    assert opened.entities == bundles[2].entities  # used, though not all of it is kept
    assert hashes(bundles[1]) <= kept(folder)
    user.communicate(timeout=60)
    del opened
    gc.collect()
    cached(folder, bundles[0], tight)
    assert not hashes(bundles[1]) <= kept(folder)


def test_a_damaged_file_is_removed_and_downloaded_once_more(
    shop: Any, tmp_path: Path, downloads: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    bundle = shop.bundle(shards=SHARDS)
    cached(tmp_path / "c", bundle)
    damaged = bundle.manifest.files[1]
    path = tmp_path / "c" / "files" / damaged.sha256
    for content in (b"x" * damaged.bytes, b"short"):
        path.write_bytes(content)
        downloads.clear()
        cached(tmp_path / "c", bundle)
        assert downloads == [damaged.path]
        assert path.stat().st_size == damaged.bytes
    (tmp_path / "c" / "manifests" / f"{bundle.sha256}.json").write_text("{}")
    cached(tmp_path / "c", bundle)
    assert "removed from the cache and downloaded again" in caplog.text


def test_a_download_that_is_wrong_twice_refuses_the_bundle(shop: Any, tmp_path: Path, downloads: list[str]) -> None:
    bundle = shop.bundle(shards=SHARDS)
    file = bundle.manifest.files[1]
    (bundle.path / file.path).write_bytes(b"x" * file.bytes)
    with pytest.raises(BundleError, match=r"file://.*: sha256 is .* expected .*: altered"):
        cached(tmp_path / "c", bundle)
    assert downloads.count(file.path) == 2
    assert file.sha256 not in kept(tmp_path / "c")
    (bundle.path / file.path).unlink()
    downloads.clear()
    with pytest.raises(BundleError, match="cannot be read") as caught:
        cached(tmp_path / "c", bundle)
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert downloads.count(file.path) == 1


def test_a_manifest_of_another_bundle_is_refused_and_not_kept(shop: Any, tmp_path: Path) -> None:
    one, two = shop.bundle(), shop.bundle(add=1.0)
    with pytest.raises(BundleError, match=r"sha256 is .* the bundle was altered"):
        Bundle.open(BundleCache(tmp_path / "c", PLENTY).storage(url_of(one), two.sha256), sha256=two.sha256)
    assert not (tmp_path / "c" / "manifests").exists()


def test_a_full_disk_keeps_no_release_from_serving(shop: Any, tmp_path: Path) -> None:
    """The limit of a process on the size of its files fails each write half way, as a full disk does."""
    bundle = shop.bundle(shards={0: {f"entity-{i}": float(i) for i in range(5000)}})
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from modelfleet.bundles.reader import Bundle\n"
        "from modelfleet.serving.cache import BundleCache\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))\n"
        "bundle = Bundle.open(BundleCache(Path(sys.argv[1]), 10**9).storage(*sys.argv[2:]))\n"
        "print(len(bundle.entities))\n"
    )
    arguments = [str(tmp_path / "c"), url_of(bundle), bundle.sha256]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "5000\n"
    assert "cannot be kept in the cache" in done.stderr
    assert max(part.bytes for part in bundle.manifest.files) > 8000
    sizes = {part.bytes for part in bundle.manifest.files}
    assert all(path.stat().st_size in sizes for path in (tmp_path / "c/files").iterdir())


def test_the_resident_fleet_serves_from_the_cache(shop: Any, resident: Callable[..., Any], tmp_path: Path) -> None:
    bundle = shop.bundle(shards=SHARDS)
    url = url_of(bundle)
    shop.ledger.publish(fleet="sales", bundle=BundleRef(uri=url, sha256=bundle.sha256), reason="promote")
    fleet = resident(cache=BundleCache(tmp_path / "c", PLENTY), poll_seconds=0.01)
    (answer,) = fleet.predict([shop.request(store="e2")])
    assert isinstance(answer, Answer)
    assert answer.prediction == 21.0
    assert shop.leases.live()[0].holding == (url,)
    assert fleet_status(shop.home, "sales").problems == ()

    second = shop.bundle(shards=SHARDS, add=1.0)
    broken = second.manifest.files[0]
    (second.path / broken.path).write_bytes(b"x")
    shop.ledger.publish(fleet="sales", bundle=BundleRef(uri=url_of(second), sha256=second.sha256), reason="promote")
    shop.until(lambda: bool(fleet.refused))
    assert "1 bytes, expected" in fleet.refused[0].reason
    assert fleet.generation == 1


def test_blocks_come_from_the_cache_and_a_damaged_file_there_is_downloaded_again(
    shop: Any, tmp_path: Path, downloads: list[str]
) -> None:
    made = shop.bundle(shards=SHARDS)
    bundle = cached(tmp_path, made)
    models = LoadedBundle(bundle, lazy=True)
    models.by_block()
    before = list(downloads)
    models.load(range(len(models.parts)))
    assert downloads == before
    again = LoadedBundle(bundle, lazy=True)
    again.by_block()
    file = again.parts[0].file
    (tmp_path / "files" / file.sha256).write_bytes(b"x" * file.bytes)
    again.load([0])
    assert downloads == [*before, file.path]
    (tmp_path / "files" / file.sha256).unlink()
    third = LoadedBundle(bundle, lazy=True)
    third.by_block()
    third.load([0])
    assert downloads == [*before, file.path, file.path]


def test_blocks_are_read_without_a_cache_too(shop: Any) -> None:
    made = shop.bundle(shards=SHARDS)
    models = LoadedBundle(Bundle.open(url_of(made), sha256=made.sha256, verify=False), lazy=True)
    models.by_block()
    models.load(range(len(models.parts)))
    assert {part.block for part in models.parts} == {0}
    assert models.memory.use.misses == len(made.manifest.files)


def test_a_url_of_an_unknown_scheme_says_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"nowhere://x/bundle\.json: cannot be read"):
        Bundle.open("nowhere://x")
