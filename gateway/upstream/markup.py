"""Answers that stand in known markup, read without a parser. Pure.

An answer full of records repeats itself: but for a few numbers and texts its rows are, byte for byte, the same markup.
What a parser has found out about a row's markup, that it is well-formed and where its texts belong, holds for every row
of the same markup. So the parser is asked once, and later the texts are only taken out from between.

That is sound because this much is checked each time: the brackets of the document alternate, the frame around the rows
is the API's, each row's markup is known, and all that is not markup is character data with no references but those
that mean one character of XML (XML 1.0 §2.2, §2.4, §4.1, §4.6). Anything else is left to the parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from gateway.upstream.codec import Codec
from gateway.upstream.decoding import Form, Node, Row
from gateway.upstream.protocol import parse
from schemas.resource import Resource
from schemas.types import NOT_XML

_BYTES_MAX = 1 << 20
"""Of an answer."""
MARKUPS_MAX = 500
TAG_CHARACTERS_MAX = 20_000
ALL_CHARACTERS_MAX = 300_000
"""How many markups are remembered, and how many characters their tags may have: those of one, and of all."""
_LEARNT_PER_ANSWER_MAX = 25
_UNMET = object()
Tags = tuple[str, ...]
"""What stands in the brackets of a row, in order."""

_UNWANTED = bytes(range(0x09)) + b"\x0b\x0c" + bytes(range(0x0D, 0x20))
"""Controls that XML has not, and CR, which a parser would make a LF."""
_HARMLESS = bytes(set(range(0x100)) - set(b"<>" + _UNWANTED))

_REFERENCE = re.compile("&(?:(amp|lt|gt|quot|apos)|#([0-9]{1,7})|#x([0-9A-Fa-f]{1,6}));")
_CHARACTERS = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_PLAIN_TAG = re.compile(r"""/?[A-Za-z_][A-Za-z0-9_.-]*([ \t\n]+[A-Za-z_]+="[^"&]*")*[ \t\n]*/?""")
_HEAD = (
    r'(?:<\?xml version="1\.0" encoding="(?:utf-8|UTF-8)"\?>[ \t\n]*)?'
    r'<response xmlns="http://www\.freshbooks\.com/api/" status="ok">[ \t\n]*'
    r'(?:<({plurals})((?: [a-z_]+="[0-9]{{1,17}}")*)>[ \t\n]*)?<({names})>'
)
_ATTRIBUTE = re.compile(r'([a-z_]+)="([0-9]+)"')
_TAIL = "[ \t\n]*{container}</response>[ \t\n]*"


class Container:
    """Stands for an element whose texts are nobody's."""

    __slots__ = ("_attributes", "_children", "tag")
    text = None

    def __init__(self, tag: str, attributes: Mapping[str, str], children: Sequence[Node]) -> None:
        self.tag = tag
        self._attributes = attributes
        self._children = children

    def get(self, attribute: str) -> str | None:
        return self._attributes.get(attribute)

    def __iter__(self) -> Iterator[Node]:
        return iter(self._children)

    def __len__(self) -> int:
        return len(self._children)


