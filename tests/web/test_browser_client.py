"""The JavaScript client in a real browser, against a real server whose engine the test plays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.fakes import UNENDING, FakeCall, FakeEngine, plausible, serving
from tests.network import network
from tests.web.static import static

ROOT = Path(__file__).parents[2]

START = """async (options) => {
  const { connect } = await import("/wsproc.js");
  window.states = [];
  window.client = await connect(location.origin, { reconnect: { firstDelayMs: 10 }, ...options });
  client.addEventListener("state", ({ detail }) => states.push([detail.phase, detail.resumed]));
  window.until = async (condition) => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  return client.welcome.protocol;
}"""
GENERATE = """() => {
  window.job = client.generate({ prompt: "Once", seed: 1 });
  window.told = "";
  window.events = [];
  window.ended = (async () => {
    for await (const event of job) {
      events.push(event);
      told += event.text ?? "";
    }
    return (await job.done).status;
  })();
}"""


async def started(open_page, port: int, **options: Any) -> Page:
    """Return a page of the server, with a client in it."""
    watched = await open_page(f"http://127.0.0.1:{port}/healthz")
    assert await watched.page.evaluate(START, options) == "wsproc.v1"
    page: Page = watched.page
    return page


async def until(page: Page, condition: str) -> None:
    """Wait for a condition. Playwright's own way needs what the page's policy forbids."""
    await page.evaluate(f"until(() => {condition})")


async def generating(page: Page, engine: FakeEngine) -> FakeCall:
    """Begin a generation of which one token came, and return the engine's end of it."""
    await page.evaluate(GENERATE)
    call = await engine.calls.get()
    call.delta(text="a")
    await until(page, "told === 'a'")
    return call


def complete(call: FakeCall, text: str) -> None:
    """End a generation."""
    call.result(text=text, finish_reason="length", prompt_tokens=1, completion_tokens=1)
    call.end()


async def test_offsets_are_those_of_the_browsers_strings(open_page):
    """In events, in the result, and beside characters that are joined of several."""
    text = "👨‍👩‍👧 Ada had a lovely 🙂 day. 🇩🇪 Grace found it slow, e\u0301 was awful to Zoë."
    script = """async (text) => {
      const job = client.process({ text, include_entities: true, chunk_size: 50 });
      const seen = { chunks: "", names: [], listened: 0 };
      job.addEventListener("status", () => { seen.listened += 1; });
      for await (const event of job) {
        if (event.status === "sentiment_progress") {
          seen.chunks += text.slice(event.chunk_result.start, event.chunk_result.end);
        }
      }
      const { entities, sentiment } = await job.result;
      seen.names = entities.entities.map(({ start, end }) => text.slice(start, end));
      seen.last = sentiment.chunk_sentiments.at(-1).end === text.length;
      return seen;
    }"""
    async with serving(FakeEngine(answers=plausible)) as server:
        page = await started(open_page, server.port)
        seen = await page.evaluate(script, text)
        assert seen.pop("listened") > 5
        assert seen == {"chunks": text, "names": ["Ada", "Grace", "Zoë"], "last": True}


async def test_an_abort_stops_the_engine_and_is_told_as_one(open_page):
    """The reader gets an AbortError at once, and `done` when the engine has left the job."""
    script = """async (prompt) => {
      const controller = new AbortController();
      const job = client.generate({ prompt }, { signal: controller.signal });
      const pieces = [];
      try {
        for await (const piece of job.tokens()) {
          pieces.push(piece);
          if (pieces.length === 3) controller.abort();
        }
      } catch (error) {
        return [pieces.length, error.name, (await job.done).reason];
      }
    }"""
    engine = FakeEngine(answers=plausible)
    async with serving(engine) as server:
        page = await started(open_page, server.port)
        assert await page.evaluate(script, UNENDING) == [3, "AbortError", "client"]


@pytest.mark.parametrize("auth", ["subprotocol", "frame"])
async def test_a_token_opens_and_a_wrong_one_is_told_apart(open_page, auth: str):
    """Both ways that a browser has; it reads why it was turned away."""
    script = """async (options) => {
      const { connect } = await import("/wsproc.js");
      const error = await connect(location.origin, options).catch((error) => error);
      return [error.name, error.code, error.closeCode];
    }"""
    tokens = {"alice": "alices-token-000000001"}
    async with serving(FakeEngine(answers=plausible), auth={"tokens": tokens}) as server:
        page = await started(open_page, server.port, token=tokens["alice"], auth=auth)
        assert (await page.evaluate("client.generate({ prompt: 'Hi' }).result"))["text"]
        wrong = {"token": "a-token-of-nobody-0001", "auth": auth}
        assert (await page.evaluate(script, wrong))[:2] == ["ConnectFailed", "unauthorized"]
        assert (await page.evaluate(script, {}))[:2] == ["ConnectFailed", "unauthorized"]


