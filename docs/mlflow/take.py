"""Pictures of docs/mlflow.md: MLflow with the stored runs, as the links of ``make ui`` open it.

Needs the extra [dev] and Chromium. ``python docs/mlflow/take.py`` takes a few minutes.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parent
REPOSITORY = FOLDER.parents[1]
sys.path.insert(0, str(REPOSITORY))

from reproduce.lab.store import Store  # noqa: E402
from reproduce.tracking.client import MlflowRuns  # noqa: E402
from reproduce.tracking.importing import import_store  # noqa: E402
from reproduce.tracking.links import links  # noqa: E402
from reproduce.tracking.server import Address, serving  # noqa: E402

SIZE = {"width": 1440, "height": 900}
WAIT_MS = 60_000
# The first page of all opens MLflow's assistant; a reader closes it once.
NO_ASSISTANT = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"
DRAWN = "document.querySelectorAll('.js-plotly-plot .main-svg .trace').length"
# Charts with bars, which only the section "At the end" has.
WITH_BARS = "document.querySelectorAll('.js-plotly-plot:has(.barlayer .point)').length"


def picture(page: Page, name: str) -> None:
    """Write what the page shows as PNG, in 52 shades of each colour, which makes it small."""
    page.mouse.move(0, 0)
    page.wait_for_timeout(4000)  # axes, names and the last curve come one after another
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path, animations="disabled")
    shades = [5 * round(value / 5) for value in range(256)]
    Image.open(path).convert("RGB").point(shades * 3).save(path, optimize=True)
    print(f"wrote {path}, {path.stat().st_size // 1024} kB")


def take(page: Page, address: str) -> None:
    """Take the three pictures, from the link of a view on."""
    page.goto(address)
    page.wait_for_function(f"{DRAWN} > 2", timeout=WAIT_MS)
    picture(page, "learning-curves")
    for section in ("Learning curves", "At the end"):
        page.get_by_text(section, exact=True).click()
    page.wait_for_function(f"{WITH_BARS} == 3", timeout=WAIT_MS)
    picture(page, "at-the-end")
    page.get_by_text("At the end", exact=True).click()
    # The arrow beside the one line of the description that is seen.
    seen = page.get_by_text("Learning curves of every task")
    seen.locator("xpath=ancestor::*[.//button][1]").locator("button").last.click()
    page.locator("a[href*='T-Ant-paper&']").wait_for()
    picture(page, "description")


def main() -> None:
    """Import the store into a database that is made for this, serve it, and take the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        import_store(Store(REPOSITORY / "results" / "runs"), MlflowRuns(uri))
        with serving(uri, Address()) as (base, _), sync_playwright() as playwright:
            addresses = [link for titles in links(MlflowRuns(uri), base).values() for link in titles.values()]
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
            page = browser.new_page(viewport=SIZE)
            page.add_init_script(NO_ASSISTANT)
            take(page, next(one for one in addresses if "=HalfCheetah-paper&" in one))
            browser.close()


if __name__ == "__main__":
    main()
