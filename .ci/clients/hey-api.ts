// Books a seat with the client of @hey-api/openapi-ts.
import assert from 'node:assert/strict';
import { createClient, type Client } from './generated/hey-api/client/index.js';
import * as plenary from './generated/hey-api/index.js';
import * as demo from './demo.js';

async function signedIn(account: { email: string; password: string }): Promise<Client> {
  const client = createClient({ baseUrl: demo.api, throwOnError: true });
  const { data } = await plenary.logIn({ client, body: account, throwOnError: true });
  // The token is for the header, and not also for `?ticket=`, which a link has instead of one.
  client.setConfig({ auth: ({ type }) => (type === 'http' ? data.accessToken : undefined) });
  return client;
}

const anna = { client: await signedIn(demo.anna), throwOnError: true } as const;
const organiser = { client: await signedIn(demo.organiser), throwOnError: true } as const;

const programme = await plenary.getProgramme({ ...anna, path: { event: demo.event } });
const planned = programme.data.sessions?.find(({ code }) => code === demo.code);
assert.ok(planned, 'the session is on the programme');
console.log(`${planned.code}: ${planned.title}, ${planned.parts?.length} parts`);

const found = await plenary.listSessions({ ...anna, path: { event: demo.event }, query: { code: demo.code } });
const session = found.data.items[0];
assert.equal(session?.title, planned.title);

const path = { session: session.id };
const before = await plenary.getSessionAvailability({ ...anna, path });
const booked = await plenary.createRegistration({ ...anna, path, body: { ifFull: 'reject' } });
assert.equal(booked.data.status, 'confirmed');
const after = await plenary.getSessionAvailability({ ...anna, path });
assert.equal(after.data.taken, before.data.taken + 1);

const cancelled = await plenary.cancelRegistration({ ...anna, path: { registration: booked.data.id } });
assert.equal(cancelled.data.status, 'cancelled');
assert.equal(cancelled.data.cancelReason, 'by_attendee');

// An error is typed too. To an attendee there is no roster.
const query = { format: 'csv', safe: false, columns: 'registrationId,status,name' } as const;
const refused = await plenary.listSessionRegistrations({ client: anna.client, path, query, throwOnError: false });
assert.equal(refused.error?.code, 'not_found');

// The generator types an answer by the first of its media types, the JSON page; this one is a file.
const list = await plenary.listSessionRegistrations({ ...organiser, path, query, parseAs: 'text' });
demo.check(String(list.data), booked.data.id);
console.log('@hey-api/openapi-ts: signed in, read, booked, cancelled, downloaded');
