"""The GPU benchmark's own script, tried on a CPU with tiny models: its rows, not its figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.gpu.__main__ import main


def test_every_row_of_the_table_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is printed as it is known; the file has them all and says that they are no figures."""
    output = tmp_path / "results.md"
    main(["--tiny", "--device", "cpu", "--rounds", "1", "--output", str(output)])
    text = output.read_text()
    assert "these are no figures" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows == [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    kinds = {row.split(" | ")[0].removeprefix("| ") for row in rows[2:]}
    assert kinds == {
        "matrix product",
        "copy",
        "classify, tokens given",
        "classify, with tokenizing",
        "decoder of 0.5 B",
        "decode, the model",
        "decode, whole step",
        "decode, tokens",
        "decoder of bart-large",
        "summary by `generate()`",
        "summary",
        "summary step, the model",
        "summary step, whole",
        "summaries alike",
    }
