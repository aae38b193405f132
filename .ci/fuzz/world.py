"""A small conference behind the API, made by the operations themselves out of the examples in the contract: so that a
fuzzed request names things that exist, and a new operation, or a new kind of thing, needs nothing here."""

import collections
import datetime
import itertools
import json
import re
import uuid

from processes import PASSWORD, Api, sign_in

# What an example says otherwise, and bookings need.
CHANGES = {
    "event": {"status": "published", "booking": {"admission": "open"}},
    "session": {"status": "published", "capacity": 1, "pools": [], "waitlist": {"mode": "auto"}},
}

# A session at another time that offers a seat instead of giving it.
OFFERING = {"startsAt": "2026-03-12T09:00:00Z", "endsAt": "2026-03-12T10:00:00Z", "waitlist": {"mode": "offer"}}

# What ends must end after it has begun; made up, it does so only now and then.
RANGES = [("startsAt", "endsAt"), ("opensAt", "closesAt"), ("startsOn", "endsOn")]

# Values that exist only once.
UNIQUE = {"slug", "key", "code", "externalReference"}


class World:
    """What is there: ids by kind, and in `values` what else a property or parameter of that name may hold."""

    def __init__(self, contract, port, owner, attendee):
        self.owner, self.attendee = Api(port, owner), Api(port, attendee)
        name = f"colleague-{uuid.uuid4().hex}"
        self.colleague, self.credentials = sign_in(port, name), {"email": f"{name}@example.org", "password": PASSWORD}
        self.creations = creations(contract)
        self.numbers = itertools.count()
        # The examples' conference is over.
        self.year = str(datetime.date.today().year + 1)

    def build(self):
        """All of it anew. Two of each kind: the first is used by what follows, the second by nothing, and can be deleted."""
        self.ids, self.values = collections.defaultdict(list), {"timeZone": ["Europe/Oslo", "America/New_York"]}
        for kind in self.creations:
            self.create(kind)
            self.create(kind)
        self.values["path"] = [f"/v1/sessions/{self.ids['session'][0]}/registrations?format=csv"]
        self.join()
        self.book()
        claim = self.ask(self.owner, "POST", f"/v1/attendees/{self.ids['attendee'][-1]}/claim-code")
        self.values["claimCode"] = [claim["claimCode"]]

    def create(self, kind, changes=None):
        path, example = self.creations[kind]
        body = self.real(example | CHANGES.get(kind, {}) | (changes or {}), unique=True)
        made = self.ask(self.owner, "POST", path.format_map({name: ids[0] for name, ids in self.ids.items()}), body)
        self.ids[kind].append(made["id"])
        return made

    def join(self):
        """A colleague becomes a member: the owner isn't alone. And there is an invitation that nobody has used."""
        token = self.create("invitation")["token"]
        self.values["token"] = [self.create("invitation")["token"]]
        member = self.ask(self.colleague, "POST", "/v1/invitations/accept", {"token": token})
        members = self.ask(self.owner, "GET", f"/v1/organisations/{self.ids['organisation'][0]}/members")["items"]
        self.ids["member"] = [member["id"], *(other["id"] for other in members if other["id"] != member["id"])]

    def book(self):
        """The attendee has the only seat of one session, where somebody waits, and is offered that of another."""
        somebody = {"attendeeId": self.ids["attendee"][0]}
        path = f"/v1/sessions/{self.ids['session'][0]}/registrations"
        confirmed, waiting = self.ask(self.attendee, "POST", path), self.ask(self.owner, "POST", path, somebody)
        path = f"/v1/sessions/{self.create('session', OFFERING)['id']}/registrations"
        seat, offered = self.ask(self.owner, "POST", path, somebody), self.ask(self.attendee, "POST", path)
        self.ask(self.owner, "POST", f"/v1/registrations/{seat['id']}/cancel")
        self.ids["registration"] = [confirmed["id"], offered["id"], waiting["id"]]
        self.ids["attendee"].insert(0, confirmed["attendeeId"])

    def lose(self, kind, lost):
        """One is gone. Whether there is another in its place."""
        self.ids[kind].remove(lost)
        if kind in self.creations:
            self.create(kind)
        return kind in self.creations

    def held(self, name):
        """What a property or parameter of that name may hold: its values, or the ids of its kind."""
        if name == "refreshToken":
            # Each works once.
            return [self.ask(self.owner, "POST", "/v1/auth/login", self.credentials)[name]]
        kind = re.fullmatch("(.+)Ids?", name)
        return self.values.get(name) or (self.ids.get(kind[1]) if kind else None)

    def real(self, value, pick=0, unique=False):
        """The same JSON with things that exist, and with times that are yet to come."""
        if isinstance(value, list):
            return [self.real(item, pick, unique) for item in value]
        if isinstance(value, str):
            return value.replace("2026-", f"{self.year}-")
        if not isinstance(value, dict):
            return value
        found = {name: self.property(name, item, pick, unique) for name, item in value.items()}
        for begin, end in RANGES:
            begins, ends = found.get(begin), found.get(end)
            if isinstance(begins, str) and isinstance(ends, str) and begins >= ends:
                found[end] = f"{int(begins[:4]) + 1:04}{begins[4:]}"
        return found

    def property(self, name, value, pick, unique):
        if unique and name in UNIQUE:
            return f"x{next(self.numbers)}-{uuid.uuid4().hex}"[:32]
        known = self.held(name) if isinstance(value, (str, list)) else None
        if not known:
            return self.real(value, pick, unique)
        return known[: len(value)] if isinstance(value, list) else known[pick % len(known)]

    @staticmethod
    def ask(api, method, path, body=None):
        # The server may have closed one that was kept while nothing had to be made.
        api.connection.close()
        status, answer = api.call(method, path, body)
        if status not in (200, 201):
            # Not SystemExit, which would end a thread of Schemathesis and nothing else.
            raise RuntimeError(f"the world can't be made: {method} {path} answered {status}: {json.dumps(answer)}")
        return answer


def creations(contract):
    """How each kind that stands in a path is made: the path and an example. What belongs to another comes after it."""
    found = {operation["operationId"]: (path, operation) for path, item in contract["paths"].items() if (operation := item.get("post"))}
    kinds = dict.fromkeys(kind for path in contract["paths"] for kind in re.findall(r"{(\w+)}", path))
    made = {}
    for kind in kinds:
        path, operation = found.get(f"create{kind[0].upper()}{kind[1:]}", (None, None))
        # Bookings are made in `book`.
        if operation and kind != "registration":
            examples = operation["requestBody"]["content"]["application/json"]["examples"].values()
            made[kind] = path, contract["components"]["examples"][next(iter(examples))["$ref"].split("/")[-1]]["value"]
    return made