async def test_a_cut_network_leaves_the_text_whole_and_no_event_doubled(open_page):
    """What the engine wrote meanwhile is replayed, and the job goes on as if nothing had been."""
    engine = FakeEngine()
    async with serving(engine) as server, network(server.port) as wires:
        page = await started(open_page, wires.port)
        call = await generating(page, engine)
        for _ in range(2):
            wires.cut()
            await until(page, "states.at(-1)?.[0] === 'reconnecting'")
            call.delta(text="b")
            call.delta(text="c")
            wires.mend()
            await until(page, "states.at(-1)[0] === 'open'")
        await until(page, "told === 'abcbc'")
        call.delta(text="d")
        complete(call, "abcbcd")
        assert await page.evaluate("ended") == "completed"
        assert await page.evaluate("[told, job.restarts]") == ["abcbcd", 0]
        numbers = await page.evaluate("events.map((event) => event.seq)")
        assert numbers == sorted(set(numbers))
        assert {one[1] for one in await page.evaluate("states") if one[0] == "open"} == {True}


async def test_a_text_is_whole_though_the_server_did_not_keep_all_of_it(open_page):
    """Over what is kept for one client a snapshot stands for the frames that are gone."""
    script = """() => {
      window.job = client.generate({ prompt: "Once", seed: 1 });
      window.told = "";
      window.statuses = [];
      job.addEventListener("status", ({ detail }) => statuses.push(detail.status));
      window.ended = (async () => { for await (const text of job.tokens()) told += text; })();
    }"""
    engine = FakeEngine()
    async with (
        serving(engine, replay_bytes=1 << 16) as server,
        network(server.port) as wires,
    ):
        page = await started(open_page, wires.port)
        await page.evaluate(script)
        call = await engine.calls.get()
        call.delta(text="a")
        await until(page, "told === 'a'")
        wires.cut()
        await until(page, "states.at(-1)?.[0] === 'reconnecting'")
        await call.say(*["b"] * 2000)
        wires.mend()
        await until(page, "states.at(-1)[0] === 'open'")
        text = "a" + "b" * 2000
        complete(call, text)
        await page.evaluate("ended")
        assert await page.evaluate("told") == text
        assert await page.evaluate("statuses") == ["started", "snapshot"]


async def test_a_network_that_stays_away_costs_the_session_and_not_the_job(open_page):
    """After `resume_s` the server has let go of the job; it runs again, and the page sees one."""
    engine = FakeEngine()
    async with serving(engine, resume_s=0.1) as server, network(server.port) as wires:
        page = await started(open_page, wires.port)
        call = await generating(page, engine)
        wires.cut()
        await call.cancelled.wait()
        wires.mend()
        again = await engine.calls.get()
        again.delta(text="ab")
        complete(again, "ab")
        assert await page.evaluate("ended") == "completed"
        assert await page.evaluate("[told, job.restarts]") == ["ab", 1]


async def test_a_kept_job_is_found_by_the_page_that_comes_next(open_page):
    """Told from the start, with offsets in the text that the page says it was of."""
    text = "🙂 Ada had a lovely day, she said."
    submit = """async (text) => {
      const fields = { id: "essay", text, include_entities: true, on_disconnect: "keep" };
      await client.process(fields).accepted;
      return client.session;
    }"""
    find = """async (text) => {
      const job = client.adopted.get("essay");
      const statuses = [];
      for await (const event of job) statuses.push(event.status);
      const [{ start, end }] = (await job.result).entities.entities;
      return [job.task, statuses[0], statuses.at(-1), text.slice(start, end)];
    }"""
    async with serving(FakeEngine(answers=plausible)) as server:
        page = await started(open_page, server.port)
        secret = await page.evaluate(submit, text)
        await page.reload()
        await page.evaluate(START, {"session": secret, "texts": {"essay": text}})
        assert await page.evaluate(find, text) == ["process", "started", "completed", "Ada"]


async def test_a_session_that_is_taken_up_elsewhere_ends_the_client_here(open_page):
    """The newer page wins; the older one says why and does not fight for it."""
    async with serving(FakeEngine(answers=plausible)) as server:
        older = await started(open_page, server.port)
        secret = await older.evaluate("client.session")
        newer = await started(open_page, server.port, session=secret)
        lost = "client.closed.then((error) => [error.code, error.closeCode])"
        assert await older.evaluate(lost) == ["connection_lost", 4409]
        assert await newer.evaluate(
            "client.generate({ prompt: 'Hi' }).done.then((d) => d.status)"
        ) == ("completed")


