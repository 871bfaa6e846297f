"""The configuration as text: held to the providers' documentation where Terraform is absent too."""

import re

import pytest
from msgspec import Struct

from infra.deploy.deployment import BucketWish
from infra.deploy.storage import CORS_HEADERS, CORS_METHODS
from infra.terraform.checking import FOLDER


class Schema(Struct, frozen=True):
    """Arguments of a resource as its documentation has them; `known` beside the required ones."""

    required: frozenset[str]
    known: frozenset[str] = frozenset()


def schema(required: str, known: str = "") -> Schema:
    return Schema(frozenset(required.split()), frozenset(known.split()))


SCHEMAS = {
    # docs.runpod.io/integrations/terraform/migration, "runpod_endpoint" and "runpod_template"
    "runpod_serverless_endpoint": schema(
        "name endpoint_type scaling_type scaling_value",
        "image disk env registry gpu_pools excluded_types gpu_count min_cuda_version flashboot "
        "workers_min workers_max idle_timeout timeout template_id allowed_cuda_versions "
        "data_center_ids network_volumes cpu compute_type ports",
    ),
    "runpod_template": schema(
        "name image", "disk env registry serverless public args ports category persistent_volume"
    ),
    # docs/resources/r2_bucket*.md of cloudflare/terraform-provider-cloudflare
    "cloudflare_r2_bucket": schema("account_id name", "location jurisdiction storage_class"),
    "cloudflare_r2_bucket_cors": schema("account_id bucket_name", "jurisdiction rules"),
    "cloudflare_r2_bucket_lifecycle": schema("account_id bucket_name", "jurisdiction rules"),
}

META = {"count", "lifecycle", "depends_on", "for_each", "provider"}


def text(pattern: str = "*.tf") -> str:
    return "\n".join(path.read_text() for path in sorted(FOLDER.glob(pattern)))


def blocks(kind: str) -> dict[tuple[str, ...], str]:
    """Bodies by labels. Files are formatted: a block ends with a brace at the line's beginning."""
    found = re.finditer(rf'^{kind}((?: "\w+")+) {{\n(.*?)^}}', text(), re.MULTILINE | re.DOTALL)
    return {tuple(re.findall(r"\w+", match[1])): match[2] for match in found}


def arguments(body: str) -> set[str]:
    return set(re.findall(r"^  (\w+) +=", body, re.MULTILINE))


def inside(body: str, name: str) -> str:
    """What stands in a block of that name within."""
    return "".join(re.findall(rf"^  {name} {{\n(.*?)^  }}", body, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("labels", sorted(blocks("resource")))
def test_arguments_are_the_documented_ones(labels: tuple[str, str]) -> None:
    found = arguments(blocks("resource")[labels]) - META
    expected = SCHEMAS[labels[0]]
    assert found >= expected.required
    assert found <= expected.required | expected.known


def test_every_resource_is_looked_at() -> None:
    assert {labels[0] for labels in blocks("resource")} == set(SCHEMAS)


def test_an_endpoint_says_itself_what_it_runs() -> None:
    """Runpod reads a template once; a new image in it would never reach the workers."""
    body = blocks("resource")["runpod_serverless_endpoint", "worker"]
    assert {"image", "env", "disk"} <= arguments(body)
    assert "template_id" not in arguments(body)


def test_photos_are_not_destroyed_by_mistake() -> None:
    body = blocks("resource")["cloudflare_r2_bucket", "photos"]
    assert "prevent_destroy = true" in inside(body, "lifecycle")


@pytest.mark.parametrize("name", [labels[0] for labels in blocks("variable")])
def test_variables_are_described_typed_used_and_mostly_refused(name: str) -> None:
    body = blocks("variable")[name,]
    assert {"description", "type"} <= arguments(body)
    used = [path.name for path in FOLDER.glob("*.tf") if f"var.{name}" in path.read_text()]
    assert set(used) - {"variables.tf"}
    if name != "registry_id":  # whatever Runpod calls it
        assert f"{name} " in inside(body, "validation")


def test_only_what_exists_is_named() -> None:
    declared = {labels[0] for labels in blocks("variable")}
    assert set(re.findall(r"\bvar\.(\w+)", text())) == declared
    known = set(re.findall(r"^  (\w+) +=", "".join(_locals()), re.MULTILINE))
    assert set(re.findall(r"\blocal\.(\w+)", text())) <= known


def _locals() -> list[str]:
    return re.findall(r"^locals {\n(.*?)^}", text(), re.MULTILINE | re.DOTALL)


def test_every_rule_has_a_value_that_breaks_it() -> None:
    checks = text("checks/*.hcl")
    tested = set(re.findall(r"^    var\.(\w+),$", checks, re.MULTILINE))
    ruled = {name for (name,), body in blocks("variable").items() if inside(body, "validation")}
    assert ruled == tested


def test_the_example_is_complete_and_names_nothing_else() -> None:
    given = set(re.findall(r"^(\w+) +=", text("example.tfvars"), re.MULTILINE))
    variables = blocks("variable")
    needed = {name for (name,), body in variables.items() if "default" not in arguments(body)}
    assert needed <= given <= {name for (name,) in variables}


def test_no_secret_has_a_way_into_the_state() -> None:
    assert "password" not in {
        name for body in blocks("resource").values() for name in arguments(body)
    }
    for labels in blocks("provider"):
        assert not arguments(blocks("provider")[labels]), "keys come from the environment"
    assert "sensitive" not in re.sub(r"#.*", "", text())


def test_providers_are_pinned_to_a_major_version() -> None:
    pins = re.findall(r'source  = "(\S+)"\s+version = "(.+)"', text("versions.tf"))
    assert dict(pins).keys() == {"runpod/runpod", "cloudflare/cloudflare"}
    assert all(re.fullmatch(r"~> \d+\.\d+", version) for _, version in pins)


@pytest.mark.parametrize(
    "name", ["input_retention_days", "result_retention_days", "retention_margin_days"]
)
def test_the_bucket_keeps_what_a_bucket_made_by_deploy_keeps(name: str) -> None:
    (default,) = re.findall(r"^  default     = (\d+)$", blocks("variable")[name,], re.MULTILINE)
    assert int(default) == getattr(BucketWish(), name)
    assert "(days + var.retention_margin_days)" in text("locals.tf")


def test_pages_may_do_what_deploy_lets_them_do() -> None:
    listed = {
        name: set(re.findall(r'"([\w-]+)"', values))
        for name, values in re.findall(r"^ +(methods|headers) = \[(.*)\]$", text(), re.MULTILINE)
    }
    assert listed == {"methods": set(CORS_METHODS), "headers": set(CORS_HEADERS)}
