"""Every defence that the tests must miss when it is gone."""

from tests.mutants import attempts, doors, money

DEFENCES = [*money.DEFENCES, *attempts.DEFENCES, *doors.DEFENCES]
