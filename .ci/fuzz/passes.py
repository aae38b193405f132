"""Runs Schemathesis over every operation on SQLite and on Postgres: as the owner of an organisation, as an attendee, and
as somebody who hasn't signed in. Ends with 1 when an answer was not as the contract says, or when an operation was never
reached: neither as an owner nor as an attendee did it get past 404 and what is refused at the door."""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import yaml
from processes import ROOT, Api, Postgres, Server, free_port, sign_in, wait_until

HERE = pathlib.Path(__file__).resolve().parent
CONTRACT = ROOT / "openapi.yaml"
PASS_SECS = 600
EXAMPLES = {"sqlite": 20, "postgres": 5}
WHO = ["owner", "attendee", "nobody"]
METHODS = {"get", "put", "post", "patch", "delete"}
REACHED = {"200", "201", "202", "204", "304", "409", "412"}
LIMITS = [
    "REQUESTS_PER_USER_MINUTE", "REQUESTS_PER_ADDRESS_MINUTE", "BOOKINGS_PER_USER_MINUTE", "LOGINS_PER_ADDRESS_MINUTE",
    "LOGIN_FAILURES_PER_HOUR", "LOGINS_PER_ACCOUNT_HOUR", "SIGNUPS_PER_ADDRESS_HOUR", "SIGNUPS_PER_ACCOUNT_HOUR",
]  # fmt: skip


def main():
    program = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="plenary-fuzz-") as folder, concurrent.futures.ThreadPoolExecutor(2) as lanes:
        folder = pathlib.Path(folder)
        postgres = Postgres()
        try:
            urls = {"sqlite": f"sqlite:{folder}/plenary.db", "postgres": postgres.url}
            results = list(lanes.map(lambda name: lane(program, name, urls[name], folder), urls))
        finally:
            postgres.stop()
    unreached = set.union(*(result["unreached"] for result in results))
    for operation in sorted(unreached):
        print(f"{operation} was never reached: what should its request name? (.ci/fuzz/world.py)")
    if unreached or not all(result["clean"] for result in results):
        sys.exit(1)


def lane(program, name, url, folder):
    """All passes on one database."""
    port = free_port()
    settings = {f"PLENARY_LIMIT_{limit}": "1000000" for limit in LIMITS} | {"PLENARY_ACCESS_TOKEN_SECS": "86400"}
    log = folder / f"{name}.log"
    with open(log, "wb") as file:
        server = Server(program, url, port, file, **settings)
        server.start()
        try:
            wait_until("the server answers", lambda: Api(port).answers("/readyz"))
            people = {who: sign_in(port, who).token for who in ("owner", "attendee")}
            clean = [one_pass(name, who, port, people, folder) for who in WHO]
            server.signal("TERM")
            status = server.ended()
        finally:
            server.kill()
    files = [folder / f"{name}-{who}.json" for who in people]
    seen = [json.loads(file.read_text()) for file in files if file.exists()]
    unreached = {operation for operation in operations() if not any(REACHED & one.get(operation, {}).keys() for one in seen)}
    if not all(clean) or status != 0:
        print(f"The server on {name} ended with {status}; the end of its log:\n{log.read_text()[-4000:]}")
    return {"clean": all(clean) and status == 0, "unreached": unreached}


def operations():
    paths = yaml.load(CONTRACT.read_text(), Loader=yaml.CSafeLoader)["paths"]
    return [f"{method.upper()} {path}" for path, item in paths.items() for method in item if method in METHODS]


def one_pass(name, who, port, people, folder):
    """Runs Schemathesis once. Whether all answers were as the contract says."""
    environment = os.environ | {
        "FUZZ_CONTRACT": str(CONTRACT), "FUZZ_PORT": str(port), "FUZZ_SEEN": str(folder / f"{name}-{who}.json"),
        "FUZZ_OWNER": people["owner"], "FUZZ_ATTENDEE": people["attendee"],
    }  # fmt: skip
    command = ["st", "--config-file", HERE / "schemathesis.toml", "run", CONTRACT, "--url", f"http://127.0.0.1:{port}"]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES[name]), "--no-color"]
    if who in people:
        command += ["--header", f"Authorization: Bearer {people[who]}"]
    began, log = time.monotonic(), folder / f"{name}-{who}.log"
    with open(log, "wb") as file:
        try:
            # In the temporary folder, for what Schemathesis and Hypothesis leave where they stand.
            streams = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file}
            status = subprocess.run(command, env=environment, cwd=folder, timeout=PASS_SECS, **streams).returncode
        except subprocess.TimeoutExpired:
            status = f"not ended after {PASS_SECS} s"
    text = log.read_text()
    cases = next((line.strip() for line in text.splitlines() if " generated," in line), "")
    print(f"{name}, {who}: {'as the contract says' if status == 0 else status}; {cases}; {time.monotonic() - began:.0f} s", flush=True)
    if status != 0:
        print(text, flush=True)
    return status == 0


main()
