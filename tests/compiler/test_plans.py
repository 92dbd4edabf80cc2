"""Programs and strategies of some networks, against what is stored of them."""

import pytest

from tests.compiler.plans import FOLDER, NAMES, plan


@pytest.mark.parametrize("name", NAMES)
def test_plan_is_the_stored_one(name):
    stored = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    assert plan(name) == stored, "if that was meant, run `make plans`, and look at `git diff`"


def test_no_plan_is_stored_in_vain():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(NAMES)
