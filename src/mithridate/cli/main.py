"""`mithridate`: registers the commands and turns errors into sentences and exit codes."""

from __future__ import annotations

import sys

import typer
from rich.markup import escape

from mithridate import __version__
from mithridate.cli.console import err, out
from mithridate.errors import MithridateError, UserError

app = typer.Typer(
    name="mithridate",
    help="Audit medical models with small, measured doses of every adversarial attack.\n\n"
    "For models that you own or are authorized to test.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(value: bool) -> None:
    if value:
        out.print(f"mithridate {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Audit medical models with small, measured doses of every adversarial attack."""


def _register() -> None:
    from mithridate.cli.audit import audit
    from mithridate.cli.claims import claims_app
    from mithridate.cli.data import data_app
    from mithridate.cli.demo import demo
    from mithridate.cli.ledger import ledger_app
    from mithridate.cli.report import report
    from mithridate.cli.study import study
    from mithridate.cli.train import train

    app.command()(demo)
    app.add_typer(data_app, name="data")
    app.command()(train)
    app.command()(audit)
    app.command()(report)
    app.command()(study)
    app.add_typer(ledger_app, name="ledger")
    app.add_typer(claims_app, name="claims")


_register()


def _interrupted(stop: BaseException | None) -> bool:
    """Whether a Ctrl-C is behind this exit."""
    while stop is not None and not isinstance(stop, KeyboardInterrupt):
        stop = stop.__cause__ or stop.__context__
    return stop is not None


def run() -> None:
    """Entry point: exit code 0 done, 1 failure, 2 the user's mistake, 130 interrupted."""
    try:
        app()
    except UserError as error:
        err.print(f"[bold red]mithridate:[/] {escape(str(error))}")
        sys.exit(2)
    except MithridateError as error:
        err.print(f"[bold red]mithridate failed:[/] {escape(str(error))}")
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as stop:
        # Typer turns Ctrl-C into a plain exit; a command that has said its own word about it exits without that cause.
        if _interrupted(stop):
            err.print("interrupted; what was finished is kept, and the same command goes on from there")
            sys.exit(130)
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        err.print(f"[bold red]mithridate failed:[/] {escape(f'{where}{error.strerror or error}')}")
        sys.exit(1)


if __name__ == "__main__":
    run()
