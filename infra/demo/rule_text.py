"""The rule as it is typed on a command line: `Wall=recolor:offwhite_b,Floor=tone:warmth=0.3`."""

import re

from infra.client import RuleAction
from infra.demo.refusal import Refused
from shared.spelling import fold, quoted

_ENTRY = re.compile(r"([^=:]+?)\s*=\s*([^=:]+?)\s*(?::\s*(.*))?", re.DOTALL)
_TONE_PAIR = re.compile(r"[a-z ]+=\s*[-+.0-9]+", re.IGNORECASE)
_FORM = "write Concept=action:value, for example Wall=recolor:offwhite_b,Floor=tone:warm"


def parse_rule(text: str) -> dict[str, RuleAction]:
    """Concepts in the order they were typed; names and values are not looked up here.

    A comma parts entries, but `warmth=0.3,contrast=0.1` after a tone belongs to its value. An
    action without a value takes the preset's default. Raises Refused.
    """
    rules: dict[str, RuleAction] = {}
    last: str | None = None
    for part in (part.strip() for part in text.split(",")):
        if last is not None and _continues(part, rules[last]):
            before = rules[last]
            rules[last] = RuleAction(before.action, f"{before.value},{part}")
            continue
        match = _ENTRY.fullmatch(part)
        if match is None:
            raise Refused(f"RULE: {quoted(part)} is not understood; {_FORM}")
        concept, action, value = str(match[1]), str(match[2]), match[3] or ""
        if any(fold(concept) == fold(known) for known in rules):
            raise Refused(f"RULE: {quoted(concept)} is there twice")
        rules[concept] = RuleAction(action, value.strip())
        last = concept
    return rules


def parse_protect(text: str) -> list[str]:
    """Concepts parted by commas. Raises Refused."""
    names = [part.strip() for part in text.split(",")]
    if not all(names):
        raise Refused(f"PROTECT: {quoted(text)} has an empty name; write Frame_Molding,Grout")
    return names


def _continues(part: str, before: RuleAction) -> bool:
    return fold(before.action) == "tone" and _TONE_PAIR.fullmatch(part) is not None
