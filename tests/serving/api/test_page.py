"""The page at `/`, in a real browser."""

import re
import shutil
import subprocess

import pytest

from slipway.cases import CASES

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def page(served, tmp_path_factory):
    """What the browser made of the page of one case: the text of its document, after its scripts ran."""
    if BROWSER is None:
        pytest.skip("no browser: install Chromium (Debian: apt-get install chromium)")

    def dump(operation):
        profile = f"--user-data-dir={tmp_path_factory.mktemp('profile')}"
        url = f"{served.client.base_url}#/Models/slipway__{operation}"
        command = [BROWSER, *FLAGS, profile, "--virtual-time-budget=10000", "--dump-dom", url]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout

    return dump


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.reads is not None])
def test_it_offers_to_choose_a_file(page, name):
    assert re.search(r"""<input[^>]*type=["']?file""", page(name))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.reads is None])
def test_it_offers_an_example_ready_to_send(page, name):
    (body,) = re.findall(r"<textarea[^>]*>(.*?)</textarea>", page(name), re.DOTALL)
    assert all(f'"{feature}"' in body for feature in CASES[name].features)


def test_it_lists_every_case_and_asks_no_other_site(page):
    text = page("fruit")
    assert all(case.route in text.replace("<wbr>", "") for case in CASES.values())
    hosts = set(re.findall(r"""(?:src|href)=["']?https?://([^/"']+)""", text))
    assert all(host.startswith("127.0.0.1") for host in hosts)


def test_it_describes_the_one_error_shape(served):
    page = served.client.get("/docs.json").json()
    for case in CASES.values():
        responses = page["paths"][case.route]["post"]["responses"]
        assert set(responses) == {"200", "400", "401", "408", "413", "415", "429", "431", "500"}
    assert set(page["components"]["schemas"]["Error"]["required"]) == {"error", "detail", "request_id"}
