"""The alert rules and the dashboard."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator.server import Simulator
from tests.deploy.files import DEPLOY, PROMETHEUS, alerts, dashboard, read_yaml, rule_expressions, run
from tests.support.gateway import start_gateway
from tests.support.pages import ROOT

PANELS = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
VARIABLES = {"$__rate_interval": "5m", "$job": "gateway", "$instance": ".*"}
METRIC = re.compile(r"(?<![\w:])gateway_\w+(?![\w:])")


def panel_expressions() -> dict[str, str]:
    """Every expression of the dashboard, its variables filled in, by its panel's title and its letter."""
    found = {f"{panel['title']} {one['refId']}": one["expr"] for panel in PANELS for one in panel["targets"]}
    found |= {f"annotation {one['name']}": one["expr"] for one in dashboard()["annotations"]["list"]}
    return {name: fill(expression) for name, expression in found.items()}


def fill(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def declared(simulator: Simulator) -> set[str]:
    """The series that a running gateway's metrics have, by the TYPE lines of a scrape."""
    caller = start_gateway({"UPSTREAM_URL": simulator.url, "UPSTREAM_TOKEN": "demo-admin", "GATEWAY_AUTH": "open"})
    text = caller.get("/metrics").get_data(as_text=True)
    series = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        series |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return series


def named() -> dict[str, set[str]]:
    """Each series that a rule or a panel names, with those that name it."""
    found: dict[str, set[str]] = {}
    for place, expression in {**rule_expressions(), **panel_expressions()}.items():
        for name in METRIC.findall(expression):
            found.setdefault(name, set()).add(place)
    return found


def test_every_metric_that_is_named_exists(simulator: Simulator) -> None:
    """In a running gateway: an alert on a metric that is not there never fires, and nobody notices."""
    known = declared(simulator)
    assert len(known) > 10
    assert {name: sorted(places) for name, places in named().items() if name not in known} == {}


def test_every_recorded_series_that_is_named_is_recorded() -> None:
    """By its full name."""
    expressions = {**rule_expressions(), **panel_expressions()}
    used = {name for expression in expressions.values() for name in re.findall(r"\bjob\w*:\w+:\w+", expression)}
    assert used <= set(rule_expressions())


def test_prometheus_accepts_its_configuration() -> None:
    """And the rules that it names."""
    run("promtool", "check", "config", PROMETHEUS / "prometheus.yml")


def test_prometheus_scrapes_the_gateways_of_compose() -> None:
    """On the port of their own for metrics, each by itself."""
    services = read_yaml(DEPLOY / "compose.yaml")["services"]
    [job] = [one for one in read_yaml(PROMETHEUS / "prometheus.yml")["scrape_configs"] if one["job_name"] == "gateway"]
    ports = {
        name: service["environment"]["METRICS_BIND"].rpartition(":")[2]
        for name, service in services.items()
        if name.startswith("gateway-")
    }
    assert job["static_configs"] == [{"targets": [f"{name}:{port}" for name, port in ports.items()]}]


def test_the_rules_do_what_their_tests_say() -> None:
    """promtool plays each situation."""
    run("promtool", "test", "rules", "rules_test.yaml", cwd=PROMETHEUS)


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_is_tested_both_ways(alert: dict[str, Any]) -> None:
    """In a situation of its name it does not fire at first, and fires later."""
    situations = [
        one for one in read_yaml(PROMETHEUS / "rules_test.yaml")["tests"] if one["name"].split(",")[0] == alert["alert"]
    ]
    assert situations
    for situation in situations:
        fires = [
            f'alertname="{alert["alert"]}"' in str(moment["exp_samples"]) for moment in situation["promql_expr_test"]
        ]
        assert not fires[0]
        assert True in fires


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    """How urgent it is, what it means, and where the page about it is: a section of its name."""
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^### (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor == alert["alert"].lower()
    assert alert["alert"] in headings


def test_every_section_about_an_alert_has_its_alert() -> None:
    """What was taken out of the rules goes out of the page, too."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    part = re.search(r"^## Alerts\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert part is not None
    assert re.findall(r"^### (.+)$", part[1], re.MULTILINE) == [alert["alert"] for alert in alerts()]


def test_every_expression_of_the_dashboard_is_one(tmp_path: Path) -> None:
    """promtool reads each as a rule."""
    rules = [
        {"record": f"panel:{number}", "expr": expression}
        for number, expression in enumerate(panel_expressions().values())
    ]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    run("promtool", "check", "rules", tmp_path / "rules.yaml")


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_can_be_understood(panel: dict[str, Any]) -> None:
    """It has a title, a sentence about it, a unit, and a legend for every line; its data are from the chosen source."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    for one in [panel, *panel["targets"]]:
        assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for target in panel["targets"]:
        assert target["legendFormat"]
        assert 'job="$job"' in target["expr"]


def test_the_dashboard_answers_the_four_questions_first() -> None:
    """In this order; how full things are comes last."""
    rows = [panel["title"] for panel in dashboard()["panels"] if panel["type"] == "row"]
    assert rows == [
        "Are callers served?",
        "Is the upstream well?",
        "Does the cache help?",
        "Are writes in doubt?",
        "Store and room",
    ]


def test_the_dashboard_is_one_that_grafana_can_take() -> None:
    """Its uid and its panels' ids are its own, and no two panels overlap or leave the 24 columns."""
    board = dashboard()
    assert re.fullmatch(r"[\w-]{1,40}", board["uid"])
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert [one["name"] for one in board["templating"]["list"]] == ["datasource", "job", "instance"]
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_grafana_finds_what_is_provisioned() -> None:
    """The folder that compose mounts, and the source that the dashboard starts with."""
    provisioning = DEPLOY / "grafana" / "provisioning"
    [source] = read_yaml(provisioning / "datasources" / "prometheus.yaml")["datasources"]
    assert dashboard()["templating"]["list"][0]["current"]["value"] == source["uid"]
    [provider] = read_yaml(provisioning / "dashboards" / "gateway.yaml")["providers"]
    mounts = read_yaml(DEPLOY / "compose.yaml")["services"]["grafana"]["volumes"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounts
