"""The console page in a real browser, against a server whose engine is played by the test."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.fakes import UNENDING, FakeEngine, plausible, serving
from wsproc.auth.config import AuthConfig
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
        strip = "".join(await page.locator(".job-strip button").all_text_contents())
        shown = await page.locator(".job-text").text_content()
        summary = await page.locator(".job-summary p").text_content()
        legend = await page.locator(".job-legend button").all_text_contents()
        await page.click(".job-legend button")
        await expect(page.locator(".job-text mark")).to_have_count(0)
        bad = await page.locator(".job-text .negative").count()
        port = server.port
    assert marks == ["Ada", "Grace"]
    assert strip.startswith("+\N{MINUS SIGN}")
    assert shown.startswith(text)
    assert summary == "🙂 Ada had a lovely day."
    assert [words.startswith("PERSON Ada, Grace") for words in legend] == [True]
    assert bad > 0
    assert watched.errors == []
    assert {address.split("/")[2] for address in watched.asked} == {f"127.0.0.1:{port}"}


async def test_a_generation_streams_and_is_cancelled(open_page):
    """Tokens show while they come; the card's button cancels and the time of the stop is shown."""
    engine = FakeEngine()
    async with serving(engine) as server:
        page = (await open_page(page_of(server))).page
        await page.wait_for_selector(OPEN)
        await page.click("#tab-generate")
        await page.fill("#prompt", "Once")
        await page.fill("#top-k", "5")
        await page.fill("#stop", "THE END")
        await page.click("#generate button[type=submit]")
        call = await engine.calls.get()
        (item,) = call.items
        assert (item["top_k"], item["stop"], item["temperature"]) == (5, ["THE END"], None)
        call.delta(text=" upon a time")
        await expect(page.locator(".job-text")).to_have_text("Once upon a time")
        await page.click(".job-cancel")
        await page.wait_for_selector(".job[data-state=cancelled]")
        assert call.cancelled.is_set()
        assert "after the stop" in await page.locator(".job-timing").text_content()
        assert await page.locator(".job-cancel").is_hidden()


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


async def test_a_lost_connection_is_told_and_made_again(open_page):
    """While the server is gone the page counts down to the next try; `Now` does not wait for it."""
    async with serving(FakeEngine(answers=plausible)) as server:
        page = (await open_page(page_of(server))).page
        await page.wait_for_selector(OPEN)
        port = server.port
    await page.wait_for_selector("#connection[data-state=reconnecting]")
    assert "try" in await page.locator("#connection").text_content()
    async with serving(FakeEngine(answers=plausible), port=port):
        await page.wait_for_selector(OPEN)
        assert await page.locator("#reconnect").is_hidden()
        await run_text(page, "Ada had a lovely day, she said.")
        await page.wait_for_selector(".job[data-state=completed]")


async def test_frames_are_shown_both_ways_and_can_be_told_apart(open_page):
    """As they were on the wire, by type and by job; a pause keeps the list as it is."""
    async with serving(FakeEngine(answers=plausible)) as server:
        page = (await open_page(page_of(server))).page
        await run_text(page, "Ada had a lovely day, she said.")
        await page.wait_for_selector(".job[data-state=completed]")
        await page.click("#frames-box > summary")
        frames = page.locator(".frame > summary")
        await expect(frames.filter(has_text="welcome")).to_have_count(1)
        assert await frames.filter(has_text='"text":"Ada had a lovely day').count() == 1
        await page.fill("#frames-type", "done completed")
        await expect(frames).to_have_count(1)
        await frames.click()
        assert '"status": "completed"' in await page.locator(".frame pre").text_content()
        await page.fill("#frames-type", "welcome")
        await page.select_option("#frames-job", index=1)
        await expect(frames).to_have_count(0)


@pytest.fixture
async def copied(open_page):
    """A function that copies the submit of a text with quotes of every kind; the url; the text."""
    text = """Ada had a 'lovely' "day" in Ōsaka 🙂, and $HOME was \\ `far` away."""
    async with serving(FakeEngine(answers=plausible)) as server:
        page = (await open_page(page_of(server))).page
        await run_text(page, text)
        await page.wait_for_selector(".job[data-state=completed]")
        await page.click("#frames-box > summary")
        await page.locator(".frame > summary").filter(has_text="→").first.click()
        await page.evaluate(
            "navigator.clipboard.writeText = async (text) => { window.copied = text }"
        )

        async def copy(button: str) -> str:
            await page.click(f"text={button}")
            return await page.evaluate("window.copied")

        yield copy, server.url, text


