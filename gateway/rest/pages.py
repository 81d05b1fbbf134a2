"""What people look at in a browser: the docs page with its files, and the pages about problems."""

from __future__ import annotations

import functools
import html
import importlib.util
from pathlib import Path

from flask import Response, request

from gateway.errors import RouteNotFound
from gateway.policy.copies import etag_of
from gateway.rest.problems import BY_SLUG, PROBLEMS, Problem

_OWN = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".png": "image/png"}
_OWN_FILES = ("docs.js", "docs.css")
_SWAGGER_UI_FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
ASSETS = (*_OWN_FILES, *_SWAGGER_UI_FILES)
"""The files of the pages: our own, and of Swagger UI's package those that are needed."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def docs() -> Response:
    """The page to explore and try the operations."""
    return _page((_OWN / "docs.html").read_bytes())


def asset(name: str) -> Response:
    """A file of the pages. Raises `RouteNotFound`."""
    if name not in ASSETS:
        raise RouteNotFound("The docs page has no such file.")
    return revalidated(_content(name), _TYPES[Path(name).suffix])


def revalidated(body: bytes, content_type: str) -> Response:
    """An answer that browsers keep and ask about: 304 without the body when theirs still holds."""
    response = Response(body, content_type=content_type)
    response.headers["Cache-Control"] = "no-cache"
    response.headers["ETag"] = etag_of(body)
    response.make_conditional(request)
    return response


@functools.cache
def _content(name: str) -> bytes:
    return ((_OWN if name in _OWN_FILES else _swagger_ui()) / name).read_bytes()


def _swagger_ui() -> Path:
    """Where its package keeps the files; the package itself is not imported."""
    spec = importlib.util.find_spec("flask_swagger_ui")
    return Path((spec.submodule_search_locations or [""])[0] if spec else "") / "dist"


def problem(slug: str) -> Response:
    """What a kind of problem means and what to do. Raises `RouteNotFound`."""
    if slug not in BY_SLUG:
        raise RouteNotFound("There is no problem of this name.")
    return _page(_framed(BY_SLUG[slug].title, _about(BY_SLUG[slug])))


def problems() -> Response:
    """All kinds of problems."""
    rows = "\n".join(
        f'<tr><td>{one.status}</td><td><a href="{one.type}"><code>{one.code}</code></a></td>'
        f"<td>{html.escape(one.title)}</td></tr>"
        for one in sorted(PROBLEMS, key=lambda one: one.status)
    )
    table = f"<table>\n<tr><th>Status</th><th>Code</th><th>Meaning</th></tr>\n{rows}\n</table>\n"
    intro = "<p>Every answer from 400 up names one of these in its <code>code</code>.</p>\n"
    return _page(_framed("Problems", intro + table))


def _about(one: Problem) -> str:
    return (
        f"<p><code>{one.code}</code>, HTTP {one.status}</p>\n"
        f"<h2>What it means</h2>\n<p>{_prose(one.meaning)}</p>\n<h2>What to do</h2>\n<p>{_prose(one.remedy)}</p>\n"
        '<p><a href="/problems">All problems</a></p>\n'
    )


def _prose(text: str) -> str:
    """Escaped; what stands between backticks is code."""
    parts = html.escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))


def _framed(title: str, content: str) -> bytes:
    """A whole page around its content, which is HTML."""
    title = html.escape(title)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}: FreshBooks gateway</title>\n"
        '<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">\n'
        '<link rel="stylesheet" href="/docs/docs.css">\n</head>\n<body>\n'
        '<header class="gateway-bar"><a class="gateway-name" href="/docs">FreshBooks gateway</a>'
        '<nav aria-label="More"><a href="/docs">The API</a><a href="/problems">Problems</a></nav></header>\n'
        f'<main class="gateway-page">\n<h1>{title}</h1>\n{content}</main>\n</body>\n</html>\n'
    ).encode()


def _page(body: bytes) -> Response:
    headers = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
    return Response(body, content_type="text/html; charset=utf-8", headers=headers)
