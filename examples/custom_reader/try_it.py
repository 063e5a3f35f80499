"""Write a small data set with one folder for each class, and let edgebrain look at it through the reader.

pip install examples/custom_reader
python examples/custom_reader/try_it.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import edgebrain

CLASSES = {"gl": "Glioma", "me": "meningioma_tumor", "pi": "pituitary", "no": "no-tumour"}
PLANES = {"ax": "axial", "co": "coronal", "sa": "sagittal"}


def main() -> None:
    """Summarise and audit phantoms in the layout of class_folders.py."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "by-class")
        write_by_class(folder, 24)
        found = edgebrain.summarise(folder)
        print(f"laid out as {found.kind}: {found.slices} slices, {found.masks} tumours with a mask")
        for finding in edgebrain.audit(folder).findings:
            print(f"{finding.level}: {finding.title} ({finding.count} {finding.unit})")


def write_by_class(folder: Path, count: int) -> None:
    """Phantoms in the layout that class_folders.py describes."""
    drawn = folder.with_name("drawn")
    edgebrain.write_phantoms(drawn, count)
    for picture in sorted((drawn / "images").iterdir()):
        _, number, label, plane = picture.stem.split("_")
        target = folder / CLASSES[label] / f"{PLANES[plane]}_{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        mask = drawn / "masks" / picture.name
        if mask.exists():
            mask.rename(target.with_stem(f"{target.stem}_mask"))
        picture.rename(target)


if __name__ == "__main__":
    main()
