"""Recipes: every value checked, near spellings offered."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebrain.errors import BadRecipe
from edgebrain.recipe import (
    load_quantize_recipe,
    load_train_recipe,
    replaced,
    shipped_recipes,
)
from edgebrain.settings import as_toml


def written(folder: Path, text: str) -> str:
    (folder / "mine.toml").write_text(text)
    return str(folder / "mine.toml")


def test_every_shipped_recipe_loads_under_its_own_name() -> None:
    assert {"brisc-unet128", "brisc-unet128-s", "demo"} <= set(shipped_recipes("train"))
    assert {"int8", "int8-qat", "int8-prune50", "fp16"} <= set(shipped_recipes("quantize"))
    for name in shipped_recipes("train"):
        assert load_train_recipe(name).name == name
    for name in shipped_recipes("quantize"):
        assert load_quantize_recipe(name).name == name


def test_reference_recipe_holds_the_reference_values() -> None:
    recipe = load_train_recipe("brisc-unet128")
    assert (recipe.model.width, recipe.train.epochs, recipe.train.batch) == (32, 50, 16)
    assert (recipe.train.learning_rate, recipe.split.validation) == (5e-4, 0.15)


@pytest.mark.parametrize("name", ["demo", "brisc-unet128-s"])
def test_a_recipe_written_out_reads_back_the_same(name: str, tmp_path: Path) -> None:
    recipe = load_train_recipe(name)
    again = load_train_recipe(written(tmp_path, as_toml(recipe)))
    assert again == recipe
    assert again.sha256 == recipe.sha256


def test_another_value_gives_another_hash() -> None:
    recipe = load_train_recipe("demo")
    assert replaced(recipe, "train", epochs=3).sha256 != recipe.sha256
    assert replaced(recipe, "train", epochs=None) == recipe


@pytest.mark.parametrize(
    ("text", "said", "way_out"),
    [
        ("[train]\nepoch = 3", "unknown key 'train.epoch'", "did you mean epochs?"),
        ("[trian]\nepochs = 3", "unknown key 'trian'", "did you mean train?"),
        ("[train]\nepochs = 'many'", "expected int, got", ""),
        ("[train]\nepochs = true", "expected int, got", ""),
        ("[train]\nepochs = 0", "not between 1 and", ""),
        ("[train]\nschedule = 'cosin'", "is not known", "did you mean cosine?"),
        ("[model]\nside = 100", "cannot be halved", ""),
        ("train = 3", "must be a table", "write [train]"),
        ("epochs = = 3", "is not TOML", "copy"),
    ],
)
def test_a_wrong_training_recipe_names_key_and_way_out(text: str, said: str, way_out: str, tmp_path: Path) -> None:
    with pytest.raises(BadRecipe) as caught:
        load_train_recipe(written(tmp_path, text))
    assert said in caught.value.message or said in str(caught.value)
    assert way_out in caught.value.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[calibration]\nsplit = 'test'", "must not shape it"),
        ("[calibration]\nsplit = 'val'", "must not shape it"),
        ("[compress]\nprecision = 'int4'", "is not known"),
        ("[compress]\nformats = ['tflight']", "is not known"),
        ("[compress]\nformats = []", "expected array"),
        ("[compress]\nprune = 0.95", "not between"),
        ("[compress]\nprecision = 'fp16'\nqat = true", "gives int8"),
    ],
)
def test_a_wrong_compression_recipe_is_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=said):
        load_quantize_recipe(written(tmp_path, text))


def test_an_unknown_recipe_offers_near_names() -> None:
    with pytest.raises(BadRecipe) as caught:
        load_train_recipe("brisc-unet182")
    assert "brisc-unet128" in caught.value.hint


def test_a_missing_recipe_file_is_named() -> None:
    with pytest.raises(BadRecipe, match=r"nowhere\.toml: no such recipe file"):
        load_train_recipe("nowhere.toml")
