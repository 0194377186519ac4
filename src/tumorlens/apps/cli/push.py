"""``tumorlens push``."""

from __future__ import annotations

import click

from tumorlens.apps.cli.options import where

__all__ = ["push"]


@click.command()
@click.argument("bundle", metavar="BUNDLE")
@click.argument("repo", metavar="ORG/NAME")
@click.option("--dry-run", is_flag=True, help="Show the files and the page, write nothing.")
@click.option("--private", is_flag=True, help="Only into a private repository.")
def push(*, bundle: str, repo: str, dry_run: bool, private: bool) -> None:
    """Publish a bundle on the Hugging Face Hub, with a page made of its card.

    The bundle is verified first. Sign in before with `hf auth login`.
    """
    from tumorlens.publish.push import pack
    from tumorlens.publish.push import push as write

    parcel = pack(bundle, repo)
    if dry_run:
        click.echo(parcel.to_text())
        return
    click.echo(f"published: {write(parcel, private=private, endpoint=where()['endpoint'])}")
