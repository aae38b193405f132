// What the scripts know of `plenary demo`: where it runs, who can sign in, and what must be true of the list they download.
import assert from 'node:assert/strict';

export const api = process.env['API'] ?? 'http://127.0.0.1:8080';
export const event = 'quality-forum-2026';
export const code = 'E6';
export const anna = { email: 'anna@demo.example', password: 'try-plenary-2026' };
export const organiser = { email: 'organiser@demo.example', password: 'try-plenary-2026' };

/** Holds the downloaded list against the registration that was made and cancelled. */
export function check(csv: string, registrationId: string): void {
  const [headings, ...rows] = csv.trim().split('\r\n');
  assert.equal(headings, 'registrationId,status,name');
  assert.ok(rows.includes(`${registrationId},cancelled,Anna Andersen`), csv);
}
