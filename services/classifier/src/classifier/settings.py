"""What the environment says to this service; nothing else reads it."""

from pydantic import Field

from servicekit.settings import ServiceSettings


class ClassifierSettings(ServiceSettings):
    """Settings of the classifier."""

    viability_enabled: bool = Field(default=True, validation_alias="VIABILITY_ASSESSMENT_ENABLED")
    own_terms_held: int = Field(default=256, ge=1, validation_alias="CLASSIFIER_OWN_TERMS_HELD")
    """Lenses with own terms whose automata are kept."""
