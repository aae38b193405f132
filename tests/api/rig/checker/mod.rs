//! Judges a run: the journal is followed through the naive model, the end is held against it, and then every answer that
//! anybody was given.

mod answers;
mod seen;

use super::{
    history::Attempt,
    ledger::{Counters, Ledger},
    model::{Breach, Entry, Model},
    venue::Venue,
};
use plenary::registrations::model::Registration;
use seen::Timelines;
use std::collections::BTreeMap;
use uuid::Uuid;

/// All that is wrong with a run.
pub fn judge(venue: &Venue, attempts: &[Attempt], ledger: &Ledger) -> Vec<Breach> {
    let mut model = venue.model(ledger.now);
    let mut timelines = Timelines::new(&model, venue);
    let mut breaches = Vec::new();
    for (place, entry) in ledger.journal.iter().enumerate() {
        let followed = model.waits_for_a_reason(entry).and_then(|()| model.follow(entry));
        timelines.note(&model, entry);
        if let Err(breach) = followed {
            // From here on the model is elsewhere; what else is wrong is seen in the counters and the answers.
            breaches.push(Breach::of(breach.invariant, format!("{}\n{}", breach.what, before(&ledger.journal[..place], &model, entry))));
            break;
        }
    }
    if breaches.is_empty() {
        model.now = ledger.now;
        breaches.extend(against_rows(&model, &ledger.rows));
        breaches.extend(at_rest(&model));
        breaches.extend(answers::judge(venue, attempts, ledger, &timelines));
    }
    breaches.extend(counted(ledger));
    breaches
}

/// How many entries are told of before one that may not be.
const TOLD: usize = 30;

/// What led to an entry: the last entries before it, and who waits.
fn before(journal: &[Entry], model: &Model, entry: &Entry) -> String {
    let told = journal.iter().skip(journal.len().saturating_sub(TOLD)).map(|entry| format!("  {entry:?}"));
    let line = model.line(entry.session_id).into_iter().map(|row| format!("  waits: {} of {}", row.id, row.attendee_id));
    told.chain(line).collect::<Vec<_>>().join("\n")
}

/// The journal and the rows tell the same.
fn against_rows(model: &Model, rows: &BTreeMap<Uuid, Registration>) -> Vec<Breach> {
    let missing = model.rows.values().filter(|row| !rows.contains_key(&row.id));
    let mut breaches: Vec<Breach> = missing.map(|row| Breach::of("I2", format!("it is in the journal only: {row:?}"))).collect();
    for row in rows.values() {
        match model.rows.get(&row.id) {
            None => breaches.push(Breach::of("I4", format!("it is in no journal: {row:?}"))),
            Some(followed) if followed != row => {
                breaches.push(Breach::of("I6", format!("the journal leads to {followed:?}, and there is {row:?}")));
            }
            Some(_) => {}
        }
    }
    breaches
}

/// Nobody waits who could have a seat, and no offer holds one when its time is over.
fn at_rest(model: &Model) -> Vec<Breach> {
    let left = model.sessions.keys().filter_map(|session| model.next_eligible(*session));
    let over = model.rows.values().filter(|row| row.offer_expires_at.is_some_and(|at| at <= model.now)).map(|row| row.id);
    left.chain(over).map(|id| Breach::of("I1", format!("at rest, and a seat is not where it belongs: {:?}", model.rows[&id]))).collect()
}

/// The counters are counts, whatever the journal says; nobody is there twice.
fn counted(ledger: &Ledger) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for counters in &ledger.counters {
        let Counters { session_id, seats_limit, seats_taken, seats_over, waitlisted, last_seq, last_change } = counters;
        let rows: Vec<&Registration> = ledger.rows.values().filter(|row| row.session_id == *session_id).collect();
        let count = |which: &dyn Fn(&Registration) -> bool| rows.iter().filter(|row| which(row)).count() as i64;
        let taken = count(&|row| row.status.is_seated());
        let counted = (
            taken,
            count(&|row| row.is_active() && !row.status.is_seated()),
            rows.len() as i64,
            ledger.journal.iter().filter(|entry| entry.session_id == *session_id).count() as i64,
        );
        if counted != (*seats_taken, *waitlisted, *last_seq, *last_change) {
            breaches.push(Breach::of("I6", format!("{counters:?} instead of {counted:?}")));
        }
        if seats_limit.is_some_and(|limit| taken > limit + seats_over) {
            breaches.push(Breach::of("I1", format!("oversold: {taken} seats of {counters:?}")));
        }
        let mut seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
        seqs.sort_unstable();
        seqs.dedup();
        if seqs.len() != rows.len() {
            breaches.push(Breach::of("I5", format!("a place was given twice in {session_id}")));
        }
    }
    let mut held: Vec<(Uuid, Uuid)> =
        ledger.rows.values().filter(|row| row.is_active()).map(|row| (row.attendee_id, row.session_id)).collect();
    let all = held.len();
    held.sort_unstable();
    held.dedup();
    if held.len() != all {
        breaches.push(Breach::of("I3", "somebody is there twice"));
    }
    breaches
}
