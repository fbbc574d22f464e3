"""Every response conforms to the OpenAPI document, whatever the request."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from agentkit.serving.http.app import create_app
from agentkit.serving.http.keys import Keys
from tests.support.http_service import reply, settings_for
from tests.support.model_server import serve


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("api")
    key = Keys(folder / "keys.json").add("ann")
    with serve(reply) as server:
        app = create_app(settings_for(folder, server.url))
        loaded: Any = schemathesis.openapi.from_asgi("/openapi.json", app)
        loaded.key = key
        yield loaded


def test_every_response_conforms_to_the_openapi_document(api: Any) -> None:
    checks = [not_a_server_error, status_code_conformance, response_schema_conformance]
    tried = []
    for found in api.get_all_operations():
        operation = found.ok()
        tried.append(operation.label)

        @given(case=operation.as_strategy())
        @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        def check(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(headers={"Authorization": f"Bearer {api.key}"}, checks=checks)

        check()
    assert len(tried) >= 15
