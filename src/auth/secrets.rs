//! Secrets made once for the installation and shared by all nodes through the database.

use crate::{
    clock::Clock,
    db::{Db, Result},
    random::Random,
};

/// The secret of that name, made at first use. Nodes that start at once agree on one: the first row wins.
pub async fn installation_secret(db: &Db, name: &'static str, random: &Random, clock: &Clock) -> Result<Vec<u8>> {
    const READ: &str = "SELECT value FROM installation_secrets WHERE name = $1";
    const ADD: &str = "INSERT INTO installation_secrets (name, value, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING";
    if let Some(value) = db.query(READ).bind(name.to_owned()).optional_scalar::<Vec<u8>>().await? {
        return Ok(value);
    }
    let mut value = vec![0; 32];
    random.fill(&mut value);
    let mut tx = db.begin().await?;
    tx.query(ADD).bind(name.to_owned()).bind(value).bind(clock.now()).execute().await?;
    let value = tx.query(READ).bind(name.to_owned()).scalar::<Vec<u8>>().await?;
    tx.commit().await?;
    Ok(value)
}
