"""Turns what schemathesis invents into calls that reach something.

A generated id is a 404 and a generated action a 400, so nothing behind them would ever be seen.
Calls of an operation take turns: one goes out as it was made up, the others are about a job in
each state, made by its owner.
"""

import time
from collections import Counter
from typing import Any, cast

import requests
from requests.auth import AuthBase
from schemathesis import Case, HookContext
from schemathesis.core.parameters import ParameterLocation

from shared.keys import input_key
from shared.objects import ObjectStore
from shared.signing import sign_headers
from tests.edge_api.contract.cast import Cast, Owner
from tests.edge_api.phone import PHOTO
from tests.edge_api.service import Service
from tests.edge_api.states import STATES

Json = dict[str, Any]
AnyCase = Case[Any]

MADE_UP = "made up"

TURNS = (*STATES, MADE_UP)

WORDS: Json = {
    "preset": "interior",
    "preset_id": "interior",
    "item_count": 2,
    "action": "recolor",
    "value": "oak_a",
    "output_template": "before_after",
    "protect": ["Grout"],
}
"""A value with a meaning for fields that the document leaves open."""

NEWCOMERS = 3
"""Calls that may make something before an account with free slots and credits takes over."""

MADE = """
SELECT user_id, CASE WHEN status = 'created' THEN total_items ELSE 0 END AS missing
FROM jobs WHERE id = :job
UNION ALL SELECT user_id, 0 FROM rules WHERE id = :rule
"""

CONCEPTS = ("Wall", "Floor", "Ceiling", "Door")


class Signature(AuthBase):
    """Signs the bytes that are really sent, as the handler does."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        body = r.body if isinstance(r.body, bytes) else str(r.body or "").encode()
        r.headers.update(sign_headers(self._secret, "msg_contract", body, now=time.time()))
        return r


class Stage:
    """Decides who makes each call and what it is about; the same in every run.

    With `linked`, calls keep the ids that earlier answers gave them, and photos are there before
    an upload is confirmed. With `anonymous`, nobody proves who they are.
    """

    def __init__(
        self,
        service: Service,
        objects: ObjectStore,
        *,
        linked: bool = False,
        anonymous: bool = False,
    ) -> None:
        self.anonymous = anonymous
        self._service = service
        self._objects = objects
        self._linked = linked
        self._cast = Cast(service)
        self._calls = Counter[str]()
        self.visitor = service.pro_phone()

    def before_call(self, context: HookContext, case: AnyCase, kwargs: Json) -> None:
        """Hook of schemathesis, the last to see a call before it is sent."""
        operation = cast("Any", context.operation)
        if case.method.upper() != operation.method.upper():
            return  # a method that the document does not have, to see it refused
        count = self._calls[operation.label]
        self._calls[operation.label] += 1
        turn = TURNS[count % len(TURNS)]
        if operation.path.endswith("/callback"):
            self._as_worker(case, kwargs, turn)
        elif case.method == "DELETE" and not case.path_parameters:
            _speak_as(case, self._service.phone().token)  # whoever asks for it will be gone
        elif self._linked and case.path_parameters:
            self._follow(case)
        elif case.path_parameters and turn != MADE_UP:
            self._as_owner(case, turn, count)
        elif case.method == "POST" and count % NEWCOMERS == 0:
            self.visitor = self._service.pro_phone()
            _speak_as(case, self.visitor.token)
        if (self._linked or count // len(TURNS) % 2 == 0) and not _broken(case, BODY):
            _give_meaning(case.body)

    def _as_owner(self, case: AnyCase, state: str, count: int) -> None:
        if _broken(case, PATH):
            return
        owner = self._cast.owner(state)
        case.path_parameters = _filled(case.path_parameters, owner, count)
        body: object = case.body
        if isinstance(body, dict) and cast("Json", body).get("rule_id"):
            body["rule_id"] = owner.rule_ids[0]
        _speak_as(case, owner.phone.token)

    def _follow(self, case: AnyCase) -> None:
        """Speak as whoever made the thing, and have the photos of a new job there."""
        job_id, rule_id = (str(case.path_parameters.get(name)) for name in ("job_id", "rule_id"))
        for made in self._service.rows(MADE, job=job_id, rule=rule_id):
            _speak_as(case, self._service.token(sub=made["user_id"]))
            for idx in range(made["missing"]):
                self._objects.put(input_key(made["user_id"], job_id, idx), PHOTO, "image/jpeg")

    def _as_worker(self, case: AnyCase, kwargs: Json, turn: str) -> None:
        """Unsigned nonsense, signed nonsense, then news of items that may be worked on."""
        if turn == MADE_UP:
            return
        if not self.anonymous:
            kwargs["auth"] = Signature(self._service.settings.callback_secrets[0].reveal())
        if turn in {"created", "uploaded"} or _broken(case, PATH) or _broken(case, BODY):
            return
        owner = self._cast.owner(turn)
        case.path_parameters = {"job_id": owner.job_id}
        case.body = self._service.worker(owner.job_id).result(1)


PATH, BODY = ParameterLocation.PATH, ParameterLocation.BODY


def _broken(case: AnyCase, part: ParameterLocation) -> bool:
    """Whether schemathesis made that part of the call invalid on purpose."""
    return case.meta is not None and case.meta.is_negative_at(part)


def _filled(parameters: Json, owner: Owner, count: int) -> Json:
    known = {"job_id": owner.job_id, "rule_id": owner.rule_ids[0], "preset_id": "seller"}
    return parameters | {
        name: count % 2 if name == "idx" else known.get(name, value)
        for name, value in parameters.items()
    }


def _speak_as(case: AnyCase, token: str) -> None:
    if "Authorization" in case.headers:
        case.headers["Authorization"] = f"Bearer {token}"


def _give_meaning(node: object) -> None:
    """Put a known word where the document takes any; what is null or absent stays so."""
    if isinstance(node, list):
        for entry in cast("list[object]", node):
            _give_meaning(entry)
    elif isinstance(node, dict):
        known = cast("Json", node)
        for key, value in known.items():
            if key == "concepts" and isinstance(value, dict):
                known[key] = dict(zip(CONCEPTS, cast("Json", value).values(), strict=False))
            elif key in WORDS and value is not None:
                known[key] = WORDS[key]
            _give_meaning(known[key])
