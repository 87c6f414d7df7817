"""`python -m wsproc`, the same as `wsproc`."""

from wsproc.cli import main

if __name__ == "__main__":
    main()
