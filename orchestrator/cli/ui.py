"""`kd ui`."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.options import File, Set, StoreOption, loaded


def ui(
    file: File,
    location: StoreOption = None,
    sets: Set = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where it listens.")] = 5000,
    host: Annotated[str, typer.Option(metavar="ADDR", help="Listen on this address of the machine.")] = "127.0.0.1",
    insecure: Annotated[bool, typer.Option("--insecure", help="Ask nobody for a password, whoever reaches it.")] = False,
) -> None:
    """Browse the runs in MLflow's own UI.

    It listens on this machine alone; Ctrl-C ends it. With another --host it asks for a password, that of the user admin:
    MLFLOW_AUTH_ADMIN_PASSWORD, and MLFLOW_FLASK_SERVER_SECRET_KEY for its cookies, or files of these names with _FILE.

    \b
    Examples:
      kd ui experiments/digits.yaml
      kd ui experiments/digits.yaml --port 5050
    \f

    Raises:
        SpecError: with every mistake in the file.
        Unguarded: where the interface would be open to others without a password.
        typer.BadParameter: where the port is taken.
        typer.Exit: always, with the exit code of MLflow's server.
    """
    from orchestrator.cli.serve import serve
    from orchestrator.tracking.ui import ui as interface

    raise typer.Exit(serve(interface(loaded(file, sets, location), port, host, insecure=insecure), port, host))
