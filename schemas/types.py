"""The house field types: each knows one value, its JSON, its XML text and its JSON Schema.

A declaration names where the value stands in the upstream's XML:

    element    the XML element; None: the same as the field's own name
    fallback   an older element of the record that carries the same value, read when the first is missing

Reading (`from_text`) is tolerant: it never raises, and gives None where the text means nothing. Writing (`to_text`) is
only ever asked for values that validation has passed. Messages carry their code before a bar: `code|What is wrong.`
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from marshmallow import Schema, ValidationError, fields, validate

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot carry, not even as a character reference. Source: XML 1.0 §2.2, production Char."""

XML_PATTERN = r"^[^\x00-\x08\x0B\x0C\x0E-\x1F\uFFFE\uFFFF]*$"
"""The same as a JSON Schema pattern, for text without lone surrogates: a pattern cannot name those portably."""

_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?")
_IDENTIFIER = re.compile(r"[0-9]{1,18}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_WALL_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)


class Leaf(fields.Field[Any]):
    """A value that is one piece of XML text.

    `xml_attribute` names an attribute of the item's element that carries the value instead; `own_text` says that the
    value is the text of the item's own element.
    """

    json_schema: ClassVar[Mapping[str, Any]] = {"type": "string"}
    """The JSON Schema of the type, null aside."""

    default_error_messages = {
        "required": "required|This field is required.",
        "null": "null_not_allowed|This field cannot be cleared.",
        "invalid": "wrong_type|Must be text.",
    }

    def __init__(
        self,
        *,
        element: str | None = None,
        fallback: str | None = None,
        xml_attribute: str | None = None,
        own_text: bool = False,
        kept_when_absent: bool = False,
        description: str = "",
        example: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("allow_none", not kwargs.get("required", False))
        super().__init__(**kwargs)
        self.element = element
        self.fallback = fallback
        self.xml_attribute = xml_attribute
        self.own_text = own_text
        self.kept_when_absent = kept_when_absent
        self.description = description
        self.example = example

    def load_schema(self) -> dict[str, Any]:
        """The JSON Schema of what validation takes, null aside."""
        return dict(self.json_schema)

    def dump_schema(self) -> dict[str, Any]:
        """The JSON Schema of what a record shows, null aside: no more than holds of records older than our rules."""
        return dict(self.json_schema)

    def to_text(self, value: Any, zone: ZoneInfo) -> str:
        """The XML text of a validated value; `zone` is the upstream's."""
        return str(value)

    def from_text(self, text: str, zone: ZoneInfo) -> Any:
        """The JSON value of an XML text, None if there is none in it. Never raises."""
        return text or None


class Text(Leaf):
    """Text that stays text: `01234` and `0E42` are no numbers here. Empty text and null are the same."""

    default_error_messages = {
        "not_xml": "invalid_character|Holds U+{code:04X} at position {position}, which XML 1.0 cannot carry.",
        "empty": "required|This field cannot be empty.",
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str | None:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        if bad := NOT_XML.search(value):
            raise self.make_error("not_xml", code=ord(bad.group()), position=bad.start())
        if not value and not self.allow_none:
            raise self.make_error("empty")
        return value or None

    def load_schema(self) -> dict[str, Any]:
        schema = {**self.json_schema, "pattern": XML_PATTERN}
        return schema if self.allow_none else {**schema, "minLength": 1}

    def dump_schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}


class Pattern(Text):
    """Text of one shape."""

    pattern: ClassVar[str]
    default_error_messages = {"shape": "invalid_format|Does not have the expected form."}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str | None:
        text = super()._deserialize(value, attr, data, **kwargs)
        if text is not None and not re.fullmatch(self.pattern, text, re.ASCII):
            raise self.make_error("shape")
        return text

    def load_schema(self) -> dict[str, Any]:
        return {**self.json_schema, "pattern": f"^({self.pattern}){'?' if self.allow_none else ''}$"}


class Language(Pattern):
    """A language code as the upstream has them: `en`, `es-419`."""

    pattern = "[a-z]{2,3}(-[A-Za-z0-9]{2,8})?"
    default_error_messages = {"shape": "invalid_format|Must be a language code such as en or es-419."}


class Currency(Pattern):
    """An ISO 4217 code."""

    pattern = "[A-Z]{3}"
    default_error_messages = {"shape": "invalid_format|Must be an ISO 4217 currency code such as USD."}


class Email(Text):
    """One e-mail address."""

    json_schema: ClassVar[Mapping[str, Any]] = {"type": "string", "format": "email"}
    default_error_messages = {"email": "invalid_email|Must be an e-mail address."}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str | None:
        text = super()._deserialize(value, attr, data, **kwargs)
        if text is not None:
            try:
                validate.Email()(text)
            except ValidationError:
                raise self.make_error("email") from None
        return text

    def load_schema(self) -> dict[str, Any]:
        return dict(self.json_schema)


class Password(Text):
    """Text that may be written and never comes back."""

    json_schema: ClassVar[Mapping[str, Any]] = {"type": "string", "format": "password"}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(load_only=True, allow_none=False, kept_when_absent=True, **kwargs)


class Identifier(Leaf):
    """A positive whole number that names a record."""

    json_schema: ClassVar[Mapping[str, Any]] = {
        "type": "integer",
        "format": "int64",
        "minimum": 1,
        "maximum": 10**18 - 1,
    }
    default_error_messages = {
        "invalid": "wrong_type|Must be a whole number.",
        "range": "out_of_range|Must be between 1 and 999999999999999999.",
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON has one kind of number: 15.0 is 15
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.make_error("invalid")
        if not 0 < value < 10**18:
            raise self.make_error("range")
        return value

    def from_text(self, text: str, zone: ZoneInfo) -> int | None:
        digits = text.strip()
        return (int(digits) or None) if digits.isascii() and _IDENTIFIER.fullmatch(digits) else None


class Money(Leaf):
    """An amount as a decimal string, exact: never a binary float."""

    json_schema: ClassVar[Mapping[str, Any]] = {
        "type": "string",
        "format": "decimal",
        "pattern": f"^{_DECIMAL.pattern}$",
    }
    default_error_messages = {
        "invalid": "wrong_type|Must be a decimal number in a string.",
        "shape": "invalid_format|Must be a decimal number in a string, such as 123.45.",
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        if not _DECIMAL.fullmatch(value):
            raise self.make_error("shape")
        return value

    def from_text(self, text: str, zone: ZoneInfo) -> str | None:
        amount = text.strip()
        return amount if _DECIMAL.fullmatch(amount) else None


class WallTime(Leaf):
    """A moment that the upstream writes as wall time without a zone.

    Source: `updated` is US/Eastern with daylight saving. Observed: `0000-00-00 00:00:00` means none. In the hour that
    autumn repeats, the earlier of the two moments is meant.
    """

    json_schema: ClassVar[Mapping[str, Any]] = {"type": "string", "format": "date-time"}

    def from_text(self, text: str, zone: ZoneInfo) -> str | None:
        return _moment(text.strip(), zone)


@functools.lru_cache(maxsize=5_000)
def _moment(written: str, zone: ZoneInfo) -> str | None:
    """Remembered, because a page's moments are mostly those of its last reading."""
    if not _WALL_TIME.fullmatch(written):
        return None
    try:
        moment = datetime.fromisoformat(written).replace(tzinfo=zone)
        return (moment.astimezone(UTC) if _offset_has_seconds(moment) else moment).isoformat()
    except (ValueError, OverflowError):
        return None


def _offset_has_seconds(moment: datetime) -> bool:
    """As before standard time: RFC 3339 can only write offsets of whole minutes."""
    return bool((moment.utcoffset() or timedelta()) % timedelta(minutes=1))


class Instant(Text):
    """A moment in a query: RFC 3339 with offset, or a date, which means its first moment in the upstream's zone."""

    json_schema: ClassVar[Mapping[str, Any]] = {
        "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}],
    }
    default_error_messages = {
        "shape": "invalid_format|Must be an RFC 3339 date-time with offset, or a date, such as "
        "2009-08-12T09:00:00-04:00 or 2009-08-12."
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            if text is not None and _DATE.fullmatch(text):
                return date.fromisoformat(text)
            if text is not None and _INSTANT.fullmatch(text):
                moment = datetime.fromisoformat(text.upper())
                moment.astimezone(UTC)
                return moment
        except (ValueError, OverflowError):
            pass
        raise self.make_error("shape")

    def load_schema(self) -> dict[str, Any]:
        return dict(self.json_schema)

    def to_text(self, value: Any, zone: ZoneInfo) -> str:
        if not isinstance(value, datetime):
            return f"{value.isoformat()} 00:00:00"
        try:
            return value.astimezone(zone).replace(tzinfo=None).isoformat(" ", "seconds")
        except OverflowError:
            return value.replace(tzinfo=None).isoformat(" ", "seconds")


class Choice(Text):
    """One word of a few."""

    default_error_messages = {"choice": "invalid_choice|Must be one of: {choices}."}

    def __init__(self, *choices: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.choices = choices

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str | None:
        text = super()._deserialize(value, attr, data, **kwargs)
        if text not in self.choices:
            raise self.make_error("choice", choices=", ".join(self.choices))
        return text

    def load_schema(self) -> dict[str, Any]:
        return {**self.json_schema, "enum": list(self.choices)}


class Count(Leaf):
    """A whole number in a query, written in plain ASCII digits."""

    default_error_messages = {"range": "out_of_range|Must be a whole number from {low} to {high}."}

    def __init__(self, *, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low = low
        self.high = high

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        number = int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value) else -1
        if not self.low <= number <= self.high:
            raise self.make_error("range", low=self.low, high=self.high)
        return number

    def load_schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


_NESTED_MESSAGES: dict[str, Any] = {
    "required": "required|This field is required.",
    "null": "null_not_allowed|This field cannot be cleared.",
    "type": "wrong_type|Must be an object.",
    "invalid": "wrong_type|Must be an object.",
}


class Group(fields.Nested):
    """An object in JSON that is flat or a container in XML.

    With `prefix`, its members are elements of the record named prefix + name (`p_city`); with `element`, they are the
    children of that element.
    """

    def __init__(
        self,
        schema: type[Schema],
        *,
        prefix: str = "",
        element: str | None = None,
        description: str = "",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("allow_none", True)
        super().__init__(schema, error_messages=_NESTED_MESSAGES, **kwargs)
        self.prefix = prefix
        self.element = element
        self.description = description


class Many(fields.Nested):
    """A list in JSON; in XML the `item` elements inside `element`.

    `fallback` is an older element of the record that stands for a list of one. A list in a body replaces the stored
    one, so its items are judged whole even in a partial update.
    """

    def __init__(
        self,
        schema: type[Schema],
        *,
        element: str,
        item: str,
        fallback: str | None = None,
        description: str = "",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("allow_none", True)
        messages = {**_NESTED_MESSAGES, "type": "wrong_type|Must be a list."}
        super().__init__(schema, many=True, error_messages=messages, **kwargs)
        self.element = element
        self.item = item
        self.fallback = fallback
        self.description = description

    def _deserialize(self, value: Any, attr: str | None, data: Any, partial: Any = None, **kwargs: Any) -> Any:
        return super()._deserialize(value, attr, data, partial=False, **kwargs)