class Markups:
    """The markups of rows that were lately met. `codecs` are those of the resources, by their names."""

    def __init__(self, resources: Sequence[Resource], codecs: Mapping[str, Codec]) -> None:
        self._codecs = codecs
        names, plurals = [one.name for one in resources], [one.plural for one in resources]
        self._head = re.compile(_HEAD.format(plurals="|".join(plurals), names="|".join(names)))
        self._tails = {None: re.compile(_TAIL.format(container=""))} | {
            one: re.compile(_TAIL.format(container=f"</{one}>[ \t\n]*")) for one in plurals
        }
        self._forms: dict[str, dict[Tags, Form | object | None]] = {one: {} for one in names}
        self._characters_total = 0

    def __len__(self) -> int:
        return sum(map(len, self._forms.values()))

    def read(self, body: bytes) -> Node | None:
        """The `<response>` of a successful call, if a body is one in known markup; None: only a parser can tell."""
        text = _text_of(body)
        head = None if text is None else self._head.match(text)
        if text is None or head is None:
            return None
        container, attributes, name = head.groups()
        end = f"</{name}>"
        end_at = text.rfind(end) + len(end)
        if end_at <= head.end() or self._tails[container].fullmatch(text, end_at) is None:
            return None
        rows = self._rows(name, text[head.end() : end_at])
        if rows is not None and container is not None:
            numbers = _ATTRIBUTE.findall(attributes)
            by_name = dict(numbers)
            rows = [Container(container, by_name, rows)] if len(by_name) == len(numbers) else None
        return None if rows is None else Container("response", {"status": "ok"}, rows)

    def _rows(self, name: str, text: str) -> list[Node] | None:
        rows: list[Node] = []
        forms, learnt_total = self._forms[name], 0
        for row in text.split(f"<{name}>"):
            parts = row.replace(">", "<").split("<")
            tags = tuple(parts[1::2])
            form = forms.get(tags, _UNMET)
            if form is _UNMET and learnt_total < _LEARNT_PER_ANSWER_MAX:
                form = self._learn(name, tags)
                learnt_total += 1
            if not isinstance(form, Form) or ("&" in row and not _resolve(row, parts)):
                return None
            rows.append(Row(name, form, form.fill(parts)))  # at once, while the parts are near
        return rows

    def _learn(self, name: str, tags: Tags) -> Form | None:
        """When there are too many, all are forgotten: those that come again are soon learnt again."""
        characters = sum(map(len, tags))
        if characters > TAG_CHARACTERS_MAX:
            return None
        if len(self) >= MARKUPS_MAX or self._characters_total > ALL_CHARACTERS_MAX:
            self._characters_total = 0
            for forms in self._forms.values():
                forms.clear()
        self._characters_total += characters
        form = self._forms[name][tags] = self._form(name, tags)
        return form

    def _form(self, name: str, tags: Tags) -> Form | None:
        """None: it takes a parser each time."""
        if not all(map(_PLAIN_TAG.fullmatch, tags)):
            return None
        markup = "".join([f"<{tag}>" for tag in tags])
        root = parse(f"<response><rows><{name}>{markup}</rows></response>".encode())  # as deep as in any answer
        if root is None:
            return None
        row: Node = root[0][0]
        inner: list[Node] = list(root[0][0].iterdescendants())
        starts = [(2 * number, tag) for number, tag in enumerate(tags, 1) if not tag.startswith("/")]
        if len(inner) != len(starts):  # some stand behind the row
            return None
        places = {one: None if tag.endswith("/") else at for one, (at, tag) in zip(inner, starts, strict=True)}
        return self._codecs[name].form(row, places)


def _text_of(body: bytes) -> str | None:
    """The characters of a document whose brackets alternate and in which nothing stands that a parser would change."""
    if len(body) > _BYTES_MAX:
        return None
    marks = body.translate(None, _HARMLESS)
    if marks != b"<>" * (len(marks) // 2):
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if "\ufffe" in text or "\uffff" in text else text  # which XML has not


def _resolve(row: str, parts: list[str]) -> bool:
    """Puts characters in the place of references, of which known tags have none. False: some do not mean one."""
    at = row.find("&")
    while at >= 0:
        number = row.count("<", 0, at) + row.count(">", 0, at)
        text = parts[number]
        try:
            parts[number], total = _REFERENCE.subn(_character, text)
        except ValueError:
            return False
        if total != text.count("&"):
            return False
        end = row.find("<", at)
        at = -1 if end < 0 else row.find("&", end)
    return True


def _character(reference: re.Match[str]) -> str:
    """Raises `ValueError` for what is none of XML's."""
    name, decimal, hexadecimal = reference.groups()
    if name is not None:
        return _CHARACTERS[name]
    character = chr(int(decimal) if decimal is not None else int(hexadecimal, 16))
    if NOT_XML.search(character):
        raise ValueError("no character of XML")
    return character
