"""Read a folder of texts, as many as there are, sixteen at a time, and write a table.

wsproc serve                                    # in one terminal
python examples/map_files.py ws://127.0.0.1:8765 FOLDER   # in another

The folder is walked as there is room for its files, so its size does not matter. Output is CSV.
"""

import asyncio
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import wsproc


def inputs(folder: Path, names: list[Path]) -> Iterator[dict[str, object]]:
    """Yield a job's fields for each file, noting its name: results tell numbers."""
    for path in sorted(folder.rglob("*.txt")):
        names.append(path)
        yield {"text": path.read_text(encoding="utf-8", errors="replace")}


async def main(url: str, folder: Path) -> None:
    names: list[Path] = []
    table = csv.writer(sys.stdout)
    table.writerow(["file", "sentiment", "chunks", "summary"])
    async with wsproc.connect(url) as client:
        results = client.map(
            inputs(folder, names),
            concurrency=16,
            ordered=False,  # each row as soon as it is there
            return_exceptions=True,  # one bad file is no reason to stop
            split="sentence",
        )
        async for number, result in results.enumerate():
            name = names[number].relative_to(folder)
            if isinstance(result, wsproc.WsprocError):
                print(f"{name}: {result}", file=sys.stderr)
            else:
                table.writerow([name, result.sentiment, result["chunks"], result.summary or ""])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
