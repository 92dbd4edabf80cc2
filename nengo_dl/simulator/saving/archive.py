"""Files of named arrays: written whole or not at all, read without running anything in them.

An archive is a zip file, as NumPy's ``.npz`` files are, so that ``numpy.load`` can look into it. It
holds one ``.npy`` file for each array, uncompressed, and ``manifest.json``: the format and its
version, the name, file, shape and type of each array, and what else belongs to them.  The comment
at the end of the zip file is the SHA-256 of everything before it.  Reading checks this first: a
file with a flipped bit, too few bytes or too many is found out as a whole.  No pickles are read,
nothing is unpacked to a folder, and nothing is allocated before its size in the file is known.

What the arrays of a simulator are called, such as the weights of a connection, is said in this
folder's ``__init__.py``, and made in `parts.py` and `lowering.names`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import re
import secrets
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from nengo.exceptions import SimulationError

FORMAT, VERSION = "nengo_dl parameters", 1
MANIFEST = "manifest.json"
MARK = b"sha256:"
DIGEST = hashlib.sha256().digest_size * 2  # as hexadecimal digits
# what a file is called while it is written: in which process, of which machine
UNFINISHED = re.compile(r"\..+\.(?P<machine>[0-9a-f]{8})-(?P<process>\d+)\.[0-9a-f]{8}\.tmp")
KINDS = "fiub"  # of NumPy's types: floating point, integers, booleans

# what zipfile, json and NumPy raise at data that are not what they should be
_BROKEN = (
    *(zipfile.BadZipFile, struct.error, ValueError, TypeError, LookupError, EOFError),
    *(ArithmeticError, AttributeError, RuntimeError, OSError),
)


@dataclass(frozen=True)
class Entry:
    """One array of an archive.

    Attributes
    ----------
    file : str
        Its name in the zip file.
    shape : tuple of int
    dtype : str
        NumPy's name of the type, with byte order.
    per_item : bool
        Whether the first axis is the minibatch.
    """

    file: str
    shape: tuple[int, ...]
    dtype: str
    per_item: bool = False

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Entry:
        """Check what the manifest says."""
        entry = cls(data["file"], tuple(data["shape"]), data["dtype"], data["per_item"])
        if not all(type(n) is int and n >= 0 for n in entry.shape):
            raise ValueError(f"{entry.shape} is not a shape")
        named = isinstance(entry.file, str) and type(entry.per_item) is bool
        if not named or (entry.per_item and not entry.shape):
            raise ValueError(f"{data} does not describe an array")
        if np.dtype(entry.dtype).kind not in KINDS or np.dtype(entry.dtype).str != entry.dtype:
            raise ValueError(f"{entry.dtype} is not a type of numbers")
        return entry

    @property
    def size(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


class Archive:
    """An open archive; see `open_archive`.

    Attributes
    ----------
    entries : dict of str to Entry
        By name of the array.
    info : dict
        What was written beside the arrays.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        _check_digest(file, path)
        with self._finding_damage():
            self._size = file.seek(0, os.SEEK_END)
            self._zip = zipfile.ZipFile(file)
            members = self._zip.infolist()
            self._members = {member.filename: member for member in members}
            if len(self._members) < len(members):
                raise ValueError("it has two files of the same name")
            manifest = json.loads(self._content(MANIFEST))
            if manifest["format"] != FORMAT:
                raise ValueError(f"its format is {manifest['format']!r}")
            self.version = manifest["version"]
            if self.version == VERSION:
                self.info = dict(manifest["info"])
                arrays = manifest["arrays"].items()
                self.entries = {str(name): Entry.of(data) for name, data in arrays}
        if self.version != VERSION:
            raise SimulationError(
                f"{path} has version {self.version!r} of the format; this version of nengo_dl "
                f"reads version {VERSION}"
            )

    def read(self, name: str) -> np.ndarray:
        """The array of a name."""
        entry = self.entries[name]
        with self._finding_damage():
            with self._open(entry.file) as file:
                if np.lib.format.read_magic(file) != (1, 0):
                    raise ValueError(f"{entry.file} has an unknown version")
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
                if (shape, fortran, dtype.str) != (entry.shape, False, entry.dtype):
                    raise ValueError(f"{entry.file} is not as the manifest says")
                if file.tell() + entry.size != self._members[entry.file].file_size:
                    raise ValueError(f"{entry.file} has another size than its shape")
                data = file.read()
            return np.frombuffer(data, entry.dtype).reshape(entry.shape).copy()

    def _content(self, file: str) -> bytes:
        with self._open(file) as opened:
            return opened.read()

    def _open(self, file: str) -> IO[bytes]:
        member = self._members[file]
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError(f"{file} is compressed")
        if member.file_size > self._size:
            raise ValueError(f"{file} is larger than what it is in")
        return self._zip.open(member)

    @contextlib.contextmanager
    def _finding_damage(self) -> Iterator[None]:
        try:
            yield
        except _BROKEN as error:
            raise SimulationError(
                f"{self.path} is damaged, or not a file of parameters: {error}"
            ) from error


