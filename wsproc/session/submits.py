"""Whether a submit can be taken, and whether it is one that was taken already."""

from __future__ import annotations

import hashlib

import orjson

from wsproc.frames.client import Generate, Submit
from wsproc.frames.errors import ErrorCode, ErrorInfo, error_info
from wsproc.intake import Intake
from wsproc.session.offer import Offer


def digest(request: Submit) -> bytes:
    """Return what tells the bodies of two submits apart: defaults count as if they were given."""
    body = orjson.dumps(request.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(body, digest_size=16).digest()


def kind(request: Submit) -> tuple[str, ...]:
    """Return what tells jobs of like cost apart: the task and the stages that it calls."""
    return (request.type, *request.needs())


def objection(request: Submit, offer: Offer) -> ErrorInfo | None:
    """Return why a well-formed submit cannot be taken here, however long one waits."""
    return _not_yet(request, offer) or _too_large(request, offer)


def intake(request: Submit, offer: Offer) -> Intake | None:
    """Return what has come in of a job whose input goes on; None for all others."""
    if not request.is_open:
        return None
    length = sum(len(text) for _, text in request.inputs())
    most = offer.limits.max_text_chars
    return Intake(request.live, length, least=request.least_chars, most=most)


def _not_yet(request: Submit, offer: Offer) -> ErrorInfo | None:
    """Refuse what the protocol names and this server does not do, rather than ignore it."""
    for name in ("open", "live"):
        if getattr(request, name) and name not in request.goes_on:
            able = [kind for kind, one in offer.tasks.items() if name in one.goes_on]
            message = (
                f"{name}: a {request.type} job takes its whole input at once;"
                f" {' or '.join(able) or 'no other'} can be {name}"
            )
            return error_info(ErrorCode.INVALID_FIELD, message, path=name)
    for stage in request.needs():
        reason = offer.unavailable(stage)
        if reason is not None:
            return error_info(ErrorCode.MODEL_UNAVAILABLE, reason)
    return None


def _too_large(request: Submit, offer: Offer) -> ErrorInfo | None:
    limits = offer.limits
    inputs = request.inputs()
    if len(inputs) > limits.max_texts:
        message = f"texts: {limits.max_texts} at most, these are {len(inputs)}"
        return error_info(ErrorCode.INPUT_TOO_LARGE, message, path="texts")
    for path, text in inputs:
        if len(text) > limits.max_text_chars:
            message = f"{path}: {limits.max_text_chars} characters at most, has {len(text)}"
            return error_info(ErrorCode.INPUT_TOO_LARGE, message, path=path)
    total = sum(len(text) for _, text in inputs)
    if len(inputs) > 1 and total > limits.max_batch_chars:
        most = limits.max_batch_chars
        message = f"texts: {most} characters at most in all, these have {total}"
        return error_info(ErrorCode.INPUT_TOO_LARGE, message, path="texts")
    if isinstance(request, Generate) and request.max_tokens > limits.max_tokens:
        message = f"max_tokens: {limits.max_tokens} at most"
        return error_info(ErrorCode.INVALID_FIELD, message, path="max_tokens")
    return None
