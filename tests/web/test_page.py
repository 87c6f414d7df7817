"""The pages of examples/ that use no client library, in a real browser."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import expect

from tests.fakes import UNENDING, FakeEngine, plausible, serving
from tests.waiting import until_elsewhere
from tests.web.static import static

EXAMPLES = Path(__file__).parents[2] / "examples"


async def test_the_page_runs_a_text_and_cancels_another(open_page):
    """Let in by its origin it colours the chunks, shows the summary and cancels."""
    text = "🙂 I love it here. The way up was slow and awful, I hate stairs. " + "It is high. " * 9
    with static(EXAMPLES) as origin:
        async with serving(FakeEngine(answers=plausible), origins=(origin,)) as server:
            page = (await open_page(f"{origin}/page.html?{server.url}")).page
            await page.wait_for_selector("#run:enabled")
            await page.fill("#text", text)
            await page.click("#run")
            await expect(page.locator("#state")).to_have_text("completed NEGATIVE")
            assert await page.locator("#colours").text_content() == text
            assert await page.locator("#colours .POSITIVE, #colours .NEGATIVE").count() > 0
            assert await page.locator("#summary").text_content() == "🙂 I love it here."

            await page.fill("#text", f"{UNENDING} words without an end")
            await page.click("#run")
            await expect(page.locator("#colours span")).to_have_count(1)
            await page.click("#cancel")
            await expect(page.locator("#state")).to_have_text("cancelled client")


async def test_a_page_from_elsewhere_is_turned_away_readably(open_page):
    """Without --origin the page learns the close code and its reason."""
    with static(EXAMPLES) as origin:
        async with serving(FakeEngine(answers=plausible)) as server:
            page = (await open_page(f"{origin}/page.html?{server.url}")).page
            await expect(page.locator("#state")).to_contain_text("closed (4403)")
            await expect(page.locator("#state")).to_contain_text("--origin")


async def test_the_page_works_from_a_file(open_page):
    """Opened as a file its origin is `null`, which --origin null lets in."""
    async with serving(FakeEngine(answers=plausible), origins=("null",)) as server:
        page = (await open_page(f"{(EXAMPLES / 'page.html').as_uri()}?{server.url}")).page
        await page.wait_for_selector("#run:enabled")
        await page.click("#run")
        await expect(page.locator("#state")).to_contain_text("completed")


def test_the_page_keeps_its_promise():
    """It is under 100 lines and uses neither a library nor innerHTML."""
    source = (EXAMPLES / "page.html").read_text(encoding="utf-8")
    assert len(source.splitlines()) < 100
    assert "src=" not in source
    assert "new WebSocket(" in source
    assert ".innerHTML" not in source


async def test_the_http_page_reads_the_stream_and_stops_another(open_page):
    """`fetch` and a `ReadableStream` across origins; stopping ends the job on the server."""
    text = "I love it here. The way up was slow and awful, I hate stairs. " + "It is high. " * 9
    engine = FakeEngine(answers=plausible)
    with static(EXAMPLES / "http") as origin:
        async with serving(engine, origins=(origin,), http_port=0) as server:
            url = server.http_url.rstrip("/")
            watched = await open_page(f"{origin}/page.html?{url}")
            page = watched.page
            await page.fill("#text", text)
            await page.click("#run")
            await expect(page.locator("#state")).to_contain_text("completed in")
            log = await page.locator("#log").text_content()
            assert "chunk 1: " in log
            assert "summary: I love it here." in log

            await page.fill("#text", f"{UNENDING} words without an end")
            await page.click("#run")
            await expect(page.locator("#log")).to_contain_text("chunk 1")
            assert server.admission.live == 1
            await page.click("#stop")
            await expect(page.locator("#state")).to_have_text("stopped")
            await until_elsewhere(lambda: server.admission.live == 0)

            await page.fill("#text", "short")
            await page.click("#run")
            await expect(page.locator("#state")).to_contain_text("at least 10 characters")


async def test_the_docs_of_the_http_face_are_shown_and_try_a_request(open_page):
    """Swagger UI, under its own policy, from this server alone."""
    async with serving(FakeEngine(answers=plausible), http_port=0) as server:
        watched = await open_page(f"{server.http_url}docs")
        page = watched.page
        await page.click(
            "#operations-default-process_process_stream_post button.opblock-summary-control"
        )
        await page.click("button.try-out__btn")
        body = '{"text": "I love this place and I love its garden."}'
        await page.fill("textarea.body-param__text", body)
        await page.click("button.execute")
        shown = page.locator(".live-responses-table .response .microlight").first
        await expect(shown).to_contain_text("completed")
        assert watched.errors == []
        assert all(one.startswith((server.http_url, "data:")) for one in watched.asked)
