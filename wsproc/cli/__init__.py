"""The command line: `wsproc serve | run | generate | models | schema | demo`."""

from wsproc.cli.app import app, main

__all__ = ["app", "main"]