async def test_a_submit_is_copied_as_a_python_program_that_runs(copied, tmp_path: Path):
    """It prints the events and the result of the same job."""
    copy, _, text = copied
    program = tmp_path / "job.py"
    program.write_text(await copy("Copy as Python"), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, program, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert f"'text_length': {len(text)}" in out.decode()


async def test_a_submit_is_copied_for_wscat_and_for_javascript(copied):
    """The shell hands wscat the same JSON; the module imports the server's own client."""
    copy, url, text = copied
    words = shlex.split(await copy("Copy as wscat"))
    assert words[:4] == ["npx", "wscat@6", "-c", url.rstrip("/")]
    assert json.loads(words[5])["text"] == text
    module = await copy("Copy as JavaScript")
    assert f'from "{page_address(url)}/wsproc.js"' in module
    assert json.dumps(text, ensure_ascii=False) in module


def page_address(url: str) -> str:
    """The address that pages of the server have, without a path."""
    return url.replace("ws://", "http://").rstrip("/")


async def test_a_text_is_read_while_it_is_typed(open_page):
    """One live job is revised at each change, and finished by the button."""
    async with serving(FakeEngine(answers=plausible)) as server:
        page = (await open_page(page_of(server))).page
        await page.wait_for_selector(OPEN)
        await page.click("#tab-live")
        await page.locator("#live-text").press_sequentially("Ada had a lovely day.")
        await expect(page.locator(".job-text")).to_have_text("Ada had a lovely day.")
        await expect(page.locator(".job-text .positive")).to_have_count(1)
        assert await page.locator(".job").count() == 1
        await page.click("#live button[type=submit]")
        await page.wait_for_selector(".job[data-state=completed]")


async def test_keys_run_cancel_and_walk(open_page):
    """Ctrl+Enter runs the form, arrows walk through the strip, Esc cancels, ? lists the keys."""
    async with serving(FakeEngine(answers=plausible)) as server:
        page = (await open_page(page_of(server))).page
        await page.wait_for_selector(OPEN)
        await page.fill("#chunk-size", "50")
        await page.fill("#text", "Ada had a lovely day. " * 6)
        await page.press("#text", "Control+Enter")
        await page.wait_for_selector(".job[data-state=completed]")
        cells = page.locator(".job-strip button")
        await cells.first.focus()
        await page.keyboard.press("ArrowRight")
        await expect(cells.nth(1)).to_be_focused()
        assert "chunk 2" in await page.locator(".job-count").text_content()
        await page.keyboard.press("?")
        assert await page.locator("#keys").is_visible()
        await page.keyboard.press("Escape")
        await page.fill("#text", f"{UNENDING} {'and on and on ' * 9}")
        await page.press("#text", "Control+Enter")
        await page.wait_for_selector(".job[data-state=running]")
        await page.locator(".job-cancel").first.focus()
        await page.keyboard.press("Escape")
        await page.wait_for_selector(".job[data-state=cancelled]")


async def test_a_file_is_taken_as_the_text(open_page, tmp_path: Path):
    """By the button; a dropped one goes the same way."""
    file = tmp_path / "text.txt"
    file.write_text("Grace slept through it all.", encoding="utf-8")
    async with serving(FakeEngine(answers=plausible)) as server:
        page = (await open_page(page_of(server))).page
        await page.wait_for_selector(OPEN)
        await page.set_input_files("#file", file)
        await expect(page.locator("#text")).to_have_value("Grace slept through it all.")


async def test_a_token_is_asked_for_where_the_server_wants_one(open_page):
    """A wrong one is told, the right one lets in, and neither stands in the address."""
    auth = AuthConfig(tokens={"ada": "s3cret-token"})
    async with serving(FakeEngine(answers=plausible), auth=auth) as server:
        page = (await open_page(page_of(server))).page
        for token in ("wrong", "s3cret-token"):
            await page.wait_for_selector("#token-form:not([hidden])")
            await page.fill("#token", token)
            await page.click("#token-form button")
        await page.wait_for_selector(OPEN)
        assert await page.locator("#token-form").is_hidden()
        assert "s3cret" not in page.url


AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing(open_page, theme):
    """With results, an error, a stopped generation and the frames on the page, in both themes."""
    async with serving(FakeEngine(answers=plausible)) as server:
        page = (await open_page(page_of(server), color_scheme=theme)).page
        await run_text(page, "Ada had a lovely day. The train was slow and awful. " * 3)
        await page.wait_for_selector(".job[data-state=completed]")
        await run_text(page, "short")
        await page.wait_for_selector(".job[data-state=rejected]")
        await page.click("#frames-box > summary")
        await page.locator(".frame > summary").first.click()
        # Outside of the page's own policy, which lets no script of a test in.
        found = await (await page.context.new_cdp_session(page)).send(
            "Runtime.evaluate",
            {
                "expression": f"{AXE.read_text(encoding='utf-8')}; axe.run().then((found) =>"
                " JSON.stringify(found.violations.map(({id, nodes}) => [id, nodes[0].html])))",
                "awaitPromise": True,
                "returnByValue": True,
            },
        )
        assert json.loads(found["result"]["value"]) == []


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
