"""The wire contract as an independent client sees it, on the models that ship.

Nothing of wsproc is imported here: only sockets, JSON and the schema that the server serves.
"""

import asyncio
import json
import re
import urllib.request
from collections import Counter
from contextlib import asynccontextmanager

import jsonschema
import pytest
from websockets.asyncio.client import connect

PLAIN = (
    "The festival opened on Friday evening with a concert that nobody in the town will forget. "
    "Maria Oliveira, who has directed it since 2011, thanked the volunteers and the city of Porto. "
    "Then the rain came. The tents leaked, the food went cold and visitors complained loudly about "
    "the queues. On Sunday the sun returned and 12,000 people danced until midnight. Organisers "
    "say that the weekend cost 1.2 million euros, 15% more than a year before, and that Siemens "
    "paid a third of it. The next festival begins on 4 June 2027."
)
ASTRAL = "Schön! 😀👩‍👩‍👧 Ich war in \U0001d54fanadu. Marie Curie lebte in Paris. " * 6
TEXTS = {
    "plain": PLAIN,
    "short": "Ten chars!",
    "exactly 100": "x" * 49 + " " + "y" * 50,
    "101": "A good day it was, and we all agreed on that at once, " * 2,
    "astral": ASTRAL,
    "no full stop": "word " * 300,
    "blank": " \n" * 40,
    "control characters": "a\u0000b\u0001c " * 30,
    "longest": (PLAIN + " ") * 9,
}
TEXTS["longest"] = TEXTS["longest"][:5000]


@asynccontextmanager
async def talk(url):
    """A connection that has read its welcome."""
    async with connect(url, compression=None) as socket:
        welcome = json.loads(await socket.recv())
        assert welcome["type"] == "welcome"
        yield socket


async def run(socket, job):
    """Submit a job and return all its frames, `accepted` and `done` included."""
    await socket.send(json.dumps(job))
    frames = [json.loads(await socket.recv())]
    assert frames[0]["type"] == "accepted", frames[0]
    while frames[-1]["type"] != "done":
        frame = json.loads(await socket.recv())
        assert frame["id"] == frames[0]["id"]
        frames.append(frame)
    return frames


def by_status(frames):
    """The status frames of a job, in lists by status."""
    grouped = {}
    for frame in frames:
        if frame["type"] == "status":
            grouped.setdefault(frame["status"], []).append(frame)
    return grouped


@pytest.fixture(scope="module")
def validator(embedded_port):
    """The schema that the server itself serves."""
    with urllib.request.urlopen(f"http://127.0.0.1:{embedded_port}/schema.json") as answer:
        schema = json.load(answer)
    return jsonschema.Draft202012Validator(
        {"$ref": "#/$defs/ServerFrame", "$defs": schema["$defs"]}
    )


@pytest.mark.parametrize("split", ["fixed", "sentence"])
@pytest.mark.parametrize("name", TEXTS)
async def test_process_is_exact_in_every_field(embedded_url, validator, name, split):
    """Every frame is valid, numbered without a hole, and its sums, offsets and ratios are right.

    Invariant 7.
    """
    text = TEXTS[name]
    job = {"type": "process", "text": text, "include_entities": True, "split": split}
    async with talk(embedded_url) as socket:
        frames = await run(socket, job | {"chunk_size": 120, "meta": {"n": [1, None]}})
    for frame in frames:
        validator.validate(frame)
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
    done, status = frames[-1], by_status(frames)
    assert done["status"] == "completed"
    assert done["meta"] == frames[0]["meta"] == {"n": [1, None]}
    assert status["started"][0]["text_length"] == len(text)
    check_sentiment(text, status, done["result"], 120)
    check_summary(text, status, done["result"])
    check_entities(text, status, done["result"])
    assert done["result"]["failed_stages"] == []
    assert done["timing_ms"].keys() == {"queued", "run"}
    total = done["timing_ms"]["queued"] + done["timing_ms"]["run"]
    assert done["total_processing_time"] == pytest.approx(total / 1000, abs=1e-3)


