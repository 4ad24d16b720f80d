"""The chain of timeouts (F03): each level strictly shorter than the one above it, or safe defaults."""

from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum
from typing import Final, Self

from servicekit.logs import log
from servicekit.settings import ChainSettings


@dataclass(frozen=True, slots=True)
class TimeoutChain:
    """How long each level may take; always strictly decreasing."""

    gateway: timedelta = timedelta(seconds=480)
    """`closed` at the latest, after `requested`."""
    pipeline: timedelta = timedelta(seconds=360)
    """The search's deadline."""
    consolidation: timedelta = timedelta(seconds=300)
    """The last page is accepted."""
    per_source: timedelta = timedelta(seconds=180)
    per_uf: timedelta = timedelta(seconds=90)
    per_uf_degraded: timedelta = timedelta(seconds=120)
    per_modality: timedelta = timedelta(seconds=60)
    http: timedelta = timedelta(seconds=30)

    @classmethod
    def load(cls) -> Self:
        """From the environment; says in the log what is wrong with it, and never raises."""
        given = ChainSettings()
        chain, findings = cls.checked({each.name: getattr(given, each.name, None) for each in fields(cls)})
        for finding in findings:
            log.log(finding.severity.number, finding.text)
        return chain

    @classmethod
    def checked(cls, given: "dict[str, str | None]") -> "tuple[Self, tuple[Finding, ...]]":
        """The chain that these seconds make, repaired where they break it, and what there is to say about them."""
        findings: list[Finding] = []
        seconds = {name: value.total_seconds() for name, value in _DEFAULTS.items()}
        for name, text in given.items():
            if text is not None and text.strip():
                seconds[name] = _read(name, text, seconds[name], findings)
        _mend_modality(seconds, findings)
        _mend_order(seconds, findings)
        _warn_of_tight_margins(seconds, findings)
        return cls(**{name: timedelta(seconds=value) for name, value in seconds.items()}), tuple(findings)


class Severity(StrEnum):
    """How loudly a finding is logged."""

    CRITICAL = "critical"
    WARNING = "warning"

    @property
    def number(self) -> int:
        """As the logging module counts."""
        return 50 if self is Severity.CRITICAL else 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a chain."""

    severity: Severity
    text: str


_SAFE: Final = TimeoutChain()
_DEFAULTS: Final[dict[str, timedelta]] = {each.name: getattr(_SAFE, each.name) for each in fields(TimeoutChain)}
_TITLES: Final = {
    "gateway": "Gateway",
    "pipeline": "Pipeline",
    "consolidation": "Consolidation",
    "per_source": "PerSource",
    "per_uf_degraded": "PerUFDegraded",
    "per_uf": "PerUF",
    "per_modality": "PerModality",
    "http": "HTTP",
}
_ORDER: Final = (
    ("gateway", "pipeline"),
    ("pipeline", "consolidation"),
    ("consolidation", "per_source"),
    ("per_source", "per_uf"),
    ("per_source", "per_uf_degraded"),
    ("per_uf_degraded", "per_modality"),
    ("per_modality", "http"),
)
LONGEST: Final = 86_400.0
NEAR: Final = 0.8
RECOMMENDED: Final = 0.67
MARGIN: Final = 30.0
UFS_PER_SOURCE: Final = 2.0


def _read(name: str, text: str, default: float, findings: list[Finding]) -> float:
    try:
        value = round(float(text), 3)
    except (ValueError, OverflowError):
        value = 0.0
    if 0 < value <= LONGEST:
        return value
    findings.append(
        Finding(
            Severity.CRITICAL,
            f"TIMEOUT MISCONFIGURATION: {_TITLES[name]}({text[:40]!r}) is not a number of seconds. "
            f"Falling back to safe default: {_TITLES[name]}={default:g}s.",
        )
    )
    return default


def _mend_modality(seconds: dict[str, float], findings: list[Finding]) -> None:
    modality, uf = seconds["per_modality"], seconds["per_uf"]
    if modality >= uf:
        findings.append(
            Finding(
                Severity.CRITICAL,
                f"TIMEOUT MISCONFIGURATION: PerModality({modality:g}s) >= PerUF({uf:g}s). "
                "Modality timeout must be strictly less than UF timeout. "
                "Falling back to safe defaults: PerModality=60s, PerUF=90s.",
            )
        )
        seconds["per_modality"], seconds["per_uf"] = 60.0, 90.0
    elif modality > NEAR * uf:
        findings.append(
            Finding(
                Severity.WARNING,
                f"TIMEOUT NEAR-INVERSION: PerModality({modality:g}s) > 80% of PerUF({uf:g}s). "
                f"Recommend PerModality <= {uf * RECOMMENDED:.0f}s for safe margin.",
            )
        )


def _mend_order(seconds: dict[str, float], findings: list[Finding]) -> None:
    for upper, lower in _ORDER:
        if seconds[upper] <= seconds[lower]:
            findings.append(
                Finding(
                    Severity.CRITICAL,
                    f"TIMEOUT MISCONFIGURATION: {_TITLES[lower]}({seconds[lower]:g}s) >= "
                    f"{_TITLES[upper]}({seconds[upper]:g}s). Each level must be strictly less than the one above it. "
                    "Falling back to safe defaults for the whole chain.",
                )
            )
            seconds.update({name: value.total_seconds() for name, value in _DEFAULTS.items()})
            return


def _warn_of_tight_margins(seconds: dict[str, float], findings: list[Finding]) -> None:
    """Checked with the normal per-UF value only."""
    source, uf, modality = seconds["per_source"], seconds["per_uf"], seconds["per_modality"]
    if uf - modality < MARGIN:
        text = f"TIMEOUT TIGHT MARGIN: PerUF({uf:g}s) - PerModality({modality:g}s) < {MARGIN:g}s."
        findings.append(Finding(Severity.WARNING, text))
    if source < UFS_PER_SOURCE * uf:
        text = f"TIMEOUT TIGHT MARGIN: PerSource({source:g}s) < 2 x PerUF({uf:g}s)."
        findings.append(Finding(Severity.WARNING, text))