async def test_a_restarted_server_runs_the_job_again_and_the_page_sees_one(open_page):
    """What was told goes on where it was, and nothing is told twice. A network that is back is
    tried at once.
    """
    engine = FakeEngine()
    late = {"firstDelayMs": 3_600_000, "maxDelayMs": 3_600_000}
    async with serving(engine, drain_s=0.1) as server:
        page = await started(open_page, server.port, reconnect=late)
        await generating(page, engine)
        port = server.port
    again = FakeEngine()
    async with serving(again, port=port):
        await until(page, "client.state.phase === 'reconnecting'")
        await page.evaluate("dispatchEvent(new Event('online'))")
        call = await again.calls.get()
        call.delta(text="abc")
        complete(call, "abc")
        assert await page.evaluate("ended") == "completed"
        assert await page.evaluate("[told, job.restarts]") == ["abc", 1]
        assert (await page.evaluate("states"))[-1] == ["open", False]
        statuses = await page.evaluate("events.map((event) => event.status ?? event.type)")
    assert statuses == ["started", "token", "token", "completed"]


async def test_restarts_under_load_lose_no_job(open_page):
    """Jobs that are submitted all the while end as they should, whichever server runs them.

    They are so many and not more, with pauses: the browser tells the test of every frame, and what
    the test asks is answered behind all of those.
    """
    script = """() => {
      window.ends = {};
      window.count = 0;
      const rest = () => new Promise((resolve) => setTimeout(resolve, 15));
      const work = async () => {
        for (let job = 0; job < 80; job++) {
          const { result } = client.generate({ prompt: "Hi", max_tokens: 3 });
          const end = await result.then(({ text }) => text, ({ name }) => name);
          ends[end] = (ends[end] ?? 0) + 1;
          count += 1;
          await rest();
        }
      };
      window.working = Promise.all(Array.from({ length: 8 }, work));
    }"""
    port = 0
    for restart in range(4):
        async with serving(FakeEngine(answers=plausible), port=port, drain_s=0.1) as server:
            if restart == 0:
                page = await started(open_page, server.port)
                await page.evaluate(script)
                port = server.port
            await until(page, f"count > {100 * (restart + 1)}")
            if restart == 3:
                await page.evaluate("working")
    assert await page.evaluate("ends") == {" word0 word1 word2": 640}
    assert len([one for one in await page.evaluate("states") if one[0] == "reconnecting"]) >= 3


# --- what people are shown ------------------------------------------------------------------------


async def test_the_example_survives_a_restart_and_can_be_stopped(open_page):
    """examples/client.html, a page of another origin that imports the client from the server."""
    engine = FakeEngine()
    with static(ROOT / "examples") as origin:
        async with serving(engine, origins=(origin,), drain_s=0.1) as server:
            address, port = server.url.replace("ws://", "http://"), server.port
            page = (await open_page(f"{origin}/client.html?{address}")).page
            await page.click("#write")
            (await engine.calls.get()).delta(text=" upon a hill")
            await expect(page.locator("#text")).to_have_text("The old house stood upon a hill")
        again = FakeEngine()
        async with serving(again, origins=(origin,), port=port, drain_s=0.1):
            call = await again.calls.get()
            call.delta(text=" upon a hill, alone")
            await expect(page.locator("#text")).to_have_text(
                "The old house stood upon a hill, alone"
            )
            await page.click("#stop")
            await call.cancelled.wait()
            await page.wait_for_selector("#write:enabled")


async def test_the_guides_page_runs_as_it_is_written(open_page, tmp_path: Path):
    """The first example of docs/browser-client.md, from a page of another origin."""
    guide = (ROOT / "docs" / "browser-client.md").read_text(encoding="utf-8")
    example = re.search(r"```html\n(.*?)```", guide, re.DOTALL)
    assert example is not None
    with static(tmp_path) as origin:
        async with serving(FakeEngine(answers=plausible), origins=(origin,)) as server:
            source = example[1].replace("127.0.0.1:8765", f"127.0.0.1:{server.port}")
            (tmp_path / "index.html").write_text(source, encoding="utf-8")
            watched = await open_page("about:blank")
            said: list[str] = []
            watched.page.on("console", lambda message: said.append(message.text))
            (tmp_path / "favicon.ico").touch()
            async with watched.page.expect_console_message(lambda m: "text_length" in m.text):
                await watched.page.goto(f"{origin}/index.html")
    assert said[0].startswith("POSITIVE The food was great 🙂.")
    assert watched.errors == []
