"""``python -m modelfleet``, the same as the command ``modelfleet``."""

from modelfleet.cli.main import main

main()