def check_sentiment(text, status, result, chunk_size):
    """The chunks cover the text in order; counts add up; progress rises to one."""
    progress = status["sentiment_progress"]
    chunks = [frame["chunk_result"] for frame in progress]
    count = status["chunked"][0]["chunks"]
    assert count == len(chunks) == result["chunks"]
    assert [chunk["chunk"] for chunk in chunks] == list(range(1, count + 1))
    assert [frame["current_item"] for frame in progress] == list(range(1, count + 1))
    assert [frame["progress"] for frame in progress] == [n / count for n in range(1, count + 1)]
    assert {frame["total_items"] for frame in progress} == {count}
    ends = [0, *(chunk["end"] for chunk in chunks)]
    assert [chunk["start"] for chunk in chunks] == ends[:-1]
    assert ends[-1] == len(text)
    assert all(0 < chunk["end"] - chunk["start"] <= chunk_size for chunk in chunks)
    complete = status["sentiment_complete"][0]
    assert complete["chunk_sentiments"] == chunks
    counted = Counter(chunk["sentiment"] for chunk in chunks)
    names = {"POSITIVE": "positive_chunks", "NEGATIVE": "negative_chunks"}
    for label, field in (names | {"NEUTRAL": "neutral_chunks"}).items():
        assert complete[field] == counted[label]
    assert counted[complete["overall_sentiment"]] >= 0
    assert result["sentiment"] == {
        key: value for key, value in complete.items() if key in result["sentiment"]
    }


def check_summary(text, status, result):
    """Short texts have none; others have whole sentences of the text, and an exact ratio."""
    if len(text) <= 100:
        assert not [name for name in status if name.startswith("summarization")]
        assert result["summary"] is None
        return
    complete = status["summarization_complete"][0]
    summary = complete["summary"]
    assert complete["compression_ratio"] == pytest.approx(len(summary) / len(text), abs=1e-4)
    assert len(summary) <= len(text)
    assert set(summary.split()) <= set(text.split())
    assert result["summary"]["summary"] == summary


def check_entities(text, status, result):
    """Each entity is the text at its offsets; the types are those of the entities."""
    complete = status["entities_complete"][0]
    entities = complete["entities"]
    for entity in entities:
        assert text[entity["start"] : entity["end"]] == entity["text"]
        assert entity["text"].strip() == entity["text"] != ""
        assert entity["description"]
    starts = [entity["start"] for entity in entities]
    assert starts == sorted(starts)
    assert complete["total_entities"] == len(entities)
    labels = Counter(entity["label"] for entity in entities)
    assert {label: len(texts) for label, texts in complete["entity_types"].items()} == labels
    assert result["entities"]["entities"] == entities


async def test_batch_gives_the_result_of_process_without_progress(embedded_url):
    """A batch of one text is accepted, then done, with the very result of `process`."""
    async with talk(embedded_url) as socket:
        streamed = await run(socket, {"type": "process", "text": PLAIN, "include_entities": True})
        quiet = await run(socket, {"type": "batch", "text": PLAIN, "include_entities": True})
        several = await run(
            socket, {"type": "batch", "texts": [PLAIN, "Ten chars!"], "include_entities": True}
        )
    assert [frame["type"] for frame in quiet] == ["accepted", "done"]
    assert quiet[-1]["result"] == streamed[-1]["result"]
    assert several[-1]["result"]["results"][0] == streamed[-1]["result"]
    assert several[-1]["result"]["total_texts"] == 2


async def test_tokens_joined_are_the_text_and_a_seed_repeats_it(embedded_url, validator):
    """`result.text` is the tokens joined; the same seed gives the same text."""
    job = {"type": "generate", "prompt": "The old house", "max_tokens": 24, "seed": 11}
    async with talk(embedded_url) as socket:
        first = await run(socket, job | {"temperature": 1.0})
        second = await run(socket, job | {"temperature": 1.0})
    for frame in first:
        validator.validate(frame)
    texts = ["".join(f["text"] for f in run if f["type"] == "token") for run in (first, second)]
    assert texts[0] == texts[1] == first[-1]["result"]["text"] != ""
    assert first[-1]["usage"]["completion_tokens"] <= 24


