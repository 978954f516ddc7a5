"""Where the workers of a job find and leave its files: in the folder itself, or in a copy of it below a bucket.

Workers that share a file system with whoever submits a job work in the folder. Others, such as Dataflow's, each have a
folder of their own: what they need is copied into it from below the bucket, and what they have made is copied back.
Whoever writes a file below the bucket says afterwards what it is, and whoever reads it checks that; a file of which
nothing is said, since its writer died, is not there.
"""

from __future__ import annotations

import hashlib
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelfleet.errors import StepError
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Url
from modelfleet.stores.sums import Said, Sums, fits
from modelfleet.whole_file import write_whole

if TYPE_CHECKING:
    from modelfleet.data.files import DataFile

AT_ONCE = 8
"""So many files are on their way at a time."""

INPUTS = "inputs"
"""Below the url, what lies outside of the folder: data files, by a hash of their paths."""


@dataclass(frozen=True)
class Workplace:
    """The folder of a job's files, as everybody sees it who works on them.

    Patterns are those of ``fnmatch`` for a file's name, behind the name of the folder that it lies in, if any.

    Attributes:
        folder: On the machine that submits the job.
        url: Where its copy lies; None where every worker sees the folder.
        job: Tells this job from any other that had the same url: a worker's folder is used for one job only.
    """

    folder: str
    url: Url | None = None
    job: str = ""

    @classmethod
    def at(cls, folder: Path, url: Url | None = None) -> Workplace:
        """Return the workplace of a new job.

        Args:
            folder: On this machine.
            url: Where workers find its copy; None where they see the folder.
        """
        return cls(str(folder), url, uuid.uuid4().hex if url is not None else "")

    def send(self, *patterns: str, inputs: Iterable[DataFile] = (), again: bool = True) -> None:
        """Copy files of the folder, and data files from anywhere, to where workers find them.

        Args:
            patterns: Which files of the folder.
            inputs: Data files.
            again: Whether those of the folder that are there already are sent as well.
        """
        if self.url is None:
            return
        folder = Path(self.folder)
        names = {str(path.relative_to(folder)) for pattern in patterns for path in folder.glob(pattern)}
        if not again:
            names -= set(self._there(*patterns)) & set(Sums(self.url).said(*patterns))
        sent = {name: folder / name for name in names if not _is_hidden(name)}
        sent |= {_input(file.path): Path(file.at) for file in inputs}
        sums = Sums(self.url)
        self._forget(sums.said(*map(escape, sent)))
        _for_each(sent, lambda name: sums.write(name, sent[name].read_bytes()))

    def has(self, name: str) -> bool:
        """Return whether a file is below the url."""
        return self.url is not None and bool(self._there(escape(name)))

    def clear(self, *patterns: str) -> None:
        """Remove files from below the url."""
        if self.url is None:
            return
        self._forget(Sums(self.url).said(*patterns))
        _for_each(self._there(*patterns), open_store(self.url).remove)

    def fetch(self, *patterns: str) -> None:
        """Copy what workers have left into the folder, pattern after pattern, each file whole or not at all.

        Raises:
            CopyError: A file is gone, or is not what its writer said.
        """
        if self.url is None:
            return
        sums = Sums(self.url)
        said = sums.said(*patterns)
        for pattern in patterns:
            fitting = [name for name in said if fits(name, pattern)]
            _for_each(fitting, lambda name: write_whole(Path(self.folder) / name, sums.read(name, said[name])))

    @contextmanager
    def opened(self, *patterns: str) -> Iterator[Path]:
        """Give the folder to a worker, with at least the files that the patterns name; what is made there is kept.

        Raises:
            StepError: A file whose name is given in full is not there.
            CopyError: One is not what its writer said, or is gone since.
        """
        if self.url is None:
            yield Path(self.folder)
            return
        here = self._here
        here.mkdir(parents=True, exist_ok=True)
        globs = [pattern for pattern in patterns if _is_glob(pattern)]
        self._pull(here, [name for name in patterns if name not in globs], globs)
        yield here
        self._push(here)

    def input(self, file: DataFile) -> DataFile:
        """Return a data file that was sent, as a worker reads it: what is told of it names the original."""
        if self.url is None:
            return file
        name = _input(file.path)
        self._pull(self._here, [name])
        return replace(file, copy=str(self._here / name))

    @property
    def _here(self) -> Path:
        """A worker's own folder; its path ends as the original's, since a run finds its home by that."""
        mark = hashlib.sha256(f"{self.url}\n{self.job}".encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir(), "modelfleet-work", mark, self.folder.lstrip("/"))

    def _pull(self, here: Path, names: Iterable[str], globs: Iterable[str] = ()) -> None:
        assert self.url is not None
        sums = Sums(self.url)
        said = self._said(name for name in names if not (here / name).exists()) | sums.said(*globs)

        def copy(name: str) -> None:
            write_whole(here / name, sums.read(name, said[name]))
            _note(here, name, _state(here / name))

        _for_each([name for name in said if not (here / name).exists()], copy)

    def _said(self, names: Iterable[str]) -> Said:
        """Return what is said of files, by listings that a worker keeps: most of a folder is written before a job."""
        assert self.url is not None
        found: Said = {}
        for name in names:
            listing = (str(self.url), self.job, name.rpartition("/")[0])
            if name not in _listings.get(listing, {}):
                _listings[listing] = Sums(self.url).folder(listing[-1])
            if name not in _listings[listing]:
                raise StepError(
                    f"{self.url}/{name}: is not there, or not whole, and this step needs it; run the steps before it "
                    "again, and let no rule of the bucket delete the files of a run that is under way"
                )
            found[name] = _listings[listing][name]
        return found

    def _push(self, here: Path) -> None:
        assert self.url is not None
        sums = Sums(self.url)
        files = [str(path.relative_to(here)) for path in here.rglob("*") if path.is_file()]

        def copy(name: str) -> None:
            with suppress(FileNotFoundError):  # another process that works here has removed it
                state = _state(here / name)
                if _is_noted(here, name, state):
                    return
                sums.write(name, (here / name).read_bytes())
                _note(here, name, state)

        _for_each([name for name in files if not _is_hidden(name)], copy)

    def _forget(self, said: Said) -> None:
        assert self.url is not None
        _for_each(Sums(self.url).forget(said), open_store(self.url).remove)

    def _there(self, *patterns: str) -> list[str]:
        """Return the names of the files below the url that a pattern fits."""
        assert self.url is not None
        found: dict[str, None] = {}
        for pattern in patterns:
            folder, _, name = pattern.rpartition("/")
            store = open_store(self.url / folder if folder else self.url)
            fitting = [each for each in store.names() if fnmatch(each, name)]
            found |= dict.fromkeys(f"{folder}/{each}" if folder else each for each in fitting)
        return list(found)


