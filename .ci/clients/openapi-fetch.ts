// Books a seat with the types of openapi-typescript and the client of openapi-fetch.
import assert from 'node:assert/strict';
import createClient, { type Client } from 'openapi-fetch';
import type { paths } from './generated/openapi-typescript/schema.js';
import * as demo from './demo.js';

type Plenary = Client<paths>;

async function signedIn(account: { email: string; password: string }): Promise<Plenary> {
  const api = createClient<paths>({ baseUrl: demo.api });
  const { data, error } = await api.POST('/v1/auth/login', { body: account });
  assert.ok(data, error?.detail);
  api.use({
    onRequest({ request }) {
      request.headers.set('Authorization', `Bearer ${data.accessToken}`);
    },
  });
  return api;
}

const api = await signedIn(demo.anna);
const organiser = await signedIn(demo.organiser);

const event = { event: demo.event };
const programme = await api.GET('/v1/events/{event}/programme', { params: { path: event } });
assert.ok(programme.data, programme.error?.detail);
const planned = programme.data.sessions?.find(({ code }) => code === demo.code);
assert.ok(planned, 'the session is on the programme');
console.log(`${planned.code}: ${planned.title}, ${planned.parts?.length} parts`);

const found = await api.GET('/v1/events/{event}/sessions', { params: { path: event, query: { code: demo.code } } });
const session = found.data?.items[0];
assert.equal(session?.title, planned.title);

const path = { session: session.id };
const before = await api.GET('/v1/sessions/{session}/availability', { params: { path } });
const booked = await api.POST('/v1/sessions/{session}/registrations', { params: { path }, body: { ifFull: 'reject' } });
assert.ok(booked.data, booked.error?.detail);
assert.equal(booked.data.status, 'confirmed');
const after = await api.GET('/v1/sessions/{session}/availability', { params: { path } });
assert.ok(before.data && after.data);
assert.equal(after.data.taken, before.data.taken + 1);

const registration = { registration: booked.data.id };
const cancelled = await api.POST('/v1/registrations/{registration}/cancel', { params: { path: registration } });
assert.equal(cancelled.data?.status, 'cancelled');
assert.equal(cancelled.data.cancelReason, 'by_attendee');

// An error is typed too. To an attendee there is no roster.
const query = { format: 'csv', safe: false, columns: 'registrationId,status,name' } as const;
const refused = await api.GET('/v1/sessions/{session}/registrations', { params: { path, query }, parseAs: 'text' });
assert.equal(refused.error?.code, 'not_found');

const list = await organiser.GET('/v1/sessions/{session}/registrations', { params: { path, query }, parseAs: 'text' });
assert.ok(list.data, list.error?.detail);
demo.check(list.data, booked.data.id);
console.log('openapi-fetch: signed in, read, booked, cancelled, downloaded');