async def test_many_jobs_at_once_keep_apart(embedded_url):
    """Forty jobs on one connection: each has its own frames, numbers and result."""
    async with talk(embedded_url) as socket:
        for n in range(40):
            text = f"Number {n} is here. " * (3 + n)
            job = {"type": "process", "id": f"j{n}", "text": text, "include_summary": n % 2 == 0}
            await socket.send(json.dumps(job))
        frames = {f"j{n}": [] for n in range(40)}
        done = 0
        while done < 40:
            frame = json.loads(await socket.recv())
            frames[frame["id"]].append(frame)
            done += frame["type"] == "done"
    for n, own in enumerate(frames.values()):
        assert [frame["seq"] for frame in own] == list(range(1, len(own) + 1))
        assert own[-1]["status"] == "completed"
        assert own[-1]["result"]["text_length"] == len(f"Number {n} is here. ") * (3 + n)


async def test_a_cancelled_job_changes_nothing_in_its_neighbours(embedded_url):
    """Invariant 6: jobs that run beside cancelled ones give what they give alone, token by token.

    Invariant 6.
    """
    job = {"type": "generate", "prompt": "In the morning", "max_tokens": 30, "seed": 5}
    async with talk(embedded_url) as socket:
        alone = (await run(socket, job))[-1]["result"]["text"]
        for n in range(6):
            await socket.send(json.dumps(job | {"id": f"n{n}", "max_tokens": 30 + 200 * (n % 2)}))
        results, tokens = {}, Counter()
        while len(results) < 6:
            frame = json.loads(await socket.recv())
            if frame["type"] == "token":
                tokens[frame["id"]] += 1
                number = int(frame["id"][1:])
                if number % 2 and tokens[frame["id"]] == 3 + number:
                    await socket.send(json.dumps({"type": "cancel", "id": frame["id"]}))
            elif frame["type"] == "done":
                results[frame["id"]] = frame
    for n in range(6):
        frame = results[f"n{n}"]
        if n % 2:
            assert (frame["status"], frame["reason"]) == ("cancelled", "client")
            assert frame["timing_ms"]["stop"] >= 0
        else:
            assert frame["result"]["text"] == alone


async def test_a_page_of_bad_input_leaves_the_server_alive(embedded_url):
    """Bad frames are answered on their own connection; another one does not notice."""
    async with talk(embedded_url) as other, talk(embedded_url) as socket:
        for bad in ("{", "[]", "null", '{"type": null}', '{"type": "process", "text": 1}'):
            await socket.send(bad)
            assert json.loads(await socket.recv())["type"] in ("error", "rejected")
        assert (await run(other, {"type": "process", "text": PLAIN}))[-1]["status"] == "completed"
        assert (await run(socket, {"type": "process", "text": PLAIN}))[-1]["status"] == "completed"


SENTIMENTS = {
    "I love this place, the staff were kind and the cake was wonderful.": "POSITIVE",
    "What a delightful surprise, thank you so much for your help!": "POSITIVE",
    "This is the best holiday we have ever had.": "POSITIVE",
    "The new phone works perfectly and the battery lasts for days.": "POSITIVE",
    "She was proud and happy when her son won the prize.": "POSITIVE",
    "A brilliant film with excellent acting.": "POSITIVE",
    "The service was terrible and the soup was cold.": "NEGATIVE",
    "I hate waiting in this dirty, noisy hall.": "NEGATIVE",
    "The device broke after two days and nobody answered my complaint.": "NEGATIVE",
    "It was the worst film I have seen, boring and stupid.": "NEGATIVE",
    "Unfortunately the flight was cancelled and we lost our money.": "NEGATIVE",
    "The attack killed many people and destroyed the village.": "NEGATIVE",
    "The train leaves at nine from platform four.": "NEUTRAL",
    "The committee will meet on Tuesday in room 12.": "NEUTRAL",
    "Water boils at one hundred degrees.": "NEUTRAL",
    "The report has twenty pages and three tables.": "NEUTRAL",
}


