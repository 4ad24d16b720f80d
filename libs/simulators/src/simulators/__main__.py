"""`python -m simulators`: both sources on loopback until Ctrl-C."""

from __future__ import annotations

import asyncio
import gc
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from simulators.faults import Scenario
from simulators.server import Simulator


def main(
    port: Annotated[int, typer.Option(help="PNCP's port; PCP and control take the next two. 0: free ones.")] = 0,
    today: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day it is. Default: today in Brasília.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of what is filled, of the dates and of the faults' chance.")] = 0,
    scale: Annotated[int, typer.Option(min=1, help="Copies of each record, re-keyed, for volume.")] = 1,
    faults: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Scenario in JSON; see README.")
    ] = None,
) -> None:
    """Serve PNCP and PCP from recorded real records."""
    try:
        scenario = Scenario.model_validate_json(faults.read_bytes()) if faults else Scenario()
    except ValidationError as error:
        raise typer.BadParameter(str(error), param_hint="--faults") from error
    sim = Simulator(today=today.date() if today else None, seed=seed, scale=scale, port=port)
    sim.set_scenario(scenario)
    try:
        asyncio.run(_serve(sim))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


async def _serve(sim: Simulator) -> None:
    async with sim:
        typer.echo(f"PNCP_CONSULTA_URL={sim.pncp_consulta_url}")
        typer.echo(f"PNCP_API_URL={sim.pncp_api_url}")
        typer.echo(f"PCP_API_URL={sim.pcp_url}")
        typer.echo(f"CONTROL_URL={sim.control_url}/_sim")
        gc.collect()
        gc.freeze()  # the records stay: looking through them again and again would delay every answer
        await asyncio.Event().wait()


if __name__ == "__main__":
    typer.run(main)
