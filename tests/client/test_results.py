"""Results are the server's dicts, with attributes, rows and a face in notebooks."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from html.parser import HTMLParser

import orjson
import pandas
import pytest

from tests.fakes import FakeEngine, plausible, serving
from wsproc.client import BatchResult, Chunk, Entity, GenerateResult, ProcessResult, connect
from wsproc.client.display import BATCH_SHOWN
from wsproc.client.results import Result, make_result

TEXT = "Ada had a lovely day. Grace found the train home slow, and 🙂 awful."


async def processed(text: str = TEXT) -> ProcessResult:
    """The result of a text, from a real server."""
    async with serving(FakeEngine(answers=plausible)) as server, connect(server.url) as client:
        return await client.process(text, include_entities=True, chunk_size=50).result()


def found(text: str = TEXT, **more) -> ProcessResult:
    """A result made by hand."""
    sentiment = {
        "overall_sentiment": "NEGATIVE",
        "chunk_sentiments": [
            {"chunk": 1, "start": 0, "end": 21, "sentiment": "POSITIVE", "confidence": 0.9},
            {"chunk": 2, "start": 21, "end": 68, "sentiment": "NEGATIVE", "confidence": 0.5},
        ],
        "positive_chunks": 1,
        "negative_chunks": 1,
        "neutral_chunks": 0,
    }
    entity = {"label": "PERSON", "description": "People", "start": 0, "end": 3, "text": "Ada"}
    data = {
        "text_length": len(text),
        "chunks": 2,
        "sentiment": sentiment,
        "summary": {"summary": "It was mixed.", "compression_ratio": 0.2},
        "entities": {"entities": [entity], "entity_types": {}, "total_entities": 1},
        "failed_stages": [],
        "errors": {},
        **more,
    }
    return ProcessResult(data, text)


# --- a mapping, with attributes -----------------------------------------------------------------


async def test_keys_are_the_wires_and_attributes_the_short_way():
    """Each attribute is what the long way gives, chunks with their words."""
    result = await processed()
    assert result.text == TEXT
    assert result["chunks"] == len(result.chunks) == 2
    assert result.sentiment == result["sentiment"]["overall_sentiment"]
    assert "".join(chunk.text for chunk in result.chunks) == TEXT
    assert isinstance(result.chunks[0], Chunk)
    names = [Entity(**one) for one in result["entities"]["entities"]]
    assert result.entities == names
    assert [entity.text for entity in result.entities] == ["Ada", "Grace"]
    assert result.summary is None  # the text is too short for one
    assert result.failed_stages == []


def test_what_was_not_asked_for_is_none_or_empty():
    """A result without stages has the same attributes."""
    bare = ProcessResult({"text_length": 10, "chunks": 1, "sentiment": None}, "x" * 10)
    assert (bare.sentiment, bare.summary) == (None, None)
    assert (bare.chunks, bare.entities, bare.failed_stages) == ([], [], [])


def test_a_result_is_a_dict_for_everyone_else():
    """It compares, copies, pickles and is written as JSON like the dict that it is."""
    result = found()
    plain = dict(result)
    assert result == plain
    assert json.loads(json.dumps(result)) == json.loads(orjson.dumps(result)) == plain
    assert pickle.loads(pickle.dumps(result)) == result
    assert repr(result) == repr(plain)


def test_each_task_has_its_result():
    """Built-in tasks have a type of their own, others the plain one."""
    assert isinstance(make_result("process", {"text": "t"}, {}), ProcessResult)
    assert isinstance(make_result("batch", {"text": "t"}, {}), ProcessResult)
    assert isinstance(make_result("batch", {"texts": ["t"]}, {"results": []}), BatchResult)
    assert isinstance(make_result("generate", {"prompt": "p"}, {}), GenerateResult)
    assert type(make_result("shout", {}, {"loud": 1})) is Result
    assert Result({"loud": 1}).to_records() == [{"loud": 1}]


def test_a_generation_is_its_text():
    """`str` is the text; the prompt and the reason of the end are beside it."""
    result = GenerateResult({"text": " there", "finish_reason": "eos"}, "Hello")
    assert (str(result), result.text, result.prompt) == (" there", " there", "Hello")
    assert result.finish_reason == "eos"
    assert result.to_records() == [{"prompt": "Hello", "text": " there", "finish_reason": "eos"}]


# --- rows ---------------------------------------------------------------------------------------


def test_a_text_is_a_row_a_chunk():
    """`pandas.DataFrame(result.chunks)` and `to_pandas` are the same table."""
    table = pandas.DataFrame(found().chunks)
    assert list(table.columns) == ["chunk", "start", "end", "sentiment", "confidence", "text"]
    assert table["sentiment"].tolist() == ["POSITIVE", "NEGATIVE"]
    assert found().to_pandas().equals(table)
    assert pandas.DataFrame(found().entities)["label"].tolist() == ["PERSON"]


def test_a_batch_is_a_row_a_text():
    """Each row has the text and what was found of it as a whole."""
    batch = BatchResult({"results": [dict(found()), dict(found())], "total_texts": 2}, [TEXT, TEXT])
    table = batch.to_pandas()
    assert table["index"].tolist() == [0, 1]
    assert table["sentiment"].tolist() == ["NEGATIVE", "NEGATIVE"]
    assert table["entities"].tolist() == [["Ada"], ["Ada"]]
    assert [one.text for one in batch.results] == [TEXT, TEXT]
    assert pandas.DataFrame([found().to_record()])["positive_chunks"].tolist() == [1]


def test_pandas_is_loaded_only_when_it_is_asked_for():
    """Neither importing the client nor making a result loads it; a table without it says so."""
    script = (
        "import sys; from wsproc.client import ProcessResult\n"
        "result = ProcessResult({}, ''); result.to_records(); result._repr_html_()\n"
        "assert 'pandas' not in sys.modules\n"
        "sys.modules['pandas'] = None\n"
        "try: result.to_pandas()\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "a table needs pandas: pip install pandas"


# --- in a notebook ------------------------------------------------------------------------------


class Page(HTMLParser):
    """Reads HTML strictly: what opens must close, and nothing may run or load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        """Take what opens."""
        assert tag in {"div", "span", "p", "b", "ul", "ol", "li", "small"}, tag
        assert {name for name, _ in attrs} <= {"class", "style", "title", "role", "aria-label"}
        self.open.append(tag)
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        """Take what closes."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Take what is read."""
        self.text += data


