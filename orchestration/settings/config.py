"""What all configuration files have in common: how they are read, and the texts in them that need a check."""

import os
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import available_timezones

import yaml
from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from orchestration.errors import TidemarkError
from orchestration.settings.environment import ROOT, settings

Model = TypeVar("Model", bound=BaseModel)
_LOADER = yaml.CSafeLoader  # ten times as fast as the one in Python
_zones = cache(available_timezones)  # it looks through a folder of hundreds of files


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError(f"{name!r} is not a time zone of the IANA database, such as Europe/Berlin or UTC")
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


class Config(BaseModel):
    """A part of a configuration file: unknown keys are mistakes, and are said."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _named_elsewhere(text: str) -> str:
    if not _REFERENCE.search(text):
        raise ValueError("a secret does not stand in this file: write ${NAME}, and set NAME in the environment or .env")
    return text


def _without_password(text: str) -> str:
    if re.search(r"://[^/@]*:[^/@]+@", _REFERENCE.sub("", text)):
        raise ValueError("a password does not stand in this file: write ${NAME}, and set NAME in the environment")
    return text


# Texts in which ${NAME} stands for a variable of the environment, until `filled` puts in what it holds.
Secret = Annotated[str, AfterValidator(_named_elsewhere)]
Url = Annotated[str, AfterValidator(_without_password)]

Address = Annotated[str, Field(pattern=r"^[^@\s,;<>]+@[^@\s,;<>]+$", description="such as ops@example.com")]


def place(name: str, *location: int | str) -> str:
    """Where a value stands in a configuration file, as path:line, for an error that only the warehouse can tell."""
    path = settings().config / name
    tree = yaml.compose(path.read_text(encoding="utf-8"), Loader=_LOADER)
    return f"{path}:{_line_of(tree, location)}"


def filled(text: str, name: str = "sources.yml") -> str:
    """A text of a configuration file with what the environment, or else .env, holds in place of each ${NAME}.

    Raises TidemarkError with file and line for a variable that is not set.
    """
    known = dotenv_values(ROOT / ".env") | os.environ

    def value(reference: re.Match) -> str:
        if found := known.get(reference[1]):
            return found
        path = settings().config / name
        lines = path.read_text(encoding="utf-8").splitlines()
        line = next((number for number, line in enumerate(lines, 1) if reference[0] in line), 1)
        raise TidemarkError(
            f"{path}:{line} needs {reference[1]}, which is not set: set it in the environment or in .env."
        )

    return _REFERENCE.sub(value, text)


def checked(model: type[Model], **given: object) -> Model:
    """A part of a configuration that somebody typed elsewhere. Raises TidemarkError."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise TidemarkError(f"{where}: {first['msg'].removeprefix('Value error, ')}.") from error


def load(name: str, model: type[Model], folder: Path | None = None) -> Model:
    """Read and check one configuration file. Raises TidemarkError with file and line."""
    path = (folder or settings().config) / name
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TidemarkError(
            f"{path} does not exist: copy it from the repository, or point TIDEMARK_CONFIG at its folder."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise TidemarkError(f"{path} cannot be read: {error}.") from error
    return _parsed(path, text, model)


@lru_cache(maxsize=64)  # each file of a load asks for the contract
def _parsed(path: Path, text: str, model: type[Model]) -> Model:
    try:
        return model.model_validate(yaml.load(text, Loader=_LOADER) or {})
    except yaml.MarkedYAMLError as error:
        line = min(error.problem_mark.line + 1, len(text.splitlines())) if error.problem_mark else 1  # not past its end
        raise TidemarkError(f"{path}:{line} is not valid YAML: {error.problem}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        location = (*first["loc"], *first.get("ctx", {}).get("path", ()))
        where = ".".join(str(part) for part in location)
        message = first["msg"].removeprefix("Value error, ")
        line = _line_of(yaml.compose(text, Loader=_LOADER), location)
        raise TidemarkError(f"{path}:{line} {where}: {message}.") from error
    except (yaml.YAMLError, ValueError) as error:  # a character or a date that YAML does not know
        raise TidemarkError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error


def _line_of(node: Any, location: tuple[int | str, ...]) -> int:
    """The line of the deepest node that a validation error's location leads to."""
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                continue  # a key that is missing, or the kind that pydantic names in a choice of models
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
