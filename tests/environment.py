"""An environment that has a wheel and what it declares to need, and nothing else.

The packages are those of this Python, linked and not installed again, since torch alone takes a
minute. So it shows that the wheel is whole and that its requirements are complete and hold for the
versions that are pinned here; that an index has those versions is not shown.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


class Environment:
    """A virtual environment in a folder, with a wheel and the wanted extras of it."""

    def __init__(self, folder: Path, wheel: Path, extras: Iterable[str] = ()) -> None:
        _call(sys.executable, "-m", "venv", "--without-pip", str(folder))
        self.folder = folder
        self.python = folder / "bin" / "python"
        pip = (sys.executable, "-m", "pip", "--python", str(self.python), "--quiet")
        _call(*pip, "install", "--no-deps", "--no-index", "--no-compile", str(wheel))
        (self.site,) = folder.glob("lib/python*/site-packages")
        for one in needed(self.installed, extras):
            _link(one, self.site)

    @property
    def installed(self) -> Distribution:
        """What the wheel says of itself."""
        (info,) = self.site.glob("wsproc-*.dist-info")
        return PathDistribution(info)

    def run(self, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment, with nothing of ours around it."""
        clean = {
            name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ
        }
        program = str(self.folder / "bin" / command[0])
        return subprocess.run(
            [program, *command[1:]],
            cwd=cwd,
            env={**clean, "HOME": str(cwd)},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


def needed(root: Distribution, extras: Iterable[str]) -> Iterator[Distribution]:
    """Yield what a distribution needs, and what that needs, here and now.

    Raises AssertionError where an installed version is not of those that are asked for.
    """
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(root, frozenset(extras))]
    while waiting:
        one, wanted = waiting.pop()
        for text in one.requires or ():
            requirement = Requirement(text)
            if not _applies(requirement, wanted):
                continue
            found = distribution(requirement.name)
            version = requirement.specifier.contains(found.version, prereleases=True)
            assert version, f"{one.name} needs {text}, and {found.version} is here"
            key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
            if key not in seen:
                seen.add(key)
                waiting.append((found, key[1]))
                yield found


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": one}) for one in (*extras, ""))


def _link(one: Distribution, site: Path) -> None:
    """Link the top-level files and folders of a distribution into a folder."""
    for top in {file.parts[0] for file in one.files or ()} - {"..", "__pycache__"}:
        target = site / top
        if not target.exists():
            target.symlink_to(Path(str(one.locate_file(top))))


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
