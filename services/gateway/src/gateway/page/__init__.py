"""The page: a server-rendered shell with ES modules, in Portuguese, that never names or counts the sources (C01)."""

from gateway.page.routes import router

__all__ = ["router"]
