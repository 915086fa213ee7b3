"""`config/contract.yml`."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from orchestration.settings.config import Config


def _known_schema(schema: dict[str, Any]) -> dict[str, Any]:
    from jsonschema_rs import Draft202012Validator, ValidationError

    try:
        Draft202012Validator(schema, offline=True)
    except ValidationError as error:
        problem = " ".join(error.message.split())
        raise PydanticCustomError("schema", "{problem}", {"problem": problem, "path": error.instance_path}) from error
    return schema


JsonSchema = Annotated[dict[str, Any], AfterValidator(_known_schema)]
Handling = Literal["pseudonym", "mask", "drop"]


class Contract(Config):
    """`config/contract.yml`: what events may say, and which of it is personal."""

    personal: dict[Annotated[str, Field(pattern=r"^[^.\s]+(\.[^.\s]+)*$")], Handling] = Field(
        description="a name, wherever it stands, or the end of a path such as traits.name, and how it is stored"
    )
    types: dict[str, Any] = Field({}, description="parts of schemas, for the anchors of YAML to refer to")
    events: dict[str, JsonSchema] = Field(description="by event type, the JSON Schema (2020-12) of its properties")
