"""deploy/kubernetes/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.files import DEPLOY, KUBERNETES, image_environment, read_settings, read_yaml, run, unknown_settings
from tests.deploy.times import END_SPARE_S, end_s

MANIFESTS = sorted(path for path in KUBERNETES.glob("*.yaml") if path.name != "kustomization.yaml")
DOCUMENTS: list[dict[str, Any]] = [
    document for path in MANIFESTS for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]


def of_kind(kind: str, name: str = "gateway") -> dict[str, Any]:
    [found] = [one for one in DOCUMENTS if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


POD: dict[str, Any] = of_kind("Deployment")["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]
PORTS = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}


def environment() -> dict[str, str]:
    """As the container gets it: the ConfigMap, then its own."""
    return {**of_kind("ConfigMap")["data"], **{one["name"]: one["value"] for one in CONTAINER["env"]}}


def test_the_manifests_are_valid() -> None:
    """By Kubernetes' own schemas; what they do not know is a mistake."""
    run("kubernetes-validate", "--strict", *MANIFESTS)


def test_the_schemas_find_a_slip(tmp_path: Path) -> None:
    """The test above must be able to fail."""
    text = (KUBERNETES / "deployment.yaml").read_text(encoding="utf-8")
    (tmp_path / "deployment.yaml").write_text(text.replace("readOnlyRootFilesystem", "readonlyRootFilesystem"))
    with pytest.raises(AssertionError, match="readonlyRootFilesystem"):
        run("kubernetes-validate", "--strict", tmp_path / "deployment.yaml")


def test_kustomize_names_every_manifest_but_the_example() -> None:
    """The example's secrets are none."""
    resources = read_yaml(KUBERNETES / "kustomization.yaml")["resources"]
    assert sorted([*resources, "secret.example.yaml"]) == [path.name for path in MANIFESTS]


def test_every_object_is_in_the_namespace() -> None:
    """Applied one by one they end up where the kustomization puts them."""
    namespace = of_kind("Namespace", "freshbooks-gateway")["metadata"]["name"]
    assert {one["metadata"].get("namespace", namespace) for one in DOCUMENTS} == {namespace}
    assert read_yaml(KUBERNETES / "kustomization.yaml")["namespace"] == namespace


def test_the_drain_fits_into_the_grace_period() -> None:
    """Kubernetes kills what is not gone by then, with requests in hand."""
    needed_s = end_s({**image_environment(), **environment()})
    assert POD["terminationGracePeriodSeconds"] >= needed_s + END_SPARE_S


def test_the_drain_outlasts_the_news_that_the_pod_is_unready() -> None:
    """All balancers have turned away before the listener closes: the probe notices, and there is as long again."""
    probe = CONTAINER["readinessProbe"]
    noticed_s = probe["periodSeconds"] * probe["failureThreshold"]
    assert float(environment()["GATEWAY_DRAIN_S"]) >= 2 * noticed_s


def test_a_roll_takes_no_replica_away_before_its_successor_is_ready() -> None:
    """And the autoscaler and the budget keep two, of which one may go at a time."""
    strategy = of_kind("Deployment")["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert "replicas" not in of_kind("Deployment")["spec"]
    assert of_kind("HorizontalPodAutoscaler")["spec"]["minReplicas"] == 2
    assert of_kind("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_the_probes_ask_what_they_are_for() -> None:
    """Liveness and start ask whether it answers; only readiness may depend on the store and on draining."""
    paths = {name: CONTAINER[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    assert {CONTAINER[f"{name}Probe"]["httpGet"]["port"] for name in paths} == {"http"}


def test_the_container_may_do_no_more_than_it_must() -> None:
    """As Pod Security's `restricted` asks, and with a root file system that is read only."""
    assert POD["automountServiceAccountToken"] is False
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in CONTAINER["volumeMounts"]}
    assert "emptyDir" in mounts["/tmp"]
    assert {"cpu", "memory"} <= set(CONTAINER["resources"]["requests"])
    assert "memory" in CONTAINER["resources"]["limits"]


def test_the_environment_holds_settings_only() -> None:
    """A misspelt name would be ignored in silence."""
    assert unknown_settings(environment()) == set()


def test_the_container_starts_with_these_settings() -> None:
    """Together with what the image sets, and secrets under the names of the example."""
    secret = of_kind("Secret")["stringData"]
    files = {name: value for name, value in environment().items() if name.endswith("_FILE")}
    assert {Path(value).name for value in files.values()} == set(secret)
    assert set(secret.values()) == {"REPLACE-ME"}
    read_settings(environment(), DEPLOY / "demo" / "secrets")


def test_ports_agree_with_the_settings() -> None:
    """What listens is what the Services, the probes and Prometheus are told."""
    binds = {"http": environment()["GATEWAY_BIND"], "metrics": environment()["METRICS_BIND"]}
    assert {name: int(bind.rpartition(":")[2]) for name, bind in binds.items()} == PORTS
    for name in ("gateway", "gateway-metrics"):
        assert {port["targetPort"] for port in of_kind("Service", name)["spec"]["ports"]} <= set(PORTS)
    annotations = of_kind("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(PORTS["metrics"])


def test_labels_and_selectors_agree() -> None:
    """Every one that selects pods selects these."""
    labels = of_kind("Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        of_kind("Deployment")["spec"]["selector"]["matchLabels"],
        of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        of_kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(of_kind("Service", name)["spec"]["selector"] for name in ("gateway", "gateway-metrics")),
        *(one["labelSelector"]["matchLabels"] for one in POD["topologySpreadConstraints"]),
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)
    assert of_kind("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == "gateway"


def test_the_network_policy_opens_what_is_needed() -> None:
    """In: the two ports, each to one neighbour. Out: names, Redis, and TLS to what is outside."""
    policy = of_kind("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    incoming = [(len(rule["from"]), [port["port"] for port in rule["ports"]]) for rule in policy["ingress"]]
    assert incoming == [(1, ["http"]), (1, ["metrics"])]
    outgoing = [[port["port"] for port in rule["ports"]] for rule in policy["egress"]]
    assert outgoing == [[53, 53], [6379], [443]]
    assert all(rule["to"] for rule in policy["egress"])
