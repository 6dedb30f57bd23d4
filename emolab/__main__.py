"""``python -m emolab``."""

from emolab.cli.main import main

main()
