"""TOML -> a checked Recipe: what to train and how to compress. An unknown key is an error that lists near spellings.

Shipped recipes lie in `train/` and `quantize/` of a checkout and in `edgebrain/recipes/` of an installed wheel.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from edgebrain.errors import BadRecipe
from edgebrain.files import sha256_json
from edgebrain.formats import FORMATS, exported_formats
from edgebrain.model.families import spec_class
from edgebrain.model.spec import Spec
from edgebrain.settings import Meta, from_builtins, near_spellings, read_toml

KINDS = ("train", "quantize")
AUTO = "auto"
# Of the built-in formats alone: what is installed beside them must not change the hash of a recipe.
USUAL_FORMATS = tuple(name for name, row in FORMATS.items() if row.exporter)
# A side of the split; more than half for one side leaves too little to learn from.
Share = Annotated[float, Meta(ge=0.01, le=0.5)]


@dataclass(frozen=True)
class ModelPart:
    """family: one of `edgebrain.model.families`. width: channels of the outermost stage; the deeper ones double.
    side: pixels. dropout: rate in the head. upsampling: transposed (a 2x2 convolution) or nearest (a 1x1 convolution,
    then each pixel repeated)."""

    family: str = "unet"
    width: int = 32
    side: int = 128
    dropout: float = 0.3
    upsampling: str = "transposed"

    def spec(self) -> Spec:
        """The network that this part names.

        Raises:
            BadRecipe: An unknown family, or a value that it cannot have.
        """
        return spec_class(self.family).from_recipe(self.width, self.side, self.dropout, self.upsampling)


@dataclass(frozen=True)
class PhantomPart:
    """The built-in phantom set, used when no --data is given."""

    count: Annotated[int, Meta(ge=24, le=10_000_000)] = 600
    seed: int = 0


@dataclass(frozen=True)
class SplitPart:
    """Shares of validation and test; whole groups are dealt."""

    validation: Share = 0.15
    test: Share = 0.15
    seed: int = 0


@dataclass(frozen=True)
class TrainPart:
    """precision: auto (bfloat16 where the processor computes it, else float32), float32 or bfloat16.
    schedule: cosine (to 1 % of the rate, after one epoch of warm-up) or constant. patience: epochs without a
    better validation score before training stops. class_weight: weight of the class loss beside the Dice loss.
    mask_cross_entropy: weight of the pixels' cross-entropy beside it, 0 for the Dice loss alone."""

    epochs: Annotated[int, Meta(ge=1, le=10_000)] = 50
    batch: Annotated[int, Meta(ge=1, le=4096)] = 16
    learning_rate: Annotated[float, Meta(ge=1e-8, le=1.0)] = 5e-4
    schedule: Literal["cosine", "constant"] = "cosine"
    patience: int = 12
    class_weight: float = 1.0
    mask_cross_entropy: float = 0.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0


@dataclass(frozen=True)
class AugmentPart:
    """flip: mirror left-right half of the time. Others are the largest change either way: brightness and contrast
    as shares, rotate in degrees, scale and shift as shares of the side."""

    flip: bool = True
    brightness: float = 0.1
    contrast: float = 0.15
    rotate: float = 10.0
    scale: float = 0.1
    shift: float = 0.05


@dataclass(frozen=True)
class TrainRecipe:
    """What `edgebrain train` reads."""

    name: str
    model: ModelPart = field(default_factory=ModelPart)
    phantom: PhantomPart = field(default_factory=PhantomPart)
    split: SplitPart = field(default_factory=SplitPart)
    train: TrainPart = field(default_factory=TrainPart)
    augment: AugmentPart = field(default_factory=AugmentPart)

    @property
    def sha256(self) -> str:
        """Hash of every value, defaults included."""
        return sha256_json(asdict(self))


@dataclass(frozen=True)
class CompressPart:
    """precision: int8 or fp16. prune: share of channels to remove before quantizing, 0 for none.
    qat: retrain with simulated INT8 (TFLite only). keep_float: layers that stay float, `enc1_conv1,mask`; `auto` for
    the fewest with which a model that the gate refuses passes it; empty for none. check: a device for which the
    written operators are judged afterwards, `coral`; empty for none."""

    precision: Literal["int8", "fp16"] = "int8"
    formats: Annotated[tuple[str, ...], Meta(min_length=1)] = USUAL_FORMATS
    prune: Annotated[float, Meta(ge=0.0, le=0.9)] = 0.0
    qat: bool = False
    keep_float: str = ""
    check: Literal["", "coral"] = ""


@dataclass(frozen=True)
class CalibrationPart:
    """slices: how many training images the observers are given. split: only `train` is allowed."""

    slices: Annotated[int, Meta(ge=8, le=100_000)] = 128
    split: str = "train"
    seed: int = 0


