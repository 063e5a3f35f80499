from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from edgebrain.benchmarking.suite import Suite, load_suite
from edgebrain.errors import BadSuite
from edgebrain.evaluation.verdict import Margins, Sampling

SHIPPED = Path(__file__).parents[2] / "benchmarks"


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_the_shipped_default_suite_is_what_is_used_without_one() -> None:
    shipped = load_suite(SHIPPED / "default.toml")
    assert (shipped.name, shipped.margins, shipped.sampling) == ("default", Suite().margins, Suite().sampling)
    assert shipped.record().sha256 == Suite().record().sha256


def test_every_shipped_suite_can_be_read() -> None:
    assert [load_suite(path).name for path in sorted(SHIPPED.glob("*.toml"))] == ["default", "small"]


def test_what_is_left_out_has_its_usual_value_and_the_name_is_the_files(tmp_path: Path) -> None:
    suite = load_suite(written(tmp_path, "[margins]\ndice = 0.02\n"))
    assert suite.name == "mine" and suite.margins.dice == 0.02 and suite.margins.accuracy == 0.005
    assert suite.source == str(tmp_path / "mine.toml")


def test_max_dice_drop_is_another_margin_and_leaves_its_trace() -> None:
    suite = Suite().with_dice_margin(0.01)
    assert suite.margins.dice == 0.01 and suite.margins.accuracy == Suite().margins.accuracy
    assert "--max-dice-drop 0.01" in suite.source
    assert suite.record().sha256 != Suite().record().sha256


@pytest.mark.parametrize("text", ["", 'name = "x"', "[margins]\n", "[sampling]\nseed = 1\n"])
def test_a_suite_without_a_margin_is_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadSuite, match="declares no margin"):
        load_suite(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[margins]\ndise = 0.1\n", "unknown key 'margins.dise'", "did you mean dice?"),
        ("[margin]\ndice = 0.1\n", "unknown key 'margin'", "did you mean margins?"),
        ("[margins]\ndice = '1 %'\n", "margins.dice = '1 %': expected float, got str", ""),
        ("[margins]\ndice = true\n", "margins.dice = True: expected float, got bool", ""),
        ("[margins]\ndice = 0.6\n", "margins.dice = 0.6 is not between", ""),
        ("[margins]\ndice = -0.1\n", "is not between", ""),
        ("[margins]\ndice = nan\n", "is not between", ""),
        ("margins = 1\n", "margins must be a table", ""),
        ("name = 3\n[margins]\ndice = 0.1\n", "name = 3: expected str, got int", ""),
        ("[margins]\ndice = 0.1\n[sampling]\nresamples = 10\n", "sampling.resamples = 10 is not between", ""),
        (
            "[margins]\ndice = 0.1\n[sampling]\nresamples = 2000.5\n",
            "sampling.resamples = 2000.5: expected int, got float",
            "",
        ),
        ("[margins]\ndice = 0.1\n[sampling]\nconfidence = 1\n", "is not between", ""),
        ("[margins\n", "is not TOML", "default.toml"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(BadSuite) as caught:
        load_suite(written(tmp_path, text))
    assert str(tmp_path / "mine.toml") in caught.value.message
    assert message in caught.value.message and hint in caught.value.hint


def test_a_suite_that_is_not_there_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(BadSuite, match=r"none\.toml: cannot be read \(No such file"):
        load_suite(tmp_path / "none.toml")


def test_a_file_may_declare_every_margin_and_every_figure_of_the_sampling(tmp_path: Path) -> None:
    tables = {"margins": Margins(), "sampling": Sampling()}
    text = "".join(
        f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in asdict(one).items()) for name, one in tables.items()
    )
    suite = load_suite(written(tmp_path, text))
    assert (suite.margins, suite.sampling) == (Margins(), Sampling())
