"""The demo clients hold every oddity that a gateway has to live with."""

from __future__ import annotations

from simulator.demo_data import demo_clients
from simulator.record import from_json, to_json

CLIENTS = [to_json(from_json(given)) for given in demo_clients()]
EVERYTHING = "".join(str(text) for client in CLIENTS for text in client.values() if isinstance(text, str))


def test_there_are_about_sixty_and_the_same_every_time() -> None:
    assert len(CLIENTS) == len({client["client_id"] for client in CLIENTS}) == 60
    assert demo_clients() == demo_clients()


def test_all_folders() -> None:
    assert {client["folder"] for client in CLIENTS} == {"active", "archived", "deleted"}


def test_texts_that_break_careless_readers() -> None:
    """Markup, CDATA ends, carriage returns, emoji beyond the BMP, blanks at the ends, numbers that are texts."""
    for piece in (
        "&",
        "<",
        "]]>",
        "\r",
        "\r\n",
        "👨‍👩‍👧‍👦",
        "𝒻",
        "é",
        "e\u0301",
        "\u00a0",
        "\u200b",
        "\u202e",
        "&amp;",
    ):
        assert piece in EVERYTHING, piece
    texts = {text for client in CLIENTS for text in client.values() if isinstance(text, str)}
    assert {"007", "0E42", "true", "null", "  "} <= texts
    assert any(text != text.strip() for text in texts)


def test_records_that_todays_rules_would_refuse() -> None:
    """No e-mail, one that is none, a language and a currency that do not exist, contacts without e-mail."""
    emails = [client["email"] for client in CLIENTS]
    assert "" in emails
    assert "stefan(at)example" in emails
    assert "klingon" in {client["language"] for client in CLIENTS}
    assert "usd" in {client["currency_code"] for client in CLIENTS}
    assert "" in [contact["email"] for client in CLIENTS for contact in client["contacts"]]


def test_numbers_of_contacts_and_credits() -> None:
    """None, one and many of each; an e-mail that several clients have; zero dates."""
    assert {0, 1, 2, 12} <= {len(client["contacts"]) for client in CLIENTS}
    assert {0, 1, 2, 3} <= {len(client["credits"]) for client in CLIENTS}
    emails = [client["email"] for client in CLIENTS]
    assert emails.count("shared@family.example") > 1
    assert "0000-00-00 00:00:00" in {client["updated"] for client in CLIENTS}


def test_contact_ids_are_used_once() -> None:
    ids = [contact["contact_id"] for client in CLIENTS for contact in client["contacts"]]
    assert len(ids) == len(set(ids))


def test_staff_have_some_of_the_clients() -> None:
    assigned = [client for client in CLIENTS if client["assigned_to"] == ["staff"]]
    assert 10 < len(assigned) < 50