@contextlib.contextmanager
def open_archive(path: str | os.PathLike) -> Iterator[Archive]:
    """Open an archive to read it.

    Parameters
    ----------
    path : path-like

    Yields
    ------
    Archive

    Raises
    ------
    OSError
        If the file cannot be read.
    SimulationError
        If it is damaged, not an archive, or of another version.
    """
    with open(path, "rb") as file:
        yield Archive(Path(path), file)


def write_archive(
    path: str | os.PathLike,
    arrays: Mapping[str, np.ndarray],
    files: Mapping[str, str],
    per_item: Mapping[str, bool],
    info: Mapping[str, Any],
) -> None:
    """Write an archive; what was there before is replaced once everything is on the disk.

    Parameters
    ----------
    path : path-like
    arrays : dict of str to array
    files : dict of str to str
        The name of each array's file in the archive, without ``.npy``.
    per_item : dict of str to bool
        Whether the first axis of each array is the minibatch.
    info : dict
        What else belongs to the arrays, for JSON.

    Raises
    ------
    OSError
        If the file cannot be written; then nothing has changed.

    Notes
    -----
    A process that is killed while it writes leaves a hidden file, ``.NAME.MACHINE-PROCESS.*.tmp``,
    which the next call for the same folder removes.
    """
    path = Path(os.path.realpath(path))
    _remove_left_overs(path.parent)
    part = path.with_name(f".{path.name}.{_here()}-{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with open(part, "x+b") as file:
            _write_zip(file, arrays, files, per_item, info)
            _write_digest(file)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            part.chmod(path.stat().st_mode & 0o777)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _remove_left_overs(folder: Path) -> None:
    """Remove unfinished files in a folder of processes of this machine that were killed."""
    with contextlib.suppress(OSError):
        for file in list(folder.iterdir()):
            found = UNFINISHED.fullmatch(file.name)
            if found and found["machine"] == _here() and _is_dead(int(found["process"])):
                file.unlink(missing_ok=True)


def _here() -> str:
    """A short name of this machine: others may write to the same folder."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _is_dead(process: int) -> bool:
    """Whether no process has that number, as far as can be found out."""
    if os.name != "posix":
        return False  # to ask would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False  # it is another user's; or the number is none
    return False


def _write_zip(
    file: IO[bytes],
    arrays: Mapping[str, np.ndarray],
    files: Mapping[str, str],
    per_item: Mapping[str, bool],
    info: Mapping[str, Any],
) -> None:
    entries = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            array = np.asarray(array, order="C")
            array = array.astype(array.dtype.newbyteorder("<"), copy=False)
            member = zipfile.ZipInfo(f"{files[name]}.npy")  # of a fixed date: same data, same file
            with archive.open(member, "w", force_zip64=array.nbytes > 2**30) as opened:
                np.lib.format.write_array(opened, array, version=(1, 0), allow_pickle=False)
            entry = Entry(member.filename, array.shape, array.dtype.str, per_item[name])
            entries[name] = asdict(entry)
        manifest = {"format": FORMAT, "version": VERSION, "info": dict(info), "arrays": entries}
        archive.writestr(zipfile.ZipInfo(MANIFEST), json.dumps(manifest, indent=1))
        archive.comment = MARK + b"0" * DIGEST


def _write_digest(file: IO[bytes]) -> None:
    """Put the digest where there are zeros now."""
    file.flush()
    digest = _digest(file)
    file.seek(-DIGEST, os.SEEK_END)
    file.write(digest)


def _digest(file: IO[bytes]) -> bytes:
    """The digest of everything before the digest."""
    left = file.seek(0, os.SEEK_END) - DIGEST
    file.seek(0)
    found = hashlib.sha256()
    while left > 0 and (data := file.read(min(left, 2**20))):
        found.update(data)
        left -= len(data)
    return found.hexdigest().encode()


def _check_digest(file: IO[bytes], path: Path) -> None:
    end = len(MARK) + DIGEST
    if file.seek(0, os.SEEK_END) >= end:
        file.seek(-end, os.SEEK_END)
        tail = file.read()
        if tail.startswith(MARK):
            if tail.removeprefix(MARK) != _digest(file):
                raise SimulationError(f"{path} is damaged: its content does not have its checksum")
            return
    if _is_of_the_original(file):
        raise SimulationError(
            f"{path} was written by NengoDL 3. What its arrays belong to depends on how that "
            f"version grouped operators; it cannot be loaded"
        )
    raise SimulationError(f"{path} is damaged, or not a file of parameters: it has no checksum")


def _is_of_the_original(file: IO[bytes]) -> bool:
    try:
        return "arr_0.npy" in zipfile.ZipFile(file).namelist()
    except _BROKEN:
        return False


def _sync_folder(folder: Path) -> None:
    """Let the folder remember the new name of a file, also if the power fails now."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
