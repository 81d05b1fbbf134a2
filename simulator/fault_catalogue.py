"""Every fault by name: what it does and which parameters it takes. Data only; `effects` does it."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.fault_kinds import FaultKind, Param


def _commit(default: bool) -> dict[str, Param]:
    return {"commit": Param("flag", default, "do the call before the fault")}


_INTERVAL = {
    "interval_s": Param("number", 0.2, "seconds between steps"),
    "bytes_per_step": Param("whole", 1, "bytes a step", low=1),
}
_RETRY_AFTER = {"retry_after": Param("text", None, "value of `Retry-After`; null: none", nullable=True)}

_KINDS = (
    FaultKind(
        "refuse",
        "listener",
        "Connections are refused, open ones end after their answer. Until cleared, or for `for_s`.",
        {"for_s": Param("number", None, "seconds; null: until cleared", nullable=True)},
    ),
    FaultKind("accept_close", "connection", "RST at accept, before anything is read.", {}),
    FaultKind(
        "stall_accept",
        "connection",
        "Accepted, then never answered, nor TLS spoken, until the peer gives up or the fault is cleared.",
        {},
    ),
    FaultKind(
        "slow_tls",
        "connection",
        "The TLS handshake begins only after a while (https only).",
        {"delay_s": Param("number", 5, "seconds before the handshake")},
    ),
    FaultKind(
        "gate",
        "gate",
        "Calls wait at a gate. Goes together with another fault on the same call.",
        {
            "gate": Param("text", "", "its name", required=True),
            "point": Param("text", "before_commit", "where", choices=("before_commit", "after_commit")),
        },
    ),
    FaultKind("reset_before", "call", "The request is read, nothing is done, RST.", {}),
    FaultKind("commit_then_drop", "call", "Done, then RST with no byte answered.", {}),
    FaultKind(
        "reset_in_headers",
        "call",
        "Done, some bytes of the status line and headers, RST.",
        {"bytes_sent": Param("whole", 20, "bytes before the RST")},
    ),
    FaultKind(
        "cut_body",
        "call",
        "Done, headers, a part of the body, end of the connection.",
        {
            "fraction": Param("number", 0.5, "part of the body that is sent"),
            "declare_length": Param("flag", True, "promise the whole length; off: the end of the connection ends it"),
        },
    ),
    FaultKind(
        "blackhole", "call", "Read and never answered, until the peer gives up or the fault is cleared.", _commit(False)
    ),
    FaultKind(
        "slow",
        "call",
        "A pause before the answer, with the work before or after it.",
        {"delay_s": Param("number", 1, "seconds"), "commit": Param("flag", True, "work first, then the pause")},
    ),
    FaultKind("slow_headers", "call", "Done; the status line and headers drip.", _INTERVAL),
    FaultKind("drip", "call", "Done; headers at once, the body drips.", _INTERVAL),
    FaultKind("html_page", "call", "200 with an HTML page.", _commit(False)),
    FaultKind(
        "redirect",
        "call",
        "302 to an HTML page.",
        {
            "location": Param("text", "https://www.freshbooks.com/find-your-login", "value of `Location`"),
            "deactivated": Param("flag", False, "a Location that contains `deactivated`"),
            **_commit(False),
        },
    ),
    FaultKind(
        "unauthorized", "call", "401 with the XML body and the challenge, whatever token was sent.", _commit(False)
    ),
    FaultKind("forbidden_api", "call", "400: the API is not enabled for the account.", _commit(False)),
    FaultKind("maintenance", "call", "503 with an HTML page.", {**_RETRY_AFTER, **_commit(False)}),
    FaultKind(
        "server_error",
        "call",
        "A 5xx with an HTML page.",
        {"status": Param("whole", 500, "the status", low=500), **_commit(False)},
    ),
    FaultKind(
        "throttle",
        "call",
        "Too many calls, in the form of the switch `throttle_form`.",
        {**_RETRY_AFTER, **_commit(False)},
    ),
    FaultKind(
        "unknown_fault",
        "call",
        "A fault in the envelope of the API.",
        {
            "code": Param("whole", 99999, "its code; null: none", nullable=True),
            "text": Param("text", "Something unusual happened.", "its text"),
            **_commit(False),
        },
    ),
    FaultKind("deny_action", "call", "All checks pass, then the change is refused: 50020. Reads are not touched.", {}),
    FaultKind(
        "custom_body",
        "call",
        "Any answer.",
        {
            "status": Param("whole", 200, "the status", low=100),
            "headers": Param("headers", {"Content-Type": "application/xml"}, "the headers"),
            "text": Param("text", "", "the body"),
            "base64": Param("base64", None, "the body as base64, instead of `text`", nullable=True),
            **_commit(False),
        },
    ),
    FaultKind(
        "wrong_namespace",
        "call",
        "Done; the answer's root is in a foreign namespace.",
        {"namespace": Param("text", "http://example.com/not-the-api/", "which")},
    ),
    FaultKind(
        "wrong_root", "call", "Done; the answer's root has another name.", {"name": Param("text", "reply", "which")}
    ),
    FaultKind("not_xml", "call", "Done; the answer says XML and is none.", {}),
    FaultKind("doctype", "call", "Done; the answer has a DOCTYPE with an entity, used in a text.", {}),
    FaultKind(
        "huge",
        "call",
        "Done; well-formed XML of very many bytes.",
        {
            "bytes": Param("whole", 100_000_000, "length of the body", low=200),
            "declare_length": Param("flag", True, "promise the length; off: the end of the connection ends it"),
        },
    ),
    FaultKind("gzip", "call", "Done; the answer is compressed, uninvited.", {}),
    FaultKind("empty", "call", "Done; 200 with no body.", {}),
    FaultKind(
        "close_idle",
        "call",
        "Done and answered; then the connection ends without `Connection: close`.",
        {
            "when": Param(
                "text",
                "after_answer",
                "at once, or with RST when the next request arrives",
                choices=("after_answer", "on_next_use"),
            )
        },
    ),
)

FAULTS: Mapping[str, FaultKind] = {kind.name: kind for kind in _KINDS}


def table() -> str:
    """The catalogue as a Markdown table, for the README."""
    rows = ["| fault | counts | what happens | parameters (defaults) |", "|---|---|---|---|"]
    for kind in FAULTS.values():
        counts = {"listener": "-", "connection": "connections"}.get(kind.level, "calls")
        rows.append(f"| `{kind.name}` | {counts} | {kind.about} | {_params(kind)} |")
    return "\n".join(rows)


def _params(kind: FaultKind) -> str:
    return "; ".join(
        f"`{name}` {param.about}" + ("" if param.required else f" ({_shown(param)})")
        for name, param in kind.params.items()
    )


def _shown(param: Param) -> str:
    words = {None: "null", True: "true", False: "false"}
    if param.default is None or isinstance(param.default, bool):
        return words[param.default]
    if isinstance(param.default, dict):
        return ", ".join(f"{name}: {value}" for name, value in param.default.items())
    return f"{param.default}" + (f"; {', '.join(param.choices)}" if param.choices else "")
