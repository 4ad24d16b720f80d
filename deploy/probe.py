"""Whether this container's service is on the bus: one of its sockets is connected to the port of NATS_URL.

The server drops a client that answers no ping for 20 to 30 s (deploy/nats/server.conf), so a stuck loop is seen too.
Standard library only, and nothing is sent: a probe of all pods at once costs the bus nothing.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

ESTABLISHED = "01"
DEFAULT_PORT = 4222


def bus_ports(urls: str) -> set[int]:
    """The ports of a comma-separated list of NATS URLs."""
    return {urlsplit(url.strip()).port or DEFAULT_PORT for url in urls.split(",") if url.strip()}


def connected_sockets(tables: Iterable[str], ports: set[int]) -> set[str]:
    """Inodes of the established connections to these remote ports, from tables as /proc/net/tcp has them."""
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return {row[9] for row in rows if row[3] == ESTABLISHED and int(row[2].rpartition(":")[2], 16) in ports}


def open_sockets() -> Iterator[str]:
    """Inodes of the sockets of every process that this one may look into."""
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if found := re.fullmatch(r"socket:\[(\d+)\]", target):
            yield found[1]


def main() -> int:
    """0 when connected."""
    tables = [path.read_text() for path in map(Path, ("/proc/net/tcp", "/proc/net/tcp6")) if path.exists()]
    urls = os.environ.get("NATS_URL") or f"nats://127.0.0.1:{DEFAULT_PORT}"  # noqa: TID251 - it is no part of a service
    found = connected_sockets(tables, bus_ports(urls))
    if found.isdisjoint(open_sockets()):
        print("not connected to NATS")  # noqa: T201 - the platform shows it as the reason
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
