"""``python -m tumorlens``: the command line, where the script is not on the path."""

from tumorlens.apps.cli.main import main

main()
