"""The console page in a real browser, against a server whose engine is played by the test."""

from __future__ import annotations

from playwright.async_api import expect

from tests.fakes import UNENDING, FakeEngine, plausible, serving
from wsproc.server import Server

OPEN = "#connection[data-state=open]"
FIRST = ".job >> nth=0"


def page_of(server: Server) -> str:
    """The address of the console page."""
    return server.url.replace("ws://", "http://")


async def run_text(page, text: str) -> None:
    """Submit a text with chunks of 50 characters."""
    await page.wait_for_selector(OPEN)
    await page.fill("#text", text)
    await page.fill("#chunk-size", "50")
    await page.click("#process button[type=submit]")


async def test_a_text_is_coloured_marked_and_summarised(open_page):
    """Chunks get their colours, entities their marks, the summary its place; nothing is blocked."""
    text = "🙂 Ada had a lovely day. The train home was slow, hot and awful, and Grace slept."
    async with serving(FakeEngine(answers=plausible)) as server:
        watched = await open_page(page_of(server))
        page = watched.page
        await run_text(page, f"{text} {'It rained until the morning came. ' * 2}")
        await page.wait_for_selector(".job[data-state=completed]")
        await page.wait_for_selector(".job-text mark")
        marks = [name.strip() for name in await page.locator(".job-text mark").all_text_contents()]
        strip = "".join(await page.locator(".job-strip span").all_text_contents())
        shown = await page.locator(".job-text").text_content()
        summary = await page.locator(".job-summary p").text_content()
        listed = await page.locator(".job-entities dd").all_text_contents()
        bad = await page.locator(".job-text .negative").count()
        port = server.port
    assert marks == ["Ada", "Grace"]
    assert strip.startswith("+\N{MINUS SIGN}")
    assert shown.startswith(text)
    assert summary == "🙂 Ada had a lovely day."
    assert listed == ["Ada, Grace"]
    assert bad > 0
    assert watched.errors == []
    assert {address.split("/")[2] for address in watched.asked} == {f"127.0.0.1:{port}"}


async def test_a_generation_streams_and_is_cancelled(open_page):
    """Tokens show while they come; the card's button cancels and the time of the stop is shown."""
    engine = FakeEngine()
    async with serving(engine) as server:
        page = (await open_page(page_of(server))).page
        await page.wait_for_selector(OPEN)
        await page.fill("#prompt", "Once")
        await page.click("#generate button[type=submit]")
        call = await engine.calls.get()
        call.delta(text=" upon a time")
        await expect(page.locator(".job-text")).to_have_text("Once upon a time")
        await page.click(".job-cancel")
        await page.wait_for_selector(".job[data-state=cancelled]")
        assert call.cancelled.is_set()
        assert "after the stop" in await page.locator(".job-timing").text_content()
        assert await page.locator(".job-cancel").is_disabled()


async def test_several_jobs_run_at_once_and_are_cancelled_together(open_page):
    """Each submit gets a card of its own; Cancel all ends them, Clear ended takes them away."""
    async with serving(FakeEngine(answers=plausible)) as server:
        page = (await open_page(page_of(server))).page
        for number in range(3):
            await run_text(page, f"{UNENDING} text number {number} {'and on and on ' * 9}")
        await expect(page.locator(".job[data-state=running]")).to_have_count(3)
        await page.click("#cancel-all")
        await expect(page.locator(".job[data-state=cancelled]")).to_have_count(3)
        await page.click("#clear")
        assert await page.locator(".job").count() == 0
        assert await page.locator("#empty").is_visible()


async def test_html_in_a_text_stays_text(open_page):
    """Markup from a person or the server reaches the page as text nodes only."""
    evil = "<img src=x onerror=document.title='owned'><b>Ada</b> had a lovely day, they say."
    async with serving(FakeEngine(answers=plausible)) as server:
        watched = await open_page(page_of(server))
        page = watched.page
        await run_text(page, evil)
        await page.wait_for_selector(".job[data-state=completed]")
        await page.wait_for_selector(".job-text mark")
        assert await page.locator(".job-text").text_content() == evil
        assert await page.locator(".job img, .job b").count() == 0
        assert await page.title() == "wsproc console"
    assert watched.errors == []


async def test_a_refused_job_says_why(open_page):
    """A rejected submit gets a card with the server's words and the field at fault."""
    async with serving(FakeEngine(answers=plausible)) as server:
        page = (await open_page(page_of(server))).page
        await run_text(page, "short")
        await page.wait_for_selector(".job[data-state=rejected]")
        words = await page.locator(".job-error").text_content()
    assert "invalid_field" in words
    assert "(text)" in words


async def test_a_lost_connection_is_told_and_taken_up_again(open_page):
    """When the server goes, the page says so; Connect again works once it is back."""
    async with serving(FakeEngine(answers=plausible)) as server:
        page = (await open_page(page_of(server))).page
        await page.wait_for_selector(OPEN)
        port = server.port
    await page.wait_for_selector("#connection[data-state=lost]")
    assert "1012" in await page.locator("#connection").text_content()
    assert await page.locator("#process button[type=submit]").is_disabled()
    async with serving(FakeEngine(answers=plausible), port=port):
        await page.click("#reconnect")
        await page.wait_for_selector(OPEN)
        assert await page.locator("#reconnect").is_hidden()


async def test_frames_are_shown_both_ways(open_page):
    """The log has what was sent and what came, as it was on the wire."""
    async with serving(FakeEngine(answers=plausible)) as server:
        page = (await open_page(page_of(server))).page
        await run_text(page, "Ada had a lovely day, she said.")
        await page.wait_for_selector(".job[data-state=completed]")
        await page.click("#frames-box summary")
        log = await page.locator("#frames").text_content()
    assert '← {"type":"welcome"' in log
    assert '→ {"text":"Ada had a lovely day, she said."' in log
    assert '← {"type":"done","status":"completed"' in log


async def test_the_page_fits_a_phone_in_both_themes(open_page):
    """At 390 pixels nothing sticks out, and the ground follows the system's theme."""
    grounds = {}
    async with serving(FakeEngine(answers=plausible)) as server:
        for theme in ("light", "dark"):
            size = {"width": 390, "height": 844}
            page = (await open_page(page_of(server), color_scheme=theme, viewport=size)).page
            await run_text(page, "Ada had a lovely day. " * 20)
            await page.wait_for_selector(".job[data-state=completed]")
            too_wide = "document.documentElement.scrollWidth - window.innerWidth"
            assert await page.evaluate(too_wide) <= 0
            grounds[theme] = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert grounds["light"] != grounds["dark"]
