"""What the scripts of this folder and .ci/fuzz share: servers as processes, a Postgres of their own, and a small client."""

import datetime
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE_SECS = 60
PASSWORD = "wooden horse by the fjord"


def fail(sentence):
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {sentence}")


def release_binary(given):
    """The program to measure: the one that was named, or the release build."""
    binary = pathlib.Path(given) if given else ROOT / "target" / "release" / "plenary"
    if not binary.exists():
        fail(f"{binary} doesn't exist: cargo build --release")
    return binary.resolve()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(what, holds, every=0.05):
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > PATIENCE_SECS:
            fail(f"waited {PATIENCE_SECS} s: {what}")
        time.sleep(every)


class Api:
    """One connection that is kept. An answer is its status and its JSON."""

    def __init__(self, port, token=None):
        self.port, self.token = port, token
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECS)

    def call(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body)
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            text = answer.read()
        except Exception:
            self.connection.close()
            raise
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.status, json.loads(text) if is_json and text else text

    def must(self, status, method, path, body=None):
        found, answer = self.call(method, path, body)
        if found != status:
            fail(f"{method} {path} answered {found}: {answer}")
        return answer

    def answers(self, path):
        try:
            return self.call("GET", path)[0] == 200
        except OSError:
            return False


def sign_in(port, name):
    """A new user; answers their client."""
    person = {"email": f"{name}@example.org", "password": PASSWORD, "name": name}
    api = Api(port)
    api.must(201, "POST", "/v1/auth/signup", person)
    api.token = api.must(200, "POST", "/v1/auth/login", {"email": person["email"], "password": PASSWORD})["accessToken"]
    return api


def conference(port, sessions):
    """An event with open sessions in a month; answers its slug and the sessions' ids."""
    api = sign_in(port, "organiser")
    organisation = api.must(201, "POST", "/v1/organisations", {"name": "Measured"})["id"]
    day = datetime.date.today() + datetime.timedelta(days=30)
    event = {"organisationId": organisation, "slug": "measured", "name": "Measured", "timeZone": "Europe/Berlin", "status": "published"}
    event |= {"startsOn": str(day), "endsOn": str(day), "booking": {"admission": "open"}}
    api.must(201, "POST", "/v1/events", event)
    times = {"startsAt": f"{day}T09:00:00Z", "endsAt": f"{day}T10:00:00Z", "status": "published"}
    made = [{"code": f"S{number}", "title": f"Session {number}"} | times for number in range(sessions)]
    return "measured", [api.must(201, "POST", "/v1/events/measured/sessions", session)["id"] for session in made]


class Server:
    """`plenary serve` as a process."""

    def __init__(self, binary, database_url, port, log, **settings):
        self.binary, self.port, self.log = binary, port, log
        self.environment = clean_environment() | {"DATABASE_URL": database_url, "PLENARY_BIND": f"127.0.0.1:{port}"} | settings
        self.process = None

    def start(self):
        self.process = subprocess.Popen([self.binary, "serve"], env=self.environment, stdin=subprocess.DEVNULL, stderr=self.log)

    def signal(self, name):
        self.process.send_signal(signal.Signals[f"SIG{name}"])

    def ended(self):
        """Its exit status."""
        return self.process.wait(PATIENCE_SECS)

    def memory_mib(self):
        """Resident memory now and at its highest."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        sizes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "VmHWM"))}
        return int(sizes["VmRSS"]) / 1024, int(sizes["VmHWM"]) / 1024

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def clean_environment():
    """Nothing of ours, and no limits: the load comes from one address."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PLENARY_", "RUST_LOG", "DATABASE_URL"))}
    limits = ["REQUESTS_PER_USER_MINUTE", "REQUESTS_PER_ADDRESS_MINUTE", "BOOKINGS_PER_USER_MINUTE", "LOGINS_PER_ADDRESS_MINUTE"]
    limits += ["SIGNUPS_PER_ADDRESS_HOUR"]
    return ours | {f"PLENARY_LIMIT_{name}": "0" for name in limits}


class Postgres:
    """A cluster in a folder of its own, with fsync, on a socket and nowhere else."""

    def __init__(self):
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        initdb = found[-1] if found else shutil.which("initdb")
        if not initdb:
            fail("there is no initdb: apt-get install postgresql")
        binaries = pathlib.Path(initdb).resolve().parent
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="plenary-postgres-", dir="/tmp"))
        # Postgres refuses to run as root.
        self.somebody = {}
        if os.getuid() == 0:
            self.somebody = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(self.folder, "postgres", "postgres")
        self.process = None
        data = self.folder / "data"
        self.run([initdb, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "-D", data])
        options = ["-c", "listen_addresses=", "-c", "max_connections=200"]
        with open(self.folder / "log", "wb") as log:
            command = [binaries / "postgres", "-D", data, "-k", self.folder, *options]
            self.process = subprocess.Popen(command, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.somebody)
        ready = [binaries / "pg_isready", "-h", self.folder, "-q"]
        wait_until("Postgres answers", lambda: subprocess.run(ready).returncode == 0)
        self.run([binaries / "createdb", "-h", self.folder, "-U", "postgres", "plenary"])
        self.url = f"postgres://postgres@localhost/plenary?host={self.folder}"

    def run(self, command):
        done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, **self.somebody)
        if done.returncode != 0:
            fail(done.stderr)

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
