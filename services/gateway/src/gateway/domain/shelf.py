"""What a tenant keeps: searches to be asked again, and marks on licitações."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from contracts.query import SearchRequest
from contracts.values import BidId


class Mark(StrEnum):
    """What became of a licitação on someone's desk."""

    INTERESSA = "interessa"
    DESCARTADA = "descartada"
    VISTA = "vista"


class SavedSearch(BaseModel):
    """A search that can be asked again; its window moves with the day unless it names one."""

    id: str = Field(examples=["3f0c2a9be1d74c55a1b2c3d4e5f60718"])
    name: str = Field(examples=["Uniformes no Sudeste"])
    request: SearchRequest
    created_at: datetime
    updated_at: datetime


class Triage(BaseModel):
    """One licitação that someone marked."""

    bid_id: BidId = Field(examples=["12345678000190-1-000042/2026"])
    mark: Mark
    note: str = ""
    updated_at: datetime
