"""`config/access.yml`."""

from datetime import date, datetime, time
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from orchestration.settings.config import Address, Config

Login = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_.@-]{0,62}$", description="a role of the database")]
Scope = Literal["self", "classes", "shops", "rooms", "systems"]
Role = Literal["reader", "analyst", "auditor", "reidentifier"]
System = Literal["engagement", "learning", "rooms", "shop", "marketplace", "system"]


class Reader(Config):
    """A person or a service that reads, in `config/access.yml`."""

    login: Login
    role: Role = "reader"
    scope: Literal["all"] | dict[Scope, Annotated[list[str], Field(min_length=1)]] = Field(
        {}, description="whose rows: all, or by user_id, class_id, seller_id, room_id and system"
    )
    until: date | None = Field(None, description="the last day on which it counts, in the tenant's zone")
    mail: list[Address] = Field([], description="where reports for this reader go")

    @model_validator(mode="after")
    def _fits_its_role(self) -> Self:
        if self.role == "analyst" and self.scope != "all":
            raise ValueError("an analyst sees all rows, with pseudonyms in place of people: write `scope: all`")
        if self.role in ("auditor", "reidentifier") and self.scope:
            raise ValueError(f"the role {self.role} reads no rows by scope: leave `scope` out")
        if self.role == "reader" and not self.scope:
            raise ValueError("a reader without a scope sees nothing: give one")
        unknown = set(self.scope.get("systems", [])) - set(System.__args__) if self.scope != "all" else set()
        if unknown:
            raise ValueError(f"{sorted(unknown)[0]!r} is not a system: there are {', '.join(System.__args__)}")
        return self

    def entries(self) -> list[tuple[str, str]]:
        """What the login sees, as (scope, item)."""
        if self.scope == "all":
            return [("all", "")]
        return [(scope, item) for scope, items in self.scope.items() for item in dict.fromkeys(items)]

    def ends_at(self, zone: ZoneInfo) -> datetime | None:
        """The end of the last day."""
        return self.until and datetime.combine(self.until, time.max, zone)


class Access(Config):
    """`config/access.yml`."""

    readers: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_-]*$")], Reader] = {}

    @model_validator(mode="after")
    def _one_entry_a_login(self) -> Self:
        logins = [reader.login for reader in self.readers.values()]
        for login in logins:
            if logins.count(login) > 1:
                raise ValueError(f"the login {login} stands there twice: give it one entry with all its scopes")
        return self
