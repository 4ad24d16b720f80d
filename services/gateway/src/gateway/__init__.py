"""HTTP API, SSE, page, downloads."""
