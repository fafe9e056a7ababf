"""What the demonstration says about itself: what is made up, and plots whose legend covers no curve."""

from __future__ import annotations

from xml.etree import ElementTree

from app import figures
from app.demo import scenario

GROUP = "{http://www.w3.org/2000/svg}g"


def test_what_is_synthetic_names_every_home_that_misses_its_promise() -> None:
    plan = scenario.load()
    told = " ".join(scenario.synthetic(plan))
    for label, home in plan.homes.items():
        part = "proves nothing" if home.silent else f"{round(home.delivers * 100)}%"
        assert (f"{label} ({part})" in told) == (home.silent or home.delivers != 1), label
    assert "10 of 17 homes go all of it" in told


def test_the_legend_of_the_curves_stands_outside_the_plots() -> None:
    level = {"price": 200_000, "quantity_wh": 1000}
    book = {
        "intervals": [{"interval": 16, "bids": [], "offers": [level]}, {"interval": 17, "bids": [level], "offers": [level]}]
    }
    session = {"cleared": [{"interval": 17, "price": 200_000, "volume_wh": 1000}], "price_cap": 600_000}
    figure = ElementTree.fromstring(figures.curves(book, session)).find(f"{GROUP}[@id='figure_1']")
    assert figure is not None
    parts = [group.get("id") for group in figure.findall(GROUP)]
    assert "legend_1" in parts, "it belongs to the figure, not to one of its plots"
    legend = figure.find(f"{GROUP}[@id='legend_1']")
    assert legend is not None
    texts = [group for group in legend.findall(GROUP) if (group.get("id") or "").startswith("text_")]
    assert len(texts) == 2, "bids of any interval and offers, each once"