_listings: dict[tuple[str, str, str], Said] = {}
"""By url, job and folder, what was said of a folder's files when this process last looked."""


def _note(here: Path, name: str, state: str) -> None:
    write_whole(_note_file(here, name), state)


def _is_noted(here: Path, name: str, state: str) -> bool:
    try:
        return _note_file(here, name).read_text() == state
    except FileNotFoundError:
        return False


def _note_file(here: Path, name: str) -> Path:
    """Return where all processes that work in a folder keep in which state a file of it is below the url too."""
    return here.with_name(f".{here.name}.there") / f"{name}.there"


def _state(path: Path) -> str:
    found = path.stat()
    return f"{found.st_mtime_ns} {found.st_size}"


def _input(path: str) -> str:
    """Return what a data file is called below the url; how it ends says how it is read."""
    return f"{INPUTS}/{hashlib.sha256(path.encode()).hexdigest()[:16]}-{Path(path).name}"


def _is_glob(pattern: str) -> bool:
    return any(sign in pattern for sign in "*?[")


def _is_hidden(name: str) -> bool:
    """Return whether a file is a lock, or is being written."""
    return any(part.startswith(".") for part in Path(name).parts)


def _for_each(names: Iterable[str], work: Any) -> None:
    """Do something with every name, some at a time; the first that fails raises."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(work, names):
            pass
