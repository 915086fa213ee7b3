"""Where exported files go: a folder, object storage, or an SFTP server. A file appears there whole or not at all.

A folder and an SFTP server get it under a hidden name first, which is then renamed; in object storage, what was
uploaded appears when it is complete.
"""

import asyncio
import os
import posixpath
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from orchestration.errors import TidemarkError
from orchestration.settings import filled, settings

_BLOCK = 8 * 1024 * 1024


class Place(Protocol):
    def spool(self) -> Path:
        """The folder in which a file is written before it is put into its place."""

    def put(self, file: Path, name: str) -> None:
        """Move a file to its place. Raises TidemarkError when it cannot be put there."""

    def address_of(self, name: str) -> str:
        """Where a file of that name is put: a path, or a URL without user and password."""


def place(to: str, storage: dict[str, str]) -> Place:
    """A folder, relative to TIDEMARK_HOME, or a URL. Raises TidemarkError where the environment lacks a secret."""
    options = {name: filled(value, "exports.yml") for name, value in storage.items()}
    if "://" not in to:
        return Folder(settings().home.resolve() / to)
    address = filled(to, "exports.yml").rstrip("/")
    return Sftp(address, options) if address.startswith("sftp://") else Objects(address, options)


@contextmanager
def _told(where: str, *kinds: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kinds as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise TidemarkError(
            f"{where} does not take the export ({said}): check the address and what it asks for."
        ) from error


@dataclass(frozen=True)
class Folder:
    path: Path

    def spool(self) -> Path:
        with _told(str(self.path), OSError):
            self.path.mkdir(parents=True, exist_ok=True)
        return self.path

    def put(self, file: Path, name: str) -> None:
        with _told(str(self.path), OSError):
            with file.open("rb") as written:
                os.fsync(written.fileno())
            file.replace(self.path / name)

    def address_of(self, name: str) -> str:
        return str(self.path / name)


@dataclass(frozen=True)
class _Remote:
    address: str
    options: dict[str, str]

    def spool(self) -> Path:
        return settings().directory("exports")

    def put(self, file: Path, name: str) -> None:
        self.upload(file, name)
        file.unlink()

    def address_of(self, name: str) -> str:
        parts = urlsplit(f"{self.address}/{name}")
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


class Objects(_Remote):
    """An object storage that fsspec knows."""

    def upload(self, file: Path, name: str) -> None:
        import fsspec
        from botocore.exceptions import BotoCoreError

        with _told(self.address, OSError, ImportError, ValueError, BotoCoreError):
            system, root = fsspec.url_to_fs(self.address, **self.options)
            upload = system.open(f"{root}/{name}", "wb", block_size=_BLOCK, autocommit=False)
            try:
                with file.open("rb") as written:
                    shutil.copyfileobj(written, upload, _BLOCK)
                upload.close()
                upload.commit()
            except BaseException:
                upload.discard()
                raise


class Sftp(_Remote):
    """A server whose key stands in `known_hosts`: nothing is sent to another one."""

    def upload(self, file: Path, name: str) -> None:
        import asyncssh

        with _told(urlsplit(self.address).hostname or self.address, OSError, ValueError, asyncssh.Error):
            asyncio.run(self._upload(file, name))

    async def _upload(self, file: Path, name: str) -> None:
        import asyncssh

        parts = urlsplit(self.address)
        options = {"username": unquote(parts.username)} if parts.username else {}
        folder = parts.path or "."
        part = posixpath.join(folder, f".{name}.part")
        async with (
            asyncssh.connect(parts.hostname, parts.port or 22, connect_timeout=30, **options, **self.options) as server,
            server.start_sftp_client() as sftp,
        ):
            await sftp.makedirs(folder, exist_ok=True)
            try:
                await sftp.put(str(file), part)
                await sftp.posix_rename(part, posixpath.join(folder, name))
            except BaseException:
                if await sftp.exists(part):
                    await sftp.remove(part)
                raise
