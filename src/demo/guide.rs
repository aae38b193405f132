//! What the demo prints: where it is, who can sign in, and two lines to paste.

use super::{
    PASSWORD,
    load::{ATTENDEES, Account, DOOR, Loaded, ORGANISER},
};
use std::fmt::Write;

/// The guide for a server at `address`. Its lines that begin with `curl` need curl and sed, and work when pasted.
pub fn guide(address: &str, database_url: &str, loaded: &Loaded) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    let _ = write!(
        text,
        "\n\
         Plenary's demo is running. Ctrl-C ends it.\n\
         \n\
         API             {address}/v1\n\
         Documentation   {address}/docs\n\
         Programme       {address}/v1/events/{slug}/programme\n\
         Database        {database}\n\
         \n\
         Its clock started at 9:00 on Monday 2 March 2026, nine days before the conference, as it does at each start: the\n\
         conference is over in reality, and a session that has begun takes no bookings. Signing in goes by the real time.\n\
         \n\
         Accounts, all with the password {PASSWORD}\n",
        slug = loaded.slug,
        database = shown(database_url),
    );
    for Account { name, email, what } in [&ORGANISER, &DOOR].into_iter().chain(ATTENDEES.iter().map(|(account, ..)| account)) {
        let _ = writeln!(text, "  {email:<24} {name:<16} {what}");
    }
    if let Some((id, code)) = &loaded.example {
        let (anna, organiser) = (token(address, ATTENDEES[0].0.email), token(address, ORGANISER.email));
        let _ = write!(
            text,
            "\n\
             Book a seat in {code} for Anna:\n\
             curl -sS -X POST {address}/v1/sessions/{id}/registrations -H \"Authorization: Bearer {anna}\"\n\
             \n\
             Export the attendee list of {code} as CSV, as the organiser:\n\
             curl -sS {address}/v1/sessions/{id}/registrations -H 'Accept: text/csv' -H \"Authorization: Bearer {organiser}\"\n"
        );
    }
    text
}

/// A command that signs in and gives the access token.
fn token(address: &str, email: &str) -> String {
    let body = serde_json::json!({ "email": email, "password": PASSWORD });
    format!(
        "$(curl -sS {address}/v1/auth/login -H 'Content-Type: application/json' -d '{body}' \
         | sed 's/.*\"accessToken\":\"\\([^\"]*\\)\".*/\\1/')"
    )
}

/// A database without its password.
fn shown(url: &str) -> String {
    match url.strip_prefix("sqlite:") {
        Some(path) => format!("the file {path}; remove it to begin anew"),
        None => "Postgres".to_owned(),
    }
}
