"""Books a seat with the client of openapi-python-client."""

import csv
import os
from typing import TypeVar

from plenary_api_client.api.auth import log_in
from plenary_api_client.api.availability import get_session_availability
from plenary_api_client.api.programme import get_programme, replace_programme
from plenary_api_client.api.registrations import cancel_registration, create_registration, list_session_registrations
from plenary_api_client.api.sessions import list_sessions
from plenary_api_client.client import AuthenticatedClient, Client
from plenary_api_client.models import Availability, LogIn, Problem, ProblemCode, ProgrammeChanges, ProgrammeDocument, Registration, Tokens
from plenary_api_client.models import RegistrationStatus, SessionPage

API = os.environ.get("API", "http://127.0.0.1:8080")
EVENT, CODE, PASSWORD = "quality-forum-2026", "E6", "try-plenary-2026"
COLUMNS = "registrationId,status,name"

Expected = TypeVar("Expected")


def expect(kind: type[Expected], answer: object) -> Expected:
    """The answer, which is of that kind; a problem says what it is about."""
    assert isinstance(answer, kind), answer
    return answer


def signed_in(email: str) -> AuthenticatedClient:
    tokens = expect(Tokens, log_in.sync(client=Client(API), body=LogIn(email=email, password=PASSWORD)))
    return AuthenticatedClient(API, token=tokens.access_token)


def main() -> None:
    anna, organiser = signed_in("anna@demo.example"), signed_in("organiser@demo.example")

    programme = expect(ProgrammeDocument, get_programme.sync(EVENT, client=anna))
    planned = next(session for session in programme.sessions or [] if session.code == CODE)
    print(f"{planned.code}: {planned.title}, {len(planned.parts or [])} parts")

    [session] = expect(SessionPage, list_sessions.sync(EVENT, client=anna, code=CODE)).items
    assert session.title == planned.title

    # What is read loses nothing in the generated types: put back, it changes nothing.
    read = get_programme.sync_detailed(EVENT, client=organiser)
    document, etag = expect(ProgrammeDocument, read.parsed), read.headers["ETag"]
    changes = expect(ProgrammeChanges, replace_programme.sync(EVENT, client=organiser, body=document, if_match=etag, dry_run=True))
    for changed in (changes.added, changes.changed, changes.removed):
        assert not any(changed.to_dict().values()), changes

    before = expect(Availability, get_session_availability.sync(session.id, client=anna))
    booked = expect(Registration, create_registration.sync(session.id, client=anna))
    assert booked.status is RegistrationStatus.CONFIRMED
    after = expect(Availability, get_session_availability.sync(session.id, client=anna))
    assert after.taken == before.taken + 1

    cancelled = expect(Registration, cancel_registration.sync(booked.id, client=anna))
    assert cancelled.status is RegistrationStatus.CANCELLED

    # An error is typed too. To an attendee there is no roster.
    refused = expect(Problem, list_session_registrations.sync(session.id, client=anna, columns=COLUMNS))
    assert refused.code is ProblemCode.NOT_FOUND

    # The generator reads an answer as the first of its media types, the JSON page: a file is read with the client's own HTTP.
    query = {"columns": COLUMNS, "safe": "false"}
    roster = organiser.get_httpx_client().get(f"/v1/sessions/{session.id}/registrations", params=query, headers={"Accept": "text/csv"})
    assert roster.status_code == 200, roster.text
    rows = list(csv.reader(roster.text.splitlines()))
    assert rows[0] == COLUMNS.split(","), rows
    assert [str(booked.id), "cancelled", "Anna Andersen"] in rows, rows
    print("openapi-python-client: signed in, read, booked, cancelled, downloaded")


main()
