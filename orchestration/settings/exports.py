"""`config/exports.yml`."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from orchestration.settings.config import Config, TimeZone, Url, _named_elsewhere
from orchestration.settings.reports import Cron

STORES = ("s3", "gs", "az", "sftp")
Format = Literal["parquet", "csv", "jsonl", "xlsx"]


def _known_place(text: str) -> str:
    scheme, separator, _ = text.partition("://")
    if separator and scheme not in STORES:
        raise ValueError(
            f"exports go to a folder, or to {', '.join(f'{store}://' for store in STORES)}: not {scheme}://"
        )
    return text


def _without_secrets(options: dict[str, str]) -> dict[str, str]:
    for name, value in options.items():
        if re.search(r"secret|password|passphrase|token", name):
            _named_elsewhere(value)
    return options


Place = Annotated[Url, AfterValidator(_known_place)]
TableName = Annotated[str, Field(pattern=r"^((api|marts)\.)?[a-z_][a-z0-9_]*$")]


class Export(Config):
    """One export of `config/exports.yml`."""

    description: str = ""
    table: TableName = Field(description="a view of api, or a table of marts")
    format: Format = "parquet"
    where: list[str] = Field([], description="conditions such as metric=revenue or hour>=2026-03-01, all of them")
    incremental: bool = Field(False, description="only what changed since the last one; the first is whole")
    to: Place = Field(
        "exports", description="a folder, relative to TIDEMARK_HOME; s3://bucket/prefix, sftp://user@host/"
    )
    storage: Annotated[dict[str, str], AfterValidator(_without_secrets)] = Field(
        {}, description="for a URL: options of fsspec, or of asyncssh for sftp"
    )
    login: Annotated[str, Field(pattern="^[a-z_][a-z0-9_]*$")] | None = Field(
        None, description="the database login with whose rights it is read; none: all that is published"
    )
    cron: Cron | None = Field(None, description="when it is made; none: by hand")
    timezone: TimeZone | None = Field(None, description="the tenant's, unless given")
    webhook: str | None = Field(None, description="a channel of alerts.yml, of kind webhook, that is told of it")


class Exports(Config):
    """`config/exports.yml`."""

    exports: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")], Export] = {}
