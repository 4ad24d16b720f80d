"""What the environment says to this service; nothing else reads it."""

from datetime import timedelta
from decimal import Decimal

from pydantic import Field, SecretStr

from servicekit.settings import ServiceSettings


class ClassifierSettings(ServiceSettings):
    """Settings of the classifier."""

    database_url: str | None = Field(default=None, validation_alias="DATABASE_URL")
    """None: a SQLite file in the data directory."""
    feedback_enabled: bool = Field(default=True, validation_alias="USER_FEEDBACK_ENABLED")
    feedback_an_hour: int = Field(default=50, ge=1, validation_alias="USER_FEEDBACK_RATE_LIMIT")
    """What one user may write in an hour, changes and withdrawals included (D05)."""
    viability_enabled: bool = Field(default=True, validation_alias="VIABILITY_ASSESSMENT_ENABLED")
    own_terms_held: int = Field(default=256, ge=1, validation_alias="CLASSIFIER_OWN_TERMS_HELD")
    """Lenses with own terms whose automata are kept."""
    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    """None or empty: nothing is arbitrated, and nothing waits for it."""
    openai_base_url: str | None = Field(default=None, validation_alias="OPENAI_BASE_URL")
    openai_model: str = Field(default="gpt-4.1-nano", validation_alias="OPENAI_MODEL")
    llm_at_once: int = Field(default=8, ge=1, validation_alias="CLASSIFIER_LLM_AT_ONCE")
    llm_timeout_s: float = Field(default=8, gt=0, validation_alias="CLASSIFIER_LLM_TIMEOUT_S")
    llm_opinions_held: int = Field(default=10_000, ge=1, validation_alias="CLASSIFIER_LLM_OPINIONS_HELD")
    llm_daily_usd: Decimal = Field(default=Decimal("0.10"), ge=0, validation_alias="CLASSIFIER_LLM_DAILY_USD")
    """Over all processes; each counts for itself while SQL is away."""
    llm_usd_per_million_asked: Decimal = Field(
        default=Decimal("0.10"), ge=0, validation_alias="CLASSIFIER_LLM_USD_PER_MILLION_ASKED"
    )
    llm_usd_per_million_answered: Decimal = Field(
        default=Decimal("0.40"), ge=0, validation_alias="CLASSIFIER_LLM_USD_PER_MILLION_ANSWERED"
    )

    @property
    def llm_key(self) -> str | None:
        """The key, if there is one."""
        return (self.openai_api_key.get_secret_value() or None) if self.openai_api_key else None

    @property
    def llm_timeout(self) -> timedelta:
        """One call."""
        return timedelta(seconds=self.llm_timeout_s)
