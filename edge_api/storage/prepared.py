"""Queries in the words of one driver, each compiled once."""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from sqlalchemy import Dialect, Select

Query = Select[*tuple[object, ...]]


class Statement(Struct, frozen=True):
    """`names` are those of the parameters, in the order in which `text` has them."""

    text: str
    names: Sequence[str]


class Prepared:
    """Remembers every query it was given: pass constants, not queries made for one call."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: dict[Query, Statement] = {}

    def bind(self, query: Query, values: Mapping[str, object]) -> tuple[str, list[object]]:
        """The statement and its parameters. Raises KeyError where `values` lacks one."""
        statement = self._known.get(query)
        if statement is None:
            compiled = query.compile(dialect=self._dialect)
            statement = Statement(str(compiled), compiled.positiontup or [])
            self._known[query] = statement
        return statement.text, [values[name] for name in statement.names]
