"""`python -m callboard`: the same as the command `callboard`, for where that is not on the path."""

from callboard.cli.main import main

main()
