"""Hooks of Schemathesis: requests that would be right name what exists in a world, so that they reach the rules behind
404. What is meant to be wrong stays as it is."""

import atexit
import collections
import json
import os
import zlib

import schemathesis
import yaml
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase
from world import World

with open(os.environ["FUZZ_CONTRACT"]) as file:
    CONTRACT = yaml.load(file, Loader=yaml.CSafeLoader)

# Successful changes of one operation that a world is good for.
CHANGES = 20

world = World(CONTRACT, int(os.environ["FUZZ_PORT"]), os.environ["FUZZ_OWNER"], os.environ["FUZZ_ATTENDEE"])
now = {"operation": None, "changes": CHANGES}
seen = collections.defaultdict(collections.Counter)


@schemathesis.hook
def before_call(context, case, kwargs):
    another = case.operation.label != now["operation"]
    if now["changes"] >= (1 if another else CHANGES):
        world.build()
        now["changes"] = 0
    now["operation"] = case.operation.label
    # Not at random: the same request is always changed in the same way. One in eight keeps what was made up.
    pick = zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode())
    if pick % 8 == 0:
        return
    if right(case, ParameterLocation.PATH):
        case.path_parameters.update(known(case.path_parameters, world.ids.get, pick))
    if right(case, ParameterLocation.QUERY) and case.query:
        # Nobody can make up a cursor, and hardly a list of columns.
        case.query = {name: value for name, value in case.query.items() if name not in ("cursor", "columns")}
        case.query.update(known(case.query, world.held, pick))
    if right(case, ParameterLocation.HEADER):
        headers = {"If-Match": ["*"], "If-None-Match": ["*", '"0"'], "Idempotency-Key": [f"key-{pick}"]}
        case.headers.update(known(case.headers, headers.get, pick))
    if right(case, ParameterLocation.BODY) and isinstance(case.body, dict):
        case.body = adapted(case.operation.definition.raw["operationId"], world.real(case.body, pick))


def right(case, location):
    """Whether what stands there is meant to be right."""
    # In the coverage phase only one place is wrong on purpose, whatever else Schemathesis has put beside it.
    if case.meta.phase.name == TestPhase.COVERAGE:
        return case.meta.phase.data.parameter_location != location
    return not case.meta.is_negative_at(location)


def adapted(operation_id, body):
    if operation_id == "logIn":
        return world.credentials
    if operation_id == "replaceProgramme" and isinstance(body.get("event"), dict):
        # A document never renames its event.
        body["event"].pop("slug", None)
    return body


def known(parameters, held, pick):
    found = {name: held(name) for name in parameters}
    return {name: values[pick % len(values)] for name, values in found.items() if values}


@schemathesis.hook
def after_call(context, case, response):
    seen[case.operation.label][response.status_code] += 1
    if case.method.upper() == "GET" or not 200 <= response.status_code < 300:
        return
    now["changes"] += 1
    if case.method.upper() == "DELETE":
        kind, lost = list(case.path_parameters.items())[-1]
        if lost in world.ids[kind] and not world.lose(kind, lost):
            now["changes"] = CHANGES


@schemathesis.check
def pointers_point_into_the_body(ctx, response, case):
    """What `errors` says is wrong with the body is there, or is missing from something that is there."""
    if response.headers.get("content-type") != ["application/problem+json"] or not isinstance(case.body, (dict, list)):
        return
    for error in response.json()["errors"]:
        if error["in"] == "body" and error["pointer"]:
            assert has_place(case.body, error["pointer"]), f"{error['pointer']} points nowhere"


def has_place(body, pointer):
    for segment in pointer.split("/")[1:-1]:
        name = segment.replace("~1", "/").replace("~0", "~")
        if isinstance(body, list):
            body = body[int(name)] if name.isdecimal() and int(name) < len(body) else None
        else:
            body = body.get(name) if isinstance(body, dict) else None
    return isinstance(body, (dict, list))


@schemathesis.deserializer("text/csv", "application/x-ndjson")
def text(context, response):
    return response.text


@schemathesis.deserializer("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
def binary(context, response):
    return response.content.decode("latin-1")


@atexit.register
def tell():
    with open(os.environ["FUZZ_SEEN"], "w") as file:
        json.dump(seen, file)
