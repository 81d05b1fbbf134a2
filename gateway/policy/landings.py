"""How a flight ended, as those who waited for it are told."""

from __future__ import annotations

import msgspec

from gateway import errors
from gateway.errors import Fault, RpcOutcome, UpstreamError
from gateway.policy.copies import Content

_SHARED: dict[str, type[UpstreamError]] = {
    kind.code: kind
    for kind in (
        errors.RecordNotFound,
        errors.FieldsRejected,
        errors.ActionRefused,
        errors.CredentialsRejected,
        errors.Throttled,
        errors.UpstreamUnavailable,
        errors.UpstreamFailed,
        errors.GarbledAnswer,
        errors.NotSent,
        errors.AnswerLost,
        errors.CircuitOpen,
    )
}
"""The failures that are the same for everybody. That one caller's deadline passed is not."""


class Landing(msgspec.Struct, array_like=True):
    """How a flight ended: with a content, or with the error that the code names; without both the others fetch anew."""

    body: bytes | None = None
    etag: str = ""
    pages: int = 0
    code: str = ""
    detail: str = ""
    fault: tuple[int | None, str, str | None] | None = None
    retry_after_s: int | None = None


pack_landing = msgspec.msgpack.Encoder().encode
unpack_landing = msgspec.msgpack.Decoder(Landing).decode


def landing_of(end: Content | UpstreamError | None) -> Landing:
    if isinstance(end, Content):
        return Landing(end.body, end.etag, end.pages)
    return Landing() if end is None else _failure(end)


def _failure(error: UpstreamError) -> Landing:
    if error.code not in _SHARED or (error.outcome is RpcOutcome.NOT_SENT and error.final):
        return Landing()
    fault = (error.fault.code, error.fault.message, error.fault.field) if error.fault else None
    return Landing(code=error.code, detail=error.detail, fault=fault, retry_after_s=error.retry_after_s)


def content_of_landing(landing: Landing) -> Content:
    if landing.body is not None:
        return Content(landing.body, landing.etag, landing.pages)
    fault = Fault(*landing.fault) if landing.fault else None
    raise _SHARED[landing.code](landing.detail, fault=fault, retry_after_s=landing.retry_after_s)