@dataclass(frozen=True)
class FinetunePart:
    """Retraining after pruning and during quantization-aware training."""

    epochs: int = 5
    learning_rate: float = 2e-4
    qat_epochs: int = 2
    qat_learning_rate: float = 5e-5


@dataclass(frozen=True)
class GatePart:
    """A compressed model is refused when, on validation images, Dice falls by more than max_dice_drop (of 1),
    the class agrees with the parent's on less than min_agreement of the images, or an output is constant.
    A pruned model is compared with the pruned float model, which is itself compared with pruned_dice_drop."""

    slices: int = 200
    max_dice_drop: float = 0.05
    min_agreement: float = 0.85
    pruned_dice_drop: float = 0.15
    pruned_agreement: float = 0.7


@dataclass(frozen=True)
class QuantizeRecipe:
    """What `edgebrain quantize` reads."""

    name: str
    compress: CompressPart = field(default_factory=CompressPart)
    calibration: CalibrationPart = field(default_factory=CalibrationPart)
    finetune: FinetunePart = field(default_factory=FinetunePart)
    gate: GatePart = field(default_factory=GatePart)

    @property
    def sha256(self) -> str:
        """Hash of every value, defaults included."""
        return sha256_json(asdict(self))


Recipe = TypeVar("Recipe", TrainRecipe, QuantizeRecipe)


def load_train_recipe(name: str) -> TrainRecipe:
    """The training recipe with this name, or in this TOML file. Raises BadRecipe."""
    path = find_recipe("train", name)
    recipe = _load(TrainRecipe, path)
    recipe.model.spec()
    return recipe


def load_quantize_recipe(name: str) -> QuantizeRecipe:
    """The compression recipe with this name, or in this TOML file. Raises BadRecipe."""
    path = find_recipe("quantize", name)
    recipe = _load(QuantizeRecipe, path)
    check_quantize(recipe, str(path))
    return recipe


def shipped_recipes(kind: str) -> dict[str, Path]:
    """Name -> file of the recipes that come with edgebrain. kind: train or quantize."""
    return {path.stem: path for path in sorted(_recipe_folder(kind).glob("*.toml"))}


def find_recipe(kind: str, name: str) -> Path:
    """The file of a recipe: a path to a TOML file, or a shipped recipe's name. Raises BadRecipe."""
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise BadRecipe(f"{name}: no such recipe file", "copy one with `edgebrain recipes copy NAME`")
        return Path(name)
    shipped = shipped_recipes(kind)
    if name not in shipped:
        raise BadRecipe(
            f"{kind} recipe {name!r} is not known", f"{near_spellings(name, shipped)}; or pass a .toml file"
        )
    return shipped[name]


def replaced(recipe: Recipe, part: str, **values: Any) -> Recipe:
    """A recipe with some values of one part replaced; None values are left as they are."""
    given = {key: value for key, value in values.items() if value is not None}
    return replace(recipe, **{part: replace(getattr(recipe, part), **given)})  # type: ignore[arg-type]


def check_quantize(recipe: QuantizeRecipe, source: str) -> None:
    """Raises BadRecipe where a value makes no sense; `source` is the file or option it came from."""
    compress, calibration = recipe.compress, recipe.calibration
    for name in compress.formats:
        if name not in exported_formats():
            raise BadRecipe(
                f"{source}: compress.formats = {name!r} is not known", near_spellings(name, exported_formats())
            )
    if calibration.split != "train":
        raise BadRecipe(
            f"{source}: calibration.split = {calibration.split!r}; images that score the model must not shape it",
            'only split = "train" is allowed',
        )
    if compress.qat and compress.precision != "int8":
        raise BadRecipe(
            f"{source}: quantization-aware training gives int8, not {compress.precision}", "leave out --qat"
        )
    if compress.keep_float and (compress.qat or compress.precision != "int8"):
        raise BadRecipe(
            f"{source}: layers stay float in an int8 model that was not retrained; this one is "
            f"{'retrained' if compress.qat else compress.precision}",
            "leave out --keep-float",
        )


def _load(kind: type[Recipe], path: Path) -> Recipe:
    """The recipe in a file; its name is the file's where it gives none."""
    values = {"name": path.stem, **read_toml(path, BadRecipe, "copy a fresh one with `edgebrain recipes copy NAME`")}
    return from_builtins(values, kind, str(path), BadRecipe)


def _recipe_folder(kind: str) -> Path:
    installed = Path(__file__).parent / "recipes" / kind
    return installed if installed.is_dir() else Path(__file__).parents[1] / kind
