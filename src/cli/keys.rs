//! `plenary keys`: the keys that sign access tokens.

use super::DatabaseArgs;
use clap::{Args, Subcommand};
use plenary::{
    app::open_existing,
    auth::{Rotation, rotate_signing_key},
    clock::Clock,
    config::Config,
    db::Access,
    random::Random,
};
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum Command {
    /// Make a new signing key in the database. Servers may run: they go over to it within a minute.
    ///
    /// The keys before it no longer sign, but verify for 25 hours more, longer than any token lives, so nobody notices.
    /// `/.well-known/jwks.json` lists them until then.
    Rotate(RotateArgs),
}

#[derive(Args)]
pub struct RotateArgs {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Refuse tokens of the keys before from now on, because one leaked. Clients get a new access token with their
    /// refresh token; servers notice within a minute.
    #[arg(long)]
    at_once: bool,

    /// Set where the servers sign with a key file: then there is nothing in the database to rotate.
    #[arg(long, env = "PLENARY_SIGNING_KEY_FILE", value_name = "FILE")]
    signing_key_file: Option<PathBuf>,
}

/// Makes a new key, beside a server that may run.
pub async fn rotate(args: RotateArgs) -> anyhow::Result<()> {
    if let Some(path) = args.signing_key_file {
        anyhow::bail!("the servers sign with the key file {}, not with a key of the database: replace the file", path.display());
    }
    let config = Config::for_database(&args.database.database_url);
    config.check()?;
    let db = open_existing(&config, Access::Beside).await?;
    let Rotation { kid, until } = rotate_signing_key(&db, &Clock::system(), &Random::system(), args.at_once).await?;
    db.close().await;
    println!("The key {kid} signs from now on.");
    match args.at_once {
        true => println!("Tokens of the keys before it are refused."),
        false => println!("Tokens of the keys before it are accepted until {until}."),
    }
    Ok(())
}
