"""The site has the folders of the repository, so that a link holds in both.

MkDocs reads the folder `docs` alone; the pages that stand elsewhere are added here. A link to what
is no page (`examples/cancel.py`) becomes its text, since the site does not hold it; a link to
nothing ends the build.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
PAGES = (
    "*.md",
    "docs/*.md",
    "docs/images/*",
    "docs/*.json",
    "docs/*.yaml",
    "benchmarks/*.md",
    "benchmarks/gpu/*.md",
    "benchmarks/results/*",
    "examples/*.md",
)
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Put every page at its place in the repository; what the theme brings stays."""
    for file in [file for file in files if file.src_dir == config.docs_dir]:
        files.remove(file)
    for pattern in PAGES:
        for path in sorted(ROOT.glob(pattern)):
            place = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links to files that are no page into their text; raise for links to nothing."""
    folder = posixpath.dirname(page.file.src_uri)

    def written(match: re.Match[str]) -> str:
        target = match[2]
        if ":" in target:
            return match[0]
        place = posixpath.normpath(posixpath.join(folder, target))
        if files.get_file_from_path(place) is not None:
            return match[0]
        if not (ROOT / place).exists():
            raise PluginError(f"{page.file.src_uri} links to {target}, which is not there")
        return match[1]

    return _LINK.sub(written, markdown)
