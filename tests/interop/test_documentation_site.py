"""The built documentation in a browser: formulas, no other machine, no sideways scrolling.

``SKCNN_HTML`` names the folder of pages that Sphinx has built (``.ci/run`` sets it).
Without it, or without Debian's ``chromium``, nothing is tested.
"""

import json
import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest

from tests.waiting import PATIENCE

SITE, BROWSER = os.environ.get("SKCNN_HTML", ""), shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SITE, reason="SKCNN_HTML names no built documentation"),
    pytest.mark.skipif(not BROWSER, reason="chromium is not installed"),
]

WIDTHS = [1280, 390]  # of a screen and of a phone

CHECK = Path(__file__).with_name("check_pages.html")


class Handler(SimpleHTTPRequestHandler):
    """Serves the site and the page that checks it, and collects what the browser reports."""

    def do_GET(self):
        if self.path == "/check":
            self.answer("text/html", CHECK.read_text(encoding="utf-8"))
        elif self.path == "/check/pages":
            root = Path(self.directory)
            pages = sorted(
                f"/{page.relative_to(root)}"
                for page in root.rglob("*.html")
                if "_static" not in page.parts  # parts of pages
            )
            self.answer("application/json", json.dumps({"pages": pages, "widths": WIDTHS}))
        else:
            super().do_GET()

    def answer(self, kind, text):
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())

    def do_POST(self):
        received = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer("text/plain", "")
        if self.path == "/check/found":
            self.server.found.put(received)
        else:
            self.server.blocked.append(received["csp-report"])

    def end_headers(self):
        # the browser blocks whatever comes from elsewhere, and reports it
        allowed = "'self' data: blob: 'unsafe-inline' 'unsafe-eval'"
        self.send_header(
            "Content-Security-Policy", f"default-src {allowed}; report-uri /check/blocked"
        )
        super().end_headers()

    def send_error(self, code, *args, **kwargs):
        self.server.missing.append((code, self.path))
        super().send_error(code, *args, **kwargs)

    def log_message(self, *args):
        pass


@contextmanager
def serving(folder):
    """A server of a folder on this machine, which records what it is asked for and told."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        server.found, server.blocked, server.missing = Queue(), [], []
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def command(profile, *arguments):
    """The browser's command line: it has no window, and knows no other machine."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # which refuses to run for root
    return [
        BROWSER, "--headless", *sandbox, "--disable-gpu", "--disable-dev-shm-usage",
        "--hide-scrollbars", "--no-first-run", f"--user-data-dir={profile}",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", *arguments,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Findings of a browser on all pages, what it refused to load, and what was missing."""
    with serving(SITE) as server:
        address = f"http://127.0.0.1:{server.server_port}/check"
        browser = subprocess.Popen(
            command(tmp_path_factory.mktemp("browser"), "--remote-debugging-port=0", address),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            found = server.found.get(timeout=PATIENCE)
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()
        assert isinstance(found, list), found
        return found, server.blocked, server.missing


def test_formulas_are_rendered(site):
    pages, _, _ = site
    assert sum(page["formulas"] for page in pages) > 100
    assert [(page["page"], page["raw"]) for page in pages if page["raw"]] == []
    assert [(page["page"], page["errors"]) for page in pages if page["errors"]] == []


def test_nothing_comes_from_another_machine(site):
    _, blocked, _ = site
    assert [(report["document-uri"], report["blocked-uri"]) for report in blocked] == []


def test_nothing_is_missing(site):
    _, _, missing = site
    assert missing == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_scrolls_sideways(site, width):
    pages, _, _ = site
    wide = [(page["page"], *rest) for page in pages for at, *rest in page["wide"] if at == width]
    assert wide == []


def test_formulas_are_rendered_from_a_disk(tmp_path):
    page = Path(SITE).resolve() / "mathematics" / "convolution.html"
    arguments = ["--virtual-time-budget=60000", "--dump-dom", page.as_uri()]
    run = subprocess.run(
        command(tmp_path, *arguments), capture_output=True, text=True, timeout=PATIENCE
    )
    assert run.stdout.count("<mjx-container") > 10
