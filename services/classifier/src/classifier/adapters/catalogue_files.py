"""Reads the catalogue from its YAML files: one per sector, and `_grammar.yaml`."""

from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from classifier.domain.catalogue import Catalogue, Grammar, SectorRules, problems

_GRAMMAR = "_grammar.yaml"
_BRIEFS = "_briefs.yaml"


class UnsoundCatalogue(Exception):
    """The files do not make a catalogue; the message says every reason."""


def load_catalogue(folder: Path | None = None) -> Catalogue:
    """The catalogue in a folder, the one that ships with this service by default; raises UnsoundCatalogue."""
    catalogue = read_catalogue(folder)
    if found := problems(catalogue):
        raise UnsoundCatalogue("; ".join(found))
    return catalogue


def read_catalogue(folder: Path | None = None) -> Catalogue:
    """The same, sound or not, so that its problems can be told; raises UnsoundCatalogue where a file cannot be read."""
    root = folder if folder is not None else _shipped()
    try:
        sectors = [SectorRules.model_validate(_read(file)) for file in sorted(root.glob("[a-z]*.yaml"))]
        grammar = Grammar.model_validate(_read(root / _GRAMMAR))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UnsoundCatalogue(str(error)) from error
    return Catalogue(sectors={rules.sector: rules for rules in sectors}, grammar=grammar)


def read_sector(file: Path) -> SectorRules:
    """One sector's file; raises UnsoundCatalogue where it cannot be read."""
    try:
        return SectorRules.model_validate(_read(file))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UnsoundCatalogue(str(error)) from error


def load_briefs() -> dict[str, tuple[str, str]]:
    """Per sector, what a language model is told that it takes in and leaves out."""
    return TypeAdapter(dict[str, tuple[str, str]]).validate_python(_read(_shipped() / _BRIEFS))


def _shipped() -> Path:
    return Path(str(resources.files("classifier") / "catalogue"))


def _read(file: Path) -> Any:
    return yaml.load(file.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe loaders, the C one is ten times as fast
