"""A real browser for pages: headless Chromium, driven by playwright. Without one the tests are skipped with the reason."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install 'netral[dev]')")
    chromium = next((found for name in NAMES if (found := shutil.which(name))), None)
    if chromium is None:
        pytest.skip(f"no Chromium on this machine (none of {', '.join(NAMES)})")
    # Chromium's own sandbox does not start for the superuser, who runs many a container.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


class Opened:
    """A page opened from disk, and what it did that a page must not do."""

    def __init__(self, page, file: Path) -> None:
        self.page = page
        self.file = file
        self.console: list[str] = []
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        page.on("console", lambda message: self.console.append(message.text))
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", self._dialog)
        page.goto(file.as_uri())

    def _dialog(self, dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def check(self) -> None:
        """No message on the console, no dialog, and nothing asked for but the file itself and what the page made."""
        assert self.console == []
        assert self.dialogs == []
        assert [url for url in self.requests if url.split("#")[0] != self.file.as_uri() and not url.startswith("blob:")] == []


@pytest.fixture
def open_page(browser) -> Iterator[Callable]:
    """Open a file in a fresh profile; at the end of the test every page is checked, and closed."""
    contexts, pages = [], []

    def opener(file: Path, *, context=None, script: str = "", **settings):
        if context is None:
            context = browser.new_context(**settings)
            context.grant_permissions(["clipboard-read", "clipboard-write"])
            contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        if script:
            page.add_init_script(script)
        pages.append(Opened(page, file))
        return page

    yield opener
    try:
        for page in pages:
            page.check()
    finally:
        for context in contexts:
            context.close()
