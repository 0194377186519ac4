"""``tumorlens web``."""

from __future__ import annotations

from pathlib import Path

import click

from tumorlens.apps.cli.options import load_model, model_option

__all__ = ["web"]

_SHORTEST = 16  # characters of a token: shorter ones can be guessed


@click.command()
@model_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8642,
    show_default=True,
    help="Port to listen at; 0 for any that is free.",
)
@click.option("--token", help="What clients must know; others can see it in the list of processes.")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="The same, from a file.",
)
@click.option(
    "--allow-host",
    "names",
    multiple=True,
    metavar="NAME",
    help="A name by which the service is called, beside localhost; may be repeated.",
)
@click.option("--open", "opens", is_flag=True, help="Open the page in your browser.")
def web(
    *,
    model: str | None,
    host: str,
    port: int,
    token: str | None,
    token_file: str | None,
    names: tuple[str, ...],
    opens: bool,
) -> None:
    """Open the web page and the service, for this computer.

    Pictures stay in memory. Any other --host than this computer's own needs a token.
    """
    from tumorlens.extras import require

    for module in ("starlette", "uvicorn", "python_multipart", "jinja2", "prometheus_client"):
        require(module, "the web page", "web")
    from tumorlens.apps.web.app import make_app
    from tumorlens.apps.web.serve import is_loopback, listen, serve, url_of

    key = _read_token(token, token_file)
    if key is None and not is_loopback(host):
        raise click.UsageError(
            f"--host {host} lets others in: give a token by --token-file FILE or --token TEXT"
        )
    app = make_app(load_model(model), token=key, names=(*names, host))
    with listen(host, port) as taken:
        url = url_of(taken)
        click.echo(f"tumorlens is at {url} (Ctrl+C ends it). Research use only.", err=True)
        if opens:
            click.launch(url)
        serve(app, taken)


def _read_token(token: str | None, file: str | None) -> str | None:
    """Give the token that was named, if any."""
    if token is not None and file is not None:
        raise click.UsageError("name either --token or --token-file")
    if file is not None:
        token = Path(file).read_text(encoding="utf-8").strip()
    if token is not None and (len(token) < _SHORTEST or not token.isascii()):
        raise click.UsageError(f"a token has at least {_SHORTEST} characters of ASCII")
    return token
