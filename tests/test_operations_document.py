"""docs/operations.md: its tables are the code's, its examples are what the server does."""

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from wsproc.cli import app
from wsproc.config import ServeConfig
from wsproc.sources import from_toml, load

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    """The script that writes the tables."""
    spec = importlib.util.spec_from_file_location("tables", DOCS / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page() -> str:
    """The page."""
    return (DOCS / "operations.md").read_text()


def test_the_tables_are_those_of_the_code(tables: ModuleType, page: str):
    """Every setting and every figure is there: `python docs/tables.py` writes them."""
    assert tables.written(page) == page, "run: python docs/tables.py"


def test_the_example_of_a_file_can_be_used(page: str):
    """As it stands on the page."""
    example = re.search(r"^    port = 9000\n.*?rows = 4\n", page, re.DOTALL | re.MULTILINE)
    assert example is not None
    text = re.sub("^    ", "", example[0], flags=re.MULTILINE)
    config = load(ServeConfig, from_toml(text, "example")).config
    assert tomllib.loads(text)["port"] == config.port == 9000
    assert config.engine.models["generation"] == "none"
    assert config.engine.settings == {"summary": {"rows": 4}}


def test_the_examples_of_mistakes_are_what_is_told(page: str, tmp_path: Path):
    """Word for word, but for the file's folder."""
    (tmp_path / "wsproc.toml").write_text('[engine]\nthreads = "many"\n')
    done = CliRunner().invoke(
        app,
        ["serve", "--config", str(tmp_path / "wsproc.toml"), "--print-config"],
        env={"WSPROC_MAX_JOBZ": "7"},
    )
    for line in done.stderr.replace(f"{tmp_path}/", "").splitlines():
        assert f"    {line}\n" in page


def test_all_figures_follow_the_conventions(tables: ModuleType):
    """Parsed by Prometheus' own parser: base units, `_total` for what only grows, a help for each;
    and every figure that the page asks for is there.
    """
    families = list(text_string_to_metric_families(tables.metrics_text()))
    ours = [one for one in families if one.name.startswith("wsproc_")]
    assert len(ours) > 20
    for family in ours:
        assert family.documentation, family.name
        assert family.type in ("counter", "gauge", "histogram"), family.name
        assert re.fullmatch("[a-z_]+", family.name)
        assert not re.search("_(ms|millis|kb|mb|percent)(_|$)", family.name), family.name
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
        for sample in family.samples:
            assert family.type != "counter" or sample.name.endswith(("_total", "_created"))


@pytest.mark.parametrize("name", ["operations.md", "grafana.json", "alerts.yaml"])
def test_every_figure_that_is_asked_for_exists(tables: ModuleType, name: str):
    """In the questions of the page, in the dashboard, in the alerts."""
    text = tables.metrics_text()
    known = {one.name for family in text_string_to_metric_families(text) for one in family.samples}
    asked = set(re.findall(r"\b(wsproc_[a-z_]+)", (DOCS / name).read_text()))
    assert len(asked) > 5
    histograms = {name.removesuffix("_bucket") for name in known}
    assert asked <= known | histograms


def test_the_dashboard_and_the_alerts_can_be_read():
    """Every panel and every rule has a name, a reason and something to ask."""
    panels = json.loads((DOCS / "grafana.json").read_text())["panels"]
    assert all(one["title"] and one["description"] and one["targets"] for one in panels)
    assert len({one["id"] for one in panels}) == len(panels)
    (group,) = yaml.safe_load((DOCS / "alerts.yaml").read_text())["groups"]
    assert all(rule["expr"] and rule["annotations"]["summary"] for rule in group["rules"])
