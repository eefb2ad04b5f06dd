"""medray.report: one page that needs nothing, says what the numbers say, and trusts no string."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import pyarrow as pa
import pytest

from medray.evaluation.thresholds import Threshold, choose_threshold
from medray.report.data import ModelRow, Reconciliation, ReportData, ReportPart, SampleImage, WorklistRow
from medray.report.figures import draw, image_uri, overlay_uri
from medray.report.html import render_report
from medray.tasks.binary import Binary, roc_curves
from medray.tasks.decision import Decision, Judged
from medray.tasks.page import Matrix, Plot

VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """Tags with attributes and the visible text of a page; refuses tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def values(self, attribute: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(attribute)) is not None]


def _task(positive: str = "malignant") -> Binary:
    return Binary(target="finding", positive=positive)


def _judged(name: str, y: np.ndarray, p: np.ndarray, reason: str = "maximises J", threshold: float | None = None) -> Judged:
    rows = pa.table({"target": y, "probability": p, "group": [f"p{number}" for number in range(len(y))]})
    value = choose_threshold(y, p).value if threshold is None else threshold
    decision = Decision(thresholds={"positive": Threshold(value=value, reason=reason)})
    return Judged(name, rows, _task().evaluate(rows, decision), decision)


def _model(name: str, strength: float, n: int = 120, reason: str = "maximises J") -> Judged:
    rng = np.random.default_rng(7)
    y = np.arange(n) % 3 // 2
    return _judged(name, y, 1 / (1 + np.exp(-(rng.normal(size=n) + strength * (y - 0.4)))), reason)


def _report(title: str, *models: Judged, selected: str = "", split: str = "test", positive: str = "malignant") -> ReportData:
    task = _task(positive)
    rows = tuple(ModelRow(model.name, tuple(task.cells(model.figures))) for model in models)
    chosen = models[0].name if len(models) == 1 else selected
    return ReportData(title=title, parts=(ReportPart(task.page(models, chosen, split), "", rows, split, selected),))


def _with_samples(report: ReportData, *samples: SampleImage) -> ReportData:
    return replace(report, parts=(replace(report.parts[0], samples=samples),))


def _sample(label: str = "benign", saliency: bool = True) -> SampleImage:
    pixels = np.linspace(0, 1, 64 * 80, dtype=np.float32).reshape(64, 80)
    return SampleImage(pixels, "0.25", label, pixels if saliency else None, "where it looks", "SYN-1")


def _full(text: str = "") -> ReportData:
    reason = f"maximises J{text}"
    models = (_model(f"XGBoost{text}", 1.0, reason=reason), _model(f"CNN{text}", 2.5, reason=reason))
    return replace(
        _with_samples(
            _report(f"Screening{text}", *models, selected=f"CNN{text}", positive=f"malignant{text}"),
            _sample(f"benign{text}"),
            _sample(saliency=False),
        ),
        date=f"today{text}",
        facts={f"Bundle{text}": f"b-1{text}"},
        worklist=(WorklistRow(f"st-1{text}", f"0.90{text}", 0.9, 3, True), WorklistRow("st-2", "0.10", 0.1, 1, False)),
        worklist_total=50,
        reconciliation=Reconciliation(10, 6, 1, 2, 1, {f"PIXELS_SHORT{text}": 2}),
        provenance={f"Specs{text}": {"steps": [f"window{text}"]}},
    )


def test_page_is_self_contained_and_small() -> None:
    html = render_report(_full())
    page = Page(html)
    names = {tag for tag, _ in page.tags}
    assert names.isdisjoint({"script", "link", "iframe", "object", "embed", "form", "base"})
    assert page.values("src")
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.values("src"))
    assert all(link.startswith("#") for link in page.values("href") + page.values("xlink:href"))
    assert not re.search(r"url\((?!#)|@import", html)
    assert len(html) < 2_000_000
    assert not any(attribute.startswith("on") for _, attributes in page.tags for attribute in attributes)


def test_page_says_what_the_numbers_say() -> None:
    report = _full()
    chosen: Any = _model("CNN", 2.5).figures
    page = Page(render_report(report))
    assert f"CNN reaches an AUROC of {chosen.auroc.value:.3f}" in page.text
    assert f"it finds {chosen.confusion.tp} of {chosen.positives} malignant images" in page.text
    for expected in ("Screening", "today", "b-1", "chosen", "urgent", "The first 2 of 50 studies", "PIXELS_SHORT"):
        assert expected in page.text
    assert "do not add up" not in page.text
    assert page.text.count("urgent") == 1
    assert "For research use. Not a medical device" in page.text


def test_images_and_figures_have_alternative_texts() -> None:
    page = Page(render_report(_full()))
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    figures = [attributes for _, attributes in page.tags if attributes.get("role") == "img"]
    assert len(figures) == 4
    assert all(attributes.get("aria-label") for attributes in figures)


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "\"><img src=x onerror='x'>",
        "]]></style><b>",
        "{{ 7 * 7 }}{% raw %}",
        "$\\frac{",
        "&lt;",
    ],
)
def test_hostile_strings_stay_text(hostile: str) -> None:
    page = Page(render_report(_full(hostile)))
    assert [tag for tag, _ in page.tags] == _clean_tags()
    for expected in (
        f"Screening{hostile}",
        f"b-1{hostile}",
        f"CNN{hostile}",
        f"st-1{hostile}",
        f"PIXELS_SHORT{hostile}",
    ):
        assert expected in page.text


