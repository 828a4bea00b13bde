"""The page in a real browser, opened from a file as a reader would."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dashboards.pages.study import write
from studies.analysis.view import StudyView
from studies.core.records import StudyRecord
from tests.records import awkward_study, study_record
from tests.repeats import close_study, thorough_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium was found")


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield opened
        opened.close()


class Reader:
    """An open page, and everything that the browser complained of or asked the network for."""

    def __init__(self, browser: "Browser", path: Path, scheme: str) -> None:
        self.page: Page = browser.new_page(viewport={"width": 1200, "height": 900})
        self.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url.split(":")[0]))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-charts=drawn]")

    def column(self, title: str) -> list[str]:
        script = """title => {
            const table = document.getElementById("trials");
            const index = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent === title);
            return [...table.tBodies[0].rows].map((row) => row.cells[index].textContent);
        }"""
        return list(self.page.evaluate(script, title))

    def head(self, title: str) -> str:
        return f"#trials thead button:text-is('{title}')"

    def shown(self) -> int:
        return self.page.locator("#trials tbody tr:visible").count()

    def ground(self) -> str:
        return str(self.page.evaluate("getComputedStyle(document.body).backgroundColor"))

    def plot_ground(self) -> str:
        return str(self.page.evaluate("document.querySelector('.plot')._fullLayout.paper_bgcolor"))


def opened(browser: "Browser", folder: Path, study: StudyRecord, scheme: str = "light") -> Reader:
    path = folder / "page.html"
    write(StudyView(study), path)
    return Reader(browser, path, scheme)


@pytest.fixture(scope="module")
def reader(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    made = opened(browser, tmp_path_factory.mktemp("page"), study_record(40))
    yield made
    made.page.close()


@pytest.fixture(scope="module")
def awkward(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    made = opened(browser, tmp_path_factory.mktemp("page"), awkward_study())
    yield made
    made.page.close()


@pytest.fixture(scope="module")
def dark(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    made = opened(browser, tmp_path_factory.mktemp("page"), study_record(5), scheme="dark")
    yield made
    made.page.close()


@pytest.fixture(scope="module")
def thorough(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    study = thorough_study(drift=0.05, constraints=["error<=0.01", "p99_bound_ms<=33"])
    made = opened(browser, tmp_path_factory.mktemp("page"), study)
    yield made
    made.page.close()


def assert_complete(reader: Reader) -> None:
    """Every chart is drawn, nothing is amiss, and nothing was fetched."""
    page = reader.page
    drawn = page.locator(".plot").evaluate_all(
        "plots => plots.map((plot) => plot.querySelectorAll('.point, .box, .js-line').length)"
    )
    assert len(drawn) >= 3
    assert min(drawn) > 0
    assert page.locator(".waiting").count() == 0
    assert "NaN" not in page.inner_text("body")
    assert "NaN" not in "".join(page.locator("svg").all_text_contents())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert reader.complaints == []
    assert set(reader.requests) <= {"file", "data", "blob"}


def test_the_page_opens_from_a_file_draws_every_chart_and_asks_for_nothing(reader: Reader) -> None:
    assert_complete(reader)
    assert reader.page.locator(".plot").count() == 5


def test_repeats_are_drawn_and_described(thorough: Reader) -> None:
    assert_complete(thorough)
    assert thorough.page.locator(".plot").count() == 8
    assert thorough.page.locator(".finals tbody tr").count() == 4
    assert "99\N{NO-BREAK SPACE}% of inferences meet 33 ms" in thorough.page.inner_text(".evidence")


def test_every_view_of_the_machine_is_drawn(thorough: Reader) -> None:
    for view, unit in (("Power", "W"), ("Temperature", "°C"), ("Clock", "MHz")):
        thorough.page.click(f"#machine button:text-is('{view}')")
        assert str(thorough.page.text_content("#machine .ytitle")) == f"{view.lower()} ({unit})"
    assert thorough.complaints == []


def test_the_filter_finds_trials_that_were_stopped_early(thorough: Reader) -> None:
    states = thorough.column("state")
    thorough.page.fill("#filter", "stopped early")
    assert thorough.shown() == sum("stopped early" in state for state in states) > 0
    thorough.page.fill("#filter", "")


def test_names_with_markup_break_nothing(awkward: Reader) -> None:
    assert_complete(awkward)


@pytest.mark.parametrize(
    "study",
    [study_record(30, objectives=["latency_ms", "engine_bytes"]), study_record(1), close_study()],
    ids=["two objectives", "only the baseline", "no telemetry"],
)
def test_unusual_studies_are_complete_too(browser: "Browser", tmp_path: Path, study: StudyRecord) -> None:
    reader = opened(browser, tmp_path, study)
    assert_complete(reader)
    reader.page.close()


def test_text_in_charts_is_shown_letter_by_letter(awkward: Reader) -> None:
    labels = awkward.page.locator("#choices .ytick text").all_text_contents()
    assert any("<script>alert('x')" in label for label in labels)
    assert not any("&quot;" in label or "&lt;" in label for label in labels)


def test_pointing_at_a_box_shows_the_trial(reader: Reader) -> None:
    point = reader.page.locator("#distributions .point").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    assert box is not None
    reader.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    text = reader.page.locator("#distributions .hoverlayer .hovertext")
    text.wait_for()
    assert "trial" in (text.text_content() or "")
    assert "middle half" in (text.text_content() or "")


def test_no_button_sends_a_chart_anywhere(reader: Reader) -> None:
    reader.page.locator("#accuracy .plot").hover()
    names = reader.page.locator("#accuracy .modebar-btn").evaluate_all(
        "buttons => buttons.map((button) => button.dataset.title)"
    )
    assert names == ["Download plot as a PNG", "Reset axes"]


def test_numbers_are_sorted_as_numbers_with_the_missing_ones_last(reader: Reader) -> None:
    for sign in (1, -1):
        reader.page.click(reader.head("latency_ms"))
        texts = reader.column("latency_ms")
        present = [float(text.split()[0]) for text in texts if text[0].isdigit()]
        assert present == sorted(present, key=lambda value, sign=sign: sign * value)  # type: ignore[misc]
        assert not any(text[0].isdigit() for text in texts[len(present) :])
    sorted_by = reader.page.locator("#trials th[aria-sort=descending]")
    assert sorted_by.all_text_contents() == ["latency_ms"]
    reader.page.click(reader.head("trial"))
    assert reader.column("trial") == [str(number) for number in range(40)]


def test_text_is_sorted_by_the_keyboard_with_the_empty_last(reader: Reader) -> None:
    reader.page.locator(reader.head("what went wrong")).focus()
    reader.page.keyboard.press("Enter")
    texts = reader.column("what went wrong")
    filled = [text for text in texts if text]
    assert 0 < len(filled) < len(texts)
    assert texts[: len(filled)] == filled
    assert filled == sorted(filled)
    reader.page.click(reader.head("trial"))


def test_the_filter_shows_rows_that_have_every_word(reader: Reader) -> None:
    states, precisions = reader.column("state"), reader.column("precision")
    expected = sum(
        state == "failed" and precision == "int8" for state, precision in zip(states, precisions, strict=True)
    )
    reader.page.fill("#filter", "INT8 failed")
    assert reader.shown() == expected
    assert reader.page.inner_text("#shown") == f"{expected} of 40 trials"
    reader.page.fill("#filter", "")
    assert reader.shown() == 40


def test_a_link_to_a_row_that_is_filtered_out_brings_it_back(reader: Reader) -> None:
    reader.page.fill("#filter", "nothing has these words")
    assert reader.shown() == 0
    link = reader.page.locator(".listed.failed a").first
    target = link.get_attribute("href")
    link.click()
    reader.page.locator(f"#trials {target}").wait_for(state="visible")


def test_the_theme_follows_the_system_and_the_button_and_charts_follow_both(dark: Reader) -> None:
    assert (dark.ground(), dark.plot_ground()) == ("rgb(17, 21, 27)", "#191f28")
    dark.page.click("#theme")
    assert (dark.ground(), dark.plot_ground()) == ("rgb(246, 247, 249)", "#ffffff")
    dark.page.click("#theme")
    assert dark.plot_ground() == "#191f28"
    assert dark.complaints == []


def test_print_is_light_and_fits_and_the_screen_returns(dark: Reader) -> None:
    width = "document.querySelector('.plot')._fullLayout.width"
    before = dark.page.evaluate(width)
    dark.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert (dark.plot_ground(), dark.page.evaluate(width)) == ("#ffffff", 960)
    dark.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert (dark.plot_ground(), dark.page.evaluate(width)) == ("#191f28", before)


def test_views_of_a_chart_are_changed_by_their_buttons(reader: Reader) -> None:
    title = "#best-so-far .xtitle"
    assert reader.page.text_content(title) == "trial"
    reader.page.click("text=By time")
    assert str(reader.page.text_content(title)).startswith("time (")
    assert reader.page.locator("#best-so-far [aria-pressed=true]").all_text_contents() == ["By time"]


@pytest.mark.parametrize("name", ["awkward", "thorough"])
def test_a_phone_sees_the_page_without_scrolling_sideways(name: str, request: pytest.FixtureRequest) -> None:
    reader: Reader = request.getfixturevalue(name)
    reader.page.set_viewport_size({"width": 390, "height": 800})
    reader.page.evaluate(
        """new Promise((done) => {
            const all = [...document.querySelectorAll(".main-svg")];
            const fits = () => all.every((one) => one.clientWidth < 390);
            const look = () => fits() ? done() : requestAnimationFrame(look);
            look();
        })"""
    )
    assert reader.page.evaluate("document.documentElement.scrollWidth") == 390


def test_summary_and_table_are_there_without_script(browser: "Browser", tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write(StudyView(study_record(5)), path)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    assert "keep it" in page.inner_text(".verdict")
    assert page.locator("#trials tbody tr").count() == 5
    assert not page.is_visible("#theme")
    context.close()
