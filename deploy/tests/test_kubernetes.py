import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types
import kubernetes_validate  # type: ignore[import-untyped]  # nor has this
import pytest

from contracts.subjects import CONSUMERS, MB, STREAMS
from servicekit.provision import BUCKETS

Manifest = dict[str, Any]
SERVICES = {"gateway", "coordinator", "cache", "fetcher", "classifier", "reporter"}
VERSIONS = ("1.33", "1.37")


@pytest.fixture(params=["dev", "prod"])
def overlay(request: pytest.FixtureRequest, manifests: dict[str, list[Manifest]]) -> list[Manifest]:
    return manifests[request.param]


@pytest.fixture
def prod(manifests: dict[str, list[Manifest]]) -> list[Manifest]:
    return manifests["prod"]


def of_kind(manifests: list[Manifest], *kinds: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] in kinds}


def pod_templates(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    for name, each in of_kind(manifests, "Deployment", "StatefulSet", "Job").items():
        yield name, each["spec"]["template"]


def containers(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    for name, template in pod_templates(manifests):
        for container in template["spec"]["containers"]:
            yield name, container


class TestManifests:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_fit_the_schemas_of_kubernetes_to_the_letter(self, overlay: list[Manifest], version: str):
        checked = 0
        for manifest in overlay:
            if manifest["apiVersion"].startswith("keda.sh/"):
                continue
            kubernetes_validate.validate(manifest, version, strict=True)
            checked += 1
        assert checked > 30

    def test_are_checked_by_something_that_minds(self, overlay: list[Manifest]):
        wrong = json.loads(json.dumps(of_kind(overlay, "Deployment")["farol-cache"]))
        wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)

    def test_lie_in_one_namespace_that_enforces_the_restricted_profile(self, overlay: list[Manifest]):
        namespace = of_kind(overlay, "Namespace")["farol"]
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        assert {each["metadata"].get("namespace") for each in overlay if each["kind"] != "Namespace"} == {"farol"}

    def test_hold_no_secret(self, overlay: list[Manifest], make_secrets: ModuleType):
        assert of_kind(overlay, "Secret") == {}
        named = {
            source["secretRef"]["name"]
            for _, container in containers(overlay)
            for source in container.get("envFrom", [])
            if "secretRef" in source
        }
        assert named <= {item["metadata"]["name"] for item in json.loads(make_secrets.kubernetes())["items"]}


class TestPods:
    def test_have_no_rights(self, overlay: list[Manifest]):
        for name, template in pod_templates(overlay):
            pod = template["spec"]["securityContext"]
            assert pod["runAsNonRoot"] is True, name
            assert pod["runAsUser"] > 0, name
            assert pod["seccompProfile"] == {"type": "RuntimeDefault"}, name
            assert template["spec"]["automountServiceAccountToken"] is False, name
        for name, container in containers(overlay):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name

    def test_write_only_where_something_bounded_is_mounted(self, overlay: list[Manifest]):
        for name, template in pod_templates(overlay):
            for volume in template["spec"].get("volumes", []):
                assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"], name

    def test_say_what_they_need_and_how_much_memory_they_may_take(self, overlay: list[Manifest]):
        for name, container in containers(overlay):
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
            assert container["resources"]["limits"]["memory"], name

    def test_say_when_they_are_ready(self, overlay: list[Manifest]):
        for name, container in containers(overlay):
            assert name == "farol-provision" or container["readinessProbe"], name

    def test_are_of_a_pinned_image(self, overlay: list[Manifest]):
        for name, container in containers(overlay):
            assert re.search(r":(dev|\d[\w.-]*)$", container["image"]), name


class TestServices:
    def test_all_have_a_deployment_spread_over_machines_and_a_disruption_budget(self, overlay: list[Manifest]):
        deployments, budgets = of_kind(overlay, "Deployment"), of_kind(overlay, "PodDisruptionBudget")
        for service in SERVICES:
            deployment = deployments[f"farol-{service}"]
            spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
            assert {each["topologyKey"] for each in spread} == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
            labels = deployment["spec"]["template"]["metadata"]["labels"]
            assert budgets[f"farol-{service}"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
            assert spread[0]["labelSelector"]["matchLabels"].items() <= labels.items()

    def test_read_their_own_secret_and_map_only(self, overlay: list[Manifest]):
        for service in SERVICES:
            container = of_kind(overlay, "Deployment")[f"farol-{service}"]["spec"]["template"]["spec"]["containers"][0]
            maps = [source["configMapRef"]["name"] for source in container["envFrom"] if "configMapRef" in source]
            secret = [source["secretRef"]["name"] for source in container["envFrom"] if "secretRef" in source]
            assert secret == [f"farol-{service}"]
            assert len(maps) == 1
            assert re.fullmatch(rf"farol-{service}-[0-9a-z]{{10}}", maps[0])

    def test_roll_without_a_gap(self, overlay: list[Manifest]):
        for service in SERVICES:
            strategy = of_kind(overlay, "Deployment")[f"farol-{service}"]["spec"]["strategy"]
            assert strategy["rollingUpdate"]["maxUnavailable"] == 0

    def test_streams_pass_the_ingress_unbuffered(self, overlay: list[Manifest]):
        annotations = of_kind(overlay, "Ingress")["farol"]["metadata"]["annotations"]
        assert annotations["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
        assert int(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"]) > 600


class TestScaling:
    def test_fits_the_schema(self, prod: list[Manifest], deploy: Path):
        schema = json.loads((deploy / "tests" / "schemas" / "scaledobject.json").read_text())
        scaled = of_kind(prod, "ScaledObject")
        assert set(scaled) == {f"farol-{service}" for service in SERVICES - {"gateway"}}
        for each in scaled.values():
            jsonschema.validate(each, schema)

    def test_follows_consumers_that_the_table_has(self, prod: list[Manifest]):
        table = {(each.service, each.stream.name, each.durable): each for each in CONSUMERS}
        for name, scaled in of_kind(prod, "ScaledObject").items():
            assert scaled["spec"]["scaleTargetRef"]["name"] == name
            for trigger in scaled["spec"]["triggers"]:
                about = trigger["metadata"]
                consumer = table[name.removeprefix("farol-"), about["stream"], about["consumer"]]
                # Lag counts what is in work: above this bound the server holds the rest back, and no pod more helps.
                assert int(about["lagThreshold"]) <= consumer.max_ack_pending

    def test_asks_the_account_and_the_names_that_the_bus_has(self, prod: list[Manifest], deploy: Path):
        services = of_kind(prod, "Service")
        for scaled in of_kind(prod, "ScaledObject").values():
            for trigger in scaled["spec"]["triggers"]:
                host, port = trigger["metadata"]["natsServerMonitoringEndpoint"].split(":")
                service = services[host.split(".")[0]]
                # KEDA puts the leader's name before the host: only a headless service resolves that.
                assert service["spec"]["clusterIP"] == "None"
                assert int(port) in {each["port"] for each in service["spec"]["ports"]}
                assert f"  {trigger['metadata']['account']} {{" in (deploy / "nats" / "users.conf").read_text()

    def test_starts_no_more_fetchers_than_share_the_rate(self, prod: list[Manifest]):
        settings = next(each for name, each in of_kind(prod, "ConfigMap").items() if name.startswith("farol-fetcher"))
        most = of_kind(prod, "ScaledObject")["farol-fetcher"]["spec"]["maxReplicaCount"]
        assert most <= int(settings["data"]["FETCHER_MAX_PROCESSES"])

    def test_keeps_two_of_each_in_production(self, prod: list[Manifest]):
        least = [each["spec"]["minReplicaCount"] for each in of_kind(prod, "ScaledObject").values()]
        least += [each["spec"]["minReplicas"] for each in of_kind(prod, "HorizontalPodAutoscaler").values()]
        assert len(least) == len(SERVICES)
        assert min(least) >= 2


class TestNetwork:
    def test_starts_from_nothing_allowed(self, overlay: list[Manifest]):
        spec = of_kind(overlay, "NetworkPolicy")["default-deny"]["spec"]
        assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}

    def test_lets_only_two_services_out(self, overlay: list[Manifest]):
        out = [
            policy
            for policy in of_kind(overlay, "NetworkPolicy").values()
            for rule in policy["spec"].get("egress", [])
            for to in rule.get("to", [])
            if to.get("ipBlock", {}).get("cidr") == "0.0.0.0/0"
        ]
        assert len(out) == 1
        assert out[0]["spec"]["podSelector"]["matchExpressions"][0]["values"] == ["fetcher", "classifier"]

    def test_names_pods_that_exist(self, overlay: list[Manifest]):
        pods = {template["metadata"]["labels"]["app.kubernetes.io/name"] for _, template in pod_templates(overlay)}
        # In production these two are not pods: the overlay lets their addresses through.
        pods |= {"postgres", "redis"}
        text = json.dumps(list(of_kind(overlay, "NetworkPolicy").values()))
        named = set(re.findall(r'"app.kubernetes.io/name": "(\w+)"', text))
        named |= {name for values in re.findall(r'"values": \[([^]]*)]', text) for name in re.findall(r"\w+", values)}
        assert named == pods & named
        assert named >= SERVICES


class TestBus:
    def test_has_three_servers_in_production_and_as_many_copies(self, prod: list[Manifest]):
        assert of_kind(prod, "StatefulSet")["farol-nats"]["spec"]["replicas"] == 3
        provision = next(
            each for name, each in of_kind(prod, "ConfigMap").items() if name.startswith("farol-provision")
        )
        assert provision["data"]["NATS_REPLICAS"] == "3"

    def test_writes_to_disk_before_it_acknowledges(self, overlay: list[Manifest]):
        config = next(each for name, each in of_kind(overlay, "ConfigMap").items() if name.startswith("farol-nats"))
        assert "sync_interval: always" in config["data"]["server.conf"]

    def test_has_room_for_every_bound_of_the_table(self, overlay: list[Manifest]):
        config = next(each for name, each in of_kind(overlay, "ConfigMap").items() if name.startswith("farol-nats"))
        store = re.search(r"max_file_store: (\d+)GB", config["data"]["server.conf"])
        claim = of_kind(overlay, "StatefulSet")["farol-nats"]["spec"]["volumeClaimTemplates"][0]
        volume = re.fullmatch(r"(\d+)Gi", claim["spec"]["resources"]["requests"]["storage"])
        assert store is not None
        assert volume is not None
        bounds = sum(stream.max_bytes for stream in STREAMS) + sum(BUCKETS.values())
        assert bounds < int(store[1]) * 1000**3 < int(volume[1]) * 1024 * MB

    def test_takes_the_public_key_of_every_user_from_the_environment(
        self, permissions: ModuleType, make_secrets: ModuleType
    ):
        secret = next(
            item
            for item in json.loads(make_secrets.kubernetes())["items"]
            if item["metadata"]["name"] == "farol-nats-users"
        )
        wanted = {user.key_variable for user in permissions.users()}
        assert set(secret["stringData"]) == wanted | {"NATS_PASSWORD_ROUTE"}
