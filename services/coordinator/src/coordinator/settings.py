"""The coordinator's settings; the only module here that reads the environment."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from coordinator.domain.plan import Budgets
from servicekit.chain import TimeoutChain
from servicekit.settings import ServiceSettings


class CoordinatorSettings(ServiceSettings):
    """What one search may spend; the timeout chain has its own settings (F03)."""

    model_config = SettingsConfigDict(env_prefix="COORDINATOR_", frozen=True, extra="ignore", populate_by_name=True)

    items_budget: int = 20
    arbitrations_budget: int = 20
    """Bids given to a language model per search; without a key none is, and nothing waits for it."""
    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")

    def budgets(self, chain: TimeoutChain) -> Budgets:
        """The levels of the chain that a plan is made with."""
        return Budgets(
            per_source=chain.per_source,
            consolidation=chain.consolidation,
            items=self.items_budget,
            arbitrations=self.arbitrations_budget if self._has_llm else 0,
        )

    @property
    def _has_llm(self) -> bool:
        return self.openai_api_key is not None and bool(self.openai_api_key.get_secret_value())
