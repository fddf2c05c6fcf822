"""``python -m reproduce``: the command line."""

try:
    from reproduce.cli import main

    code = main()
except KeyboardInterrupt:  # while what the commands need is imported, which takes a second
    code = 130

raise SystemExit(code)
