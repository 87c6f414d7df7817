"""A headless Chromium that reaches nothing but this machine."""

from __future__ import annotations

import shutil

import pytest
from playwright.async_api import async_playwright

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


class Watched:
    """What a page did that the tests must know of: its errors and whom it asked."""

    def __init__(self, page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.asked: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._on_console)
        page.on("request", lambda request: self.asked.append(request.url))

    def _on_console(self, message) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)


@pytest.fixture
async def open_page():
    """Open an address in a fresh browser context; context options go to playwright."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("Debian's package chromium is missing: `make test` installs it")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))

        async def open_page(address: str, **options) -> Watched:
            context = await browser.new_context(**options)
            watched = Watched(await context.new_page())
            await watched.page.goto(address)
            return watched

        yield open_page
        await browser.close()
