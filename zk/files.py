"""Where compiled circuits and keys are kept, and how they get there whole: a lock per target, a rename as the last step."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
"""The directory of this package; its circuits and Node tree lie below."""

NODE_MODULES = PACKAGE / "node_modules"


def default_cache() -> Path:
    """`.cache/zk` beside the package: compiled circuits and keys, safe to delete where no contract uses the keys."""
    return PACKAGE.parent / ".cache" / "zk"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock file `path` alone among all processes; the system releases it when a process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def new_directory(target: Path) -> Iterator[Path]:
    """A scratch directory that becomes `target` if the block ends well, and is removed if it does not.

    The caller holds the target's lock, so that scratch left by a killed process can be swept away first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(left)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield scratch
        sync_folder(scratch)
        scratch.rename(target)
        sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def sync_folder(path: Path) -> None:
    """Does not return before a power cut would leave the folder's entries as they are now, renames among them."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """An empty scratch file that becomes `path` if the block ends well, and is removed if it does not; the caller holds a lock,
    as above."""
    for left in path.parent.glob(f".{path.name}-*"):
        left.unlink()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(descriptor)
    try:
        yield Path(name)
        with open(name, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that it is there with all its content or not at all. The caller holds a lock, as above."""
    with new_file(path) as scratch:
        scratch.write_bytes(content)


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
