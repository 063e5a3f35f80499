"""Write-then-rename, hashes and canonical JSON. Nobody else opens a file for writing.

What is written appears whole or not at all: data goes to a neighbour of the final name, is flushed to
the disk, and is then renamed over it (POSIX `rename` is atomic within one file system).
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from edgebrain.errors import CannotWrite, EdgebrainError

# Numbers of this process's unfinished files: their names must not grow with the final one, which may be as long as
# the file system allows.
_unfinished = count()


def sha256_bytes(content: bytes) -> str:
    """SHA-256 of bytes, 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no NaN, a final newline. Equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def sha256_json(value: Any) -> str:
    """SHA-256 of the canonical JSON text of a value."""
    return sha256_bytes(_encoded(canonical_json(value)))


def read_json(path: Path, error: type[EdgebrainError], hint: str = "") -> Any:
    """Parse a JSON file.

    Args:
        path: The file.
        error: Raised, naming the file, where it cannot be read or is not JSON.
        hint: The way out that goes with it.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror or problem})", hint) from problem
    except ValueError as problem:
        raise error(f"{path}: is not JSON ({problem})", hint) from problem


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file, or leave what was there.

    Raises:
        CannotWrite: The disk is full, or permission is missing; names the file.
    """
    part = _beside(path, "part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as problem:
        raise _cannot_write(path, problem) from problem
    finally:
        # Where the folder itself could not be made there is nothing to remove, and that error is the one to report.
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 text file, or leave what was there."""
    write_bytes(path, _encoded(text))


def write_json(path: Path, value: Any) -> None:
    """Write a value as canonical JSON, or leave what was there."""
    write_text(path, canonical_json(value))


def append_line(path: Path, line: str) -> None:
    """Add a line (with its newline) to a UTF-8 text file and flush it to the disk, whole or not at all.

    A power cut may leave a part of it, which `cut_torn_line` removes.

    Raises:
        CannotWrite: The disk is full, or permission is missing; names the file.
    """
    try:
        with path.open("ab") as stream:
            end = stream.tell()
            try:
                stream.write(_encoded(line))
                stream.flush()
                os.fsync(stream.fileno())
            except OSError:
                os.truncate(path, end)
                raise
    except OSError as problem:
        raise _cannot_write(path, problem) from problem


def cut_torn_line(path: Path) -> None:
    """Remove what follows the last newline of a file: a line that was not written to its end.

    Raises:
        CannotWrite: The file cannot be read or written.
    """
    try:
        with path.open("rb+") as stream:
            content = stream.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                stream.truncate(whole)
                os.fsync(stream.fileno())
    except OSError as problem:
        raise _cannot_write(path, problem) from problem


def refuse_to_overwrite(path: Path, force: bool | None = None) -> None:
    """Never overwrite a person's file without `--force`.

    Args:
        path: What would be written.
        force: Whether it may be replaced; None where the command never replaces it and has no such option.

    Raises:
        CannotWrite: Something is there, and `force` is not True.
    """
    if path.exists() and not force:
        hint = "choose another name" if force is None else "choose another name, or pass --force to replace it"
        raise CannotWrite(f"{path}: already exists", hint)


@contextmanager
def whole_folder(path: Path, force: bool | None = None) -> Iterator[Path]:
    """A folder to fill, which takes its final name when the block ends well and vanishes when it does not.

    Yields:
        The folder under a temporary name next to its final one.

    Raises:
        CannotWrite: The folder exists and `force` is not given, the disk is full, or permission is missing.
    """
    refuse_to_overwrite(path, force)
    part, old = _beside(path, "part"), _beside(path, "old")
    try:
        part.mkdir(parents=True)
        yield part
        if path.exists():
            path.rename(old)
        part.rename(path)
    except OSError as problem:
        raise _cannot_write(path, problem) from problem
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if not path.exists() and old.exists():
            old.rename(path)
        shutil.rmtree(old, ignore_errors=True)


def claim_folder(wanted: Path) -> Path:
    """Make a folder, or where it exists, the first of NAME-2, NAME-3 ... that does not.

    Made, not looked for: two processes that start at once never get the same one.

    Raises:
        CannotWrite: No folder can be made there.
    """
    for choice in _numbered(wanted):
        try:
            choice.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as problem:
            raise _cannot_write(choice, problem) from problem
        return choice
    raise AssertionError("there is always a next number")


def claim_file(wanted: Path) -> Path:
    """Make an empty file, or where something has its name, one called NAME-2, NAME-3 ...

    The number follows the largest that is taken, so that the newest file has the largest.

    Raises:
        CannotWrite: No file can be made there.
    """
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise _cannot_write(wanted, problem) from problem
    while True:
        newest = newest_name(wanted)
        choice = wanted if newest is None else _with_number(wanted, _number_of(newest, wanted) + 1)
        try:
            choice.open("xb").close()
        except FileExistsError:
            continue  # another process was faster
        except OSError as problem:
            raise _cannot_write(choice, problem) from problem
        return choice


def newest_name(wanted: Path) -> Path | None:
    """What `claim_file` or `claim_folder` gave last for a name: the one with the largest number; None for none."""
    there = [path for path in wanted.parent.glob(f"{glob.escape(wanted.stem)}*") if _number_of(path, wanted)]
    return max(there, key=lambda path: _number_of(path, wanted), default=None)


def write_files(folder: Path, contents: Mapping[str, bytes], force: bool = False) -> None:
    """A new folder with these files in it, whole or not at all."""
    with whole_folder(folder, force) as part:
        for name, content in contents.items():
            write_bytes(part / name, content)


def _numbered(wanted: Path) -> Iterator[Path]:
    yield wanted
    yield from (_with_number(wanted, number) for number in count(2))


def _with_number(wanted: Path, number: int) -> Path:
    return wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")


def _number_of(path: Path, wanted: Path) -> int:
    """1 for the name itself, N for NAME-N; 0 for any other."""
    if path.name == wanted.name:
        return 1
    found = re.fullmatch(rf"{re.escape(wanted.stem)}-(\d+){re.escape(wanted.suffix)}", path.name)
    return int(found[1]) if found else 0


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(f".{os.getpid()}.{next(_unfinished)}.{kind}")


def _encoded(text: str) -> bytes:
    r"""UTF-8; a byte of a file's name that is no UTF-8 becomes an escape such as \udcff, which JSON reads back."""
    return text.encode(errors="backslashreplace")


def _cannot_write(path: Path, problem: OSError) -> CannotWrite:
    return CannotWrite(
        f"{path}: cannot be written ({problem.strerror or problem})",
        "free some space or choose a folder that you may write to",
    )