def test_a_text_is_shown_whole_with_its_sentiment_and_names():
    """The strip has a bar a chunk; the text is coloured, entities are marked and listed."""
    page = Page(found()._repr_html_())
    assert TEXT in page.text
    assert "It was mixed." in page.text
    titles = [attrs["title"] for _, attrs in page.tags if "title" in attrs]
    assert titles.count("chunk 2: NEGATIVE 0.50") == 2  # in the strip and over the text
    assert "PERSON: People | chunk 1: POSITIVE 0.90" in titles
    bars = [attrs["style"] for _, attrs in page.tags if "flex:" in (attrs.get("style") or "")]
    assert [re.search(r"flex:(\d+)", bar)[1] for bar in bars if "flex:" in bar] == ["21", "47"]


EVIL = '</span><script>alert(1)</script><img src=x onerror="alert(2)">&amp;"\'' + "x" * 20


def test_nothing_of_a_text_or_an_answer_becomes_markup():
    """Whatever a text, a label or an error says is shown as what it says."""
    entity = {"label": EVIL, "description": EVIL, "start": 0, "end": 9, "text": EVIL}
    evil = found(
        EVIL,
        summary={"summary": EVIL},
        entities={"entities": [entity]},
        failed_stages=[EVIL],
        sentiment={
            "overall_sentiment": EVIL,
            "chunk_sentiments": [
                {"chunk": 1, "start": 0, "end": 200, "sentiment": EVIL, "confidence": 0.5}
            ],
        },
    )
    page = Page(evil._repr_html_())
    assert page.text.count(EVIL) >= 5
    generated = Page(GenerateResult({"text": EVIL, "finish_reason": EVIL}, EVIL)._repr_html_())
    assert generated.text.count(EVIL) == 3
    Page(BatchResult({"results": [dict(evil)]}, [EVIL])._repr_html_())


def test_a_result_without_stages_is_shown_as_its_text():
    """Nothing is coloured and nothing is listed where nothing was found."""
    page = Page(ProcessResult({"sentiment": None}, TEXT)._repr_html_())
    assert page.text == TEXT
    assert [tag for tag, _ in page.tags] == ["div", "p"]


def test_offsets_beyond_the_text_are_no_matter():
    """A result whose text is not known, or is another one, is shown as far as it goes."""
    assert "Ada" not in Page(found("")._repr_html_()).text.replace("PERSON Ada", "")
    assert Page(found("Ada")._repr_html_()).text.count("Ada") == 2


def test_a_long_batch_is_cut_where_it_is_shown():
    """A notebook is not flooded; how many more there are is told."""
    count = BATCH_SHOWN + 5
    batch = BatchResult({"results": [dict(found())] * count}, [TEXT] * count)
    page = Page(batch._repr_html_())
    assert page.text.count("It was mixed.") == BATCH_SHOWN
    assert "... and 5 more" in page.text


@pytest.mark.parametrize(
    "result", [found(), BatchResult({"results": []}), GenerateResult({"text": "x"})]
)
def test_a_notebook_gets_text_and_html(result):
    """The bundle has both, so that each front end takes what it can show."""
    bundle = result._repr_mimebundle_()
    assert bundle["text/plain"] == repr(result)
    assert bundle["text/html"] == result._repr_html_()