def drawn(plot: Plot | None) -> str:
    assert plot is not None
    return draw(plot)


@cache
def _clean_tags() -> list[str]:
    return [tag for tag, _ in Page(render_report(_full())).tags]


def test_everything_is_optional() -> None:
    bare = Page(render_report(ReportData(title="Empty")))
    assert {"table", "img", "svg", "details"}.isdisjoint(tag for tag, _ in bare.tags)
    single = Page(render_report(_with_samples(_report("One", _model("SVM", 1.0)), _sample(saliency=False))))
    assert "SVM reaches an AUROC" in single.text
    assert "chosen" not in single.text
    assert len([tag for tag, _ in single.tags if tag == "img"]) == 1


def test_a_report_may_have_several_parts() -> None:
    first, second = _report("Two", _model("SVM", 1.0)), _report("", _model("CNN", 2.0))
    parts = (replace(first.parts[0], heading="malignant"), replace(second.parts[0], heading="outlines"))
    page = Page(render_report(replace(first, parts=parts, facts={"Bundle": "b-1"})))
    assert "SVM reaches an AUROC" in page.text
    assert "CNN reaches an AUROC" in page.text
    assert page.text.count("b-1") == 1
    labels = page.values("aria-labelledby")
    assert {"models", "models1", "figures", "figures1"} <= set(labels) <= set(page.values("id"))


def test_undefined_figures_are_dashes_not_numbers() -> None:
    y, p = np.zeros(20, np.int64), np.linspace(0, 0.6, 20)
    model = _judged("XGBoost", y, p, threshold=0.5)
    report = _report("Healthy only", model, _model("SVM", 1.0), selected="XGBoost", positive="sick")
    assert report.parts[0].page.summary.startswith("The AUROC of XGBoost is undefined on 20 test images of one class.")
    page = Page(render_report(report))
    assert not re.search(r"\bnan\b", page.text.lower())
    assert "None" not in page.text
    assert roc_curves([model]) is None


def test_missing_inputs_are_called_out() -> None:
    report = ReportData(title="Night", reconciliation=Reconciliation(10, 6, 1, 1, 1))
    assert "The states do not add up to the inputs" in Page(render_report(report)).text


def test_same_report_same_bytes_and_no_state_left() -> None:
    before = dict(mpl.rcParams)
    report = _full()
    assert render_report(report) == render_report(report)
    assert dict(mpl.rcParams) == before


def test_figures_take_their_colours_from_the_page() -> None:
    svg = drawn(roc_curves([_model("SVM", 1.0), _model("CNN", 2.0)]))
    assert "var(--series-0)" in svg
    assert "var(--series-1)" in svg
    assert "var(--ink)" in svg
    assert not re.search(r"#0[1-9]0[1-9]0[1-9]", svg)
    counts = np.array([[98, 3], [4, 15]])
    assert ">98<" in draw(Matrix("Decisions", "", ("no", "yes"), counts))


def test_many_cases_keep_the_figure_small() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 30_000)
    p = np.clip(rng.normal(0.3 + 0.3 * y, 0.2), 0, 1)
    assert len(drawn(roc_curves([_judged("SVM", y, p, threshold=0.5)]))) < 300_000


def test_image_and_overlay_show_their_pixels() -> None:
    ramp = np.tile(np.linspace(0, 1, 640, dtype=np.float32), (320, 1))
    image = _decoded(image_uri(ramp))
    assert image.shape == (160, 320, 3)
    assert np.abs(image.astype(float).mean(axis=(0, 2)) - np.linspace(0, 255, 320)).max() < 4
    nowhere, everywhere = np.zeros((8, 8), np.float32), np.ones((8, 8), np.float32)
    assert np.abs(_decoded(overlay_uri(ramp, nowhere)).astype(int) - image).max() < 8
    marked = _decoded(overlay_uri(ramp, everywhere)).astype(int)
    assert (marked[..., 2] - marked[..., 0]).min() > 40


def _decoded(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.partition(",")[2])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_the_page_says_which_images_the_figures_are_of() -> None:
    page = render_report(_report("Run", _model("SVM", 1.0), split="validation"))
    assert "Models on the validation images" in page
    assert "test images" not in page


def test_a_browser_shows_the_page(tmp_path: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not installed")
    page, picture = tmp_path / "report.html", tmp_path / "report.png"
    page.write_text(render_report(_full()))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    flags += ["--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1100,2400"]
    subprocess.run([browser, *flags, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True, timeout=120)
    shown = cv2.imread(str(picture), cv2.IMREAD_COLOR)
    assert shown is not None
    rows_with_ink = (np.ptp(shown.reshape(len(shown), -1).astype(int), axis=1) > 60).mean()
    colours = len(np.unique(shown.reshape(-1, 3), axis=0))
    assert rows_with_ink > 0.5, "most of the page is blank"
    assert colours > 1000, "images and figures are missing"
