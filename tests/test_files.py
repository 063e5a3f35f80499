"""What is written is whole, under a name of its own, whatever the name holds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from threading import Thread

import pytest

from edgebrain.errors import CannotWrite, EdgebrainError
from edgebrain.files import claim_file, claim_folder, newest_name, read_json, write_bytes, write_json
from edgebrain.text import in_one_line


def test_a_claimed_name_is_given_once_and_the_newest_has_the_largest_number(tmp_path: Path) -> None:
    wished = tmp_path / "a" / "bench.json"
    names = [claim_file(wished).name for _ in range(3)]
    assert names == ["bench.json", "bench-2.json", "bench-3.json"]
    assert newest_name(wished) == wished.with_name("bench-3.json")
    (wished.parent / "bench-2.json").unlink()
    assert claim_file(wished).name == "bench-4.json", "a number that was taken away does not come back"
    for other in ("bench-x.json", "bench-5.md", "my-bench-9.json", "bench-07.jsonl"):
        (wished.parent / other).touch()
    assert newest_name(wished) == wished.with_name("bench-4.json")
    assert newest_name(tmp_path / "nothing.json") is None


@pytest.mark.parametrize("claim", [claim_file, claim_folder])
def test_many_that_claim_at_once_get_names_of_their_own(tmp_path: Path, claim: object) -> None:
    found: list[Path] = []
    threads = [Thread(target=lambda: found.append(claim(tmp_path / "x"))) for _ in range(20)]  # type: ignore[operator]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 20 == len(list(tmp_path.iterdir()))


def test_a_folder_that_cannot_be_made_is_an_error_and_no_endless_search(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for claim in (claim_file, claim_folder):
        with pytest.raises(CannotWrite, match="cannot be written"):
            claim(tmp_path / "file" / "x")


def test_a_name_as_long_as_the_file_system_takes_is_written(tmp_path: Path) -> None:
    for name in ("x" * 255, "頭" * 85):
        write_bytes(tmp_path / name, b"whole")
        assert (tmp_path / name).read_bytes() == b"whole"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_name_that_is_no_utf_8_is_escaped_in_json_and_read_back(tmp_path: Path) -> None:
    name = os.fsdecode(b"bytes\xff.png")
    write_json(tmp_path / "x.json", {"name": name})
    assert "bytes\\udcff.png" in (tmp_path / "x.json").read_text(encoding="utf-8")
    assert read_json(tmp_path / "x.json", EdgebrainError) == {"name": name}
    assert json.loads((tmp_path / "x.json").read_bytes()) == {"name": name}


def test_an_error_is_one_line_whatever_the_name_of_its_file(tmp_path: Path) -> None:
    problem = EdgebrainError(
        f"two\nlines.png and {os.fsdecode(b'bytes' + bytes([255]))}: cannot be read", "a\x1b[31mhint"
    )
    assert problem.message == "two\\nlines.png and bytes\\udcff: cannot be read" and problem.hint == "a\\x1b[31mhint"
    assert in_one_line("ümläut 頭.png") == "ümläut 頭.png"
