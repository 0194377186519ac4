"""``tumorlens verify``."""

from __future__ import annotations

import json

import click

from tumorlens.apps.cli.options import json_option, where

__all__ = ["verify"]


@click.command()
@click.argument("bundle", metavar="BUNDLE")
@json_option
def verify(*, bundle: str, as_json: bool) -> None:
    """Check that a bundle is what its card says and answers as it did at export.

    Exit status 0: nothing is wrong; 1: something is.
    """
    from tumorlens.publish.verify import verify_bundle

    result = verify_bundle(bundle, **where())
    click.echo(json.dumps(result.to_dict()) if as_json else result.to_text())
    if not result.passed:
        raise click.exceptions.Exit(1)
