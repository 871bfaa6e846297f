"""The catalogue names what is there: each text once, each test by its name, and Python after."""

import ast
import re

import pytest

from tests.mutants.catalogue import DEFENCES
from tests.mutants.defence import ROOT, Defence, DefenceMoved

each = pytest.mark.parametrize("defence", DEFENCES, ids=lambda defence: defence.name)


def test_every_defence_has_a_name_of_its_own() -> None:
    assert len({defence.name for defence in DEFENCES}) == len(DEFENCES) >= 10


@each
def test_a_defence_stands_where_the_catalogue_says(defence: Defence) -> None:
    whole = (ROOT / defence.file).read_text()
    removed = defence.remove(whole)
    assert ast.dump(ast.parse(removed)) != ast.dump(ast.parse(whole))


@each
def test_who_ought_to_notice_is_there(defence: Defence) -> None:
    assert defence.noticed_by
    for test in defence.noticed_by:
        path, _, name = test.partition("::")
        function = name.partition("[")[0]
        assert re.search(rf"^def {function or 'test_'}", (ROOT / path).read_text(), re.MULTILINE)


@pytest.mark.parametrize("source", ["", "one two one"])
def test_a_text_that_is_gone_or_there_twice_is_an_error(source: str) -> None:
    defence = Defence(name="d", why="", file="f", text="one", instead="", noticed_by=())
    with pytest.raises(DefenceMoved, match="d: defence moved"):
        defence.remove(source)