async def test_sentiments_of_plain_sentences_are_mostly_right(embedded_url):
    """Of sixteen plain sentences at least thirteen get the sentiment that a person gives them."""
    async with talk(embedded_url) as socket:
        job = {"type": "batch", "texts": list(SENTIMENTS), "include_summary": False}
        results = (await run(socket, job))[-1]["result"]["results"]
    found = [result["sentiment"]["overall_sentiment"] for result in results]
    right = sum(a == b for a, b in zip(found, SENTIMENTS.values(), strict=True))
    assert right >= 13, dict(zip(SENTIMENTS, found, strict=True))


NAMES = {
    "Angela Merkel": ("Yesterday Angela Merkel gave a speech about Europe.", {"PERSON"}),
    "London": ("We moved to London in the spring of that year.", {"GPE", "LOC"}),
    "Microsoft": ("She works as an engineer at Microsoft.", {"ORG"}),
    "John Smith": ("A letter from John Smith arrived in the morning.", {"PERSON"}),
    "Japan": ("The ship sailed from Japan with two hundred men.", {"GPE", "LOC"}),
    "United Nations": ("The United Nations sent observers to the border.", {"ORG"}),
    "Barack Obama": ("In 2009 Barack Obama became president.", {"PERSON"}),
    "12 May 2020": ("The contract was signed on 12 May 2020 by both sides.", {"DATE"}),
    "$4 million": ("They sold the house for $4 million last winter.", {"MONEY"}),
    "20%": ("Prices rose by 20% within a few weeks.", {"PERCENT"}),
}


async def test_names_in_plain_sentences_are_mostly_found(embedded_url):
    """Of ten names at least eight are found with their exact extent and a fitting label."""
    async with talk(embedded_url) as socket:
        texts = [sentence for sentence, _ in NAMES.values()]
        job = {"type": "batch", "texts": texts, "include_entities": True}
        job |= {"include_sentiment": False, "include_summary": False}
        results = (await run(socket, job))[-1]["result"]["results"]
    found = [
        any(
            re.sub("^the ", "", entity["text"], flags=re.IGNORECASE) == name
            and entity["label"] in labels
            for entity in result["entities"]["entities"]
        )
        for (name, (_, labels)), result in zip(NAMES.items(), results, strict=True)
    ]
    assert sum(found) >= 8, dict(zip(NAMES, found, strict=True))


async def test_the_models_are_not_in_the_servers_process(embedded_port):
    """The server's own process has loaded no model library."""
    psutil = pytest.importorskip("psutil")
    connections = [
        one
        for one in psutil.net_connections("tcp")
        if one.laddr and one.laddr.port == embedded_port and one.status == "LISTEN"
    ]
    server = psutil.Process(connections[0].pid)
    loaded = {one.path for one in server.memory_maps()}
    assert not [path for path in loaded if "/torch/" in path or "/spacy/" in path]
    assert len(server.children()) >= 2


async def test_wscat_style_job_without_an_id_is_served(embedded_url):
    """Ids are assigned, and differ."""
    async with talk(embedded_url) as socket:
        jobs = [await run(socket, {"type": "process", "text": PLAIN}) for _ in range(2)]
    assert jobs[0][0]["id"] != jobs[1][0]["id"]


async def test_leaving_cancels(embedded_url, embedded_port):
    """A connection that goes away leaves no live job behind."""
    async with talk(embedded_url) as socket:
        for _ in range(20):
            job = {"type": "generate", "prompt": "Once upon a time", "max_tokens": 400}
            await socket.send(json.dumps(job))
        assert json.loads(await socket.recv())["type"] == "accepted"
    async with asyncio.timeout(5):
        while await asyncio.to_thread(_live_jobs, embedded_port):
            pass


def _live_jobs(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("wsproc_jobs_live ")))
