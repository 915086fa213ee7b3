"""The environment: where the database, the state and the configuration are. Nothing here reads configuration."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    """The environment: where the database, the state and the configuration are."""

    model_config = SettingsConfigDict(env_prefix="TIDEMARK_", env_file=ROOT / ".env", extra="ignore")

    database_url: str | None = None
    home: Path = ROOT / ".tidemark"
    config: Path = ROOT / "config"
    smtp_url: str | None = None
    mail_from: str = "Tidemark <tidemark@localhost>"
    public_url: str = "http://127.0.0.1:3000"
    answers_url: str = "http://127.0.0.1:3001"
    secret_key: SecretStr | None = None

    @property
    def key(self) -> bytes:
        """The key of pseudonyms and signatures: `TIDEMARK_SECRET_KEY`, or one generated once into the home."""
        if self.secret_key:
            return self.secret_key.get_secret_value().encode()
        path = self.directory(".") / "secret.key"
        if not path.exists():
            fresh = path.with_suffix(f".{os.getpid()}")
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
            with suppress(FileExistsError):  # another process was first: its key is the key
                os.link(fresh, path)
            fresh.unlink()
        return path.read_bytes()

    def directory(self, name: str) -> Path:
        """A folder under the home, made when first asked for."""
        path = self.home.resolve() / name
        path.mkdir(parents=True, exist_ok=True)
        return path


def settings() -> Settings:
    """The settings of this process, read afresh so that tests and commands can change the environment."""
    return Settings()
