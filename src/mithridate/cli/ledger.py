"""`mithridate ledger`: the group of commands; each file beside this one registers its own."""

from __future__ import annotations

import typer

from mithridate.cli import ledger_care, ledger_images, ledger_receive, ledger_serve, ledger_setup, ledger_witness

ledger_app = typer.Typer(
    help="The ledger: fingerprint images as they are captured, and say later whether they are still the same.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

for _module in (ledger_setup, ledger_images, ledger_care, ledger_receive, ledger_serve, ledger_witness):
    _module.register(ledger_app)
