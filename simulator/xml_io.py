"""XML in and out: a tolerant-of-blanks reader on expat, and a writer of the vendor's layout."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from xml.etree import ElementTree

NAMESPACE = "http://www.freshbooks.com/api/"
DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_ATTRIBUTE = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
)


class IllFormed(ValueError):
    """Bytes that are no XML document in UTF-8."""


class _Builder(ElementTree.TreeBuilder):
    """Refuses a DOCTYPE, and with it every entity but the five of XML itself."""

    def doctype(self, *_declaration: object) -> None:
        raise IllFormed("a DOCTYPE")


def parse(body: bytes) -> ElementTree.Element:
    """Read a request; blanks before the declaration are tolerated, an encoding other than UTF-8 is not.

    Observed: clients send blanks before `<?xml` and the service answers them.
    """
    try:
        text = body.decode("utf-8-sig").lstrip(" \t\r\n")
        parser = ElementTree.XMLParser(target=_Builder())
        parser.feed(text)
        root: ElementTree.Element = parser.close()
    except (UnicodeDecodeError, ElementTree.ParseError) as problem:
        raise IllFormed(str(problem)) from None
    return root


def is_name(text: str) -> bool:
    return bool(_NAME.match(text))


def is_text(text: str) -> bool:
    """Whether XML 1.0 can carry every character."""
    return not _NOT_XML.search(text)


def escaped(text: str) -> str:
    """Text that reads back character for character: a bare CR would come back as LF, so it is a reference."""
    return text.translate(_TEXT)


def cdata(text: str) -> str:
    """The same as CDATA sections; a CR and the end mark cannot stand inside one."""
    inner = text.replace("]]>", "]]]]><![CDATA[>").replace("\r", "]]>&#13;<![CDATA[")
    return f"<![CDATA[{inner}]]>" if text else ""


class Writer:
    """Lines of XML, two blanks deeper for each level. Source: the vendor's samples."""

    def __init__(
        self,
        *,
        prefix: str = "",
        as_cdata: bool = False,
        comments: bool = False,
        close_empty_text: bool = False,
        close_empty_container: bool = True,
        indent: str = "",
    ) -> None:
        self._lines: list[str] = []
        self._indent = indent
        self._prefix = prefix
        self._write = cdata if as_cdata else escaped
        self._comments = comments
        self._close_empty_text = close_empty_text
        self._close_empty_container = close_empty_container

    def text(self, name: str, value: str, attributes: Mapping[str, str] | None = None) -> None:
        tag = self._prefix + name
        opening = tag + _attributes(attributes) if attributes else tag
        if not value and self._close_empty_text:
            self._lines.append(f"{self._indent}<{opening}/>")
        else:
            self._lines.append(f"{self._indent}<{opening}>{self._written(value)}</{tag}>")

    def texts(self, names: Iterable[str], values: Mapping[str, str]) -> None:
        for name in names:
            self.text(name, values.get(name, ""))

    def open(self, name: str, attributes: Mapping[str, str] | None = None) -> None:
        self._lines.append(f"{self._indent}<{self._prefix}{name}{_attributes(attributes)}>")
        self._indent += "  "
        if self._comments:
            self._lines.append(f"{self._indent}<!-- {name} --><?billing {name}?>")

    def close(self, name: str) -> None:
        self._indent = self._indent[:-2]
        self._lines.append(f"{self._indent}</{self._prefix}{name}>")

    def empty(self, name: str, attributes: Mapping[str, str] | None = None) -> None:
        opening = self._prefix + name + _attributes(attributes)
        end = "/>" if self._close_empty_container else f"></{self._prefix}{name}>"
        self._lines.append(f"{self._indent}<{opening}{end}")

    def block(self, lines: str) -> None:
        """Lines that another writer of the same form has written."""
        self._lines.append(lines)

    def lines(self) -> str:
        return "\n".join(self._lines)

    def document(self) -> bytes:
        return f"{DECLARATION}{self.lines()}\n".encode()

    def _written(self, value: str) -> str:
        if self._comments and len(value) > 1:
            middle = len(value) // 2
            return f"{self._write(value[:middle])}<!-- a remark -->{self._write(value[middle:])}"
        return self._write(value)


def _attributes(attributes: Mapping[str, str] | None) -> str:
    if not attributes:
        return ""
    return "".join(f' {name}="{value.translate(_ATTRIBUTE)}"' for name, value in attributes.items())
