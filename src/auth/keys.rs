//! The keys that sign access tokens: from the operator's files, else made once and kept in the database.
//!
//! Of those in the database the one that doesn't retire signs. The others verify until they retire, so that a new key
//! takes over without anybody noticing.

use super::SetupError;
use crate::{
    clock::{Clock, Timestamp},
    config::Config,
    db::{Db, Dialect, Result as DbResult, Tx},
    random::{Random, sha256},
};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde::Serialize;
use std::{collections::HashMap, fs, path::Path};

/// How long the old key verifies after a new one has taken over, in seconds: as long as a token can live by the
/// settings (a day), and an hour for nodes that have yet to notice and for clocks that are apart.
pub const OVERLAP_SECS: i64 = 25 * 60 * 60;

/// How many keys there may be: verifiers elsewhere read them all.
const MAX_KEYS: i64 = 32;

/// What every node of the installation signs and verifies with.
pub struct Keys {
    /// The id of the key that signs.
    pub kid: String,
    /// The key that signs.
    pub signing: EncodingKey,
    /// The keys that verify, by id.
    pub verifying: HashMap<String, DecodingKey>,
    /// The public keys as they are published; the first is the one that signs.
    pub published: Vec<Jwk>,
}

/// A public Ed25519 key (RFC 8037).
#[derive(Clone, Debug, Serialize)]
pub struct Jwk {
    kty: &'static str,
    crv: &'static str,
    x: String,
    kid: String,
    alg: &'static str,
    r#use: &'static str,
}

/// The 32 bytes that RFC 8032 calls the public key.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Public([u8; 32]);

impl Keys {
    /// With a key file its key signs; without, that of the database, where one is made if there is none. The files of
    /// keys that only verify count in either case.
    pub async fn load(db: &Db, config: &Config, clock: &Clock, random: &Random) -> Result<Self, SetupError> {
        let (pair, mut publics) = match &config.signing_key_file {
            Some(path) => {
                let pair = from_file(path)?;
                let public = Public::of(&pair);
                (pair, vec![public])
            }
            None => from_database(db, clock, random).await?,
        };
        for path in &config.verifying_key_files {
            publics.push(public_from_file(path)?);
        }
        let mut unique: Vec<Public> = Vec::with_capacity(publics.len());
        for public in publics {
            if !unique.contains(&public) {
                unique.push(public);
            }
        }
        let pkcs8 = pair.to_pkcs8().map_err(|_| SetupError::Key("it can't be encoded".to_owned()))?;
        Ok(Self {
            kid: Public::of(&pair).thumbprint(),
            signing: EncodingKey::from_ed_der(pkcs8.as_ref()),
            // For this algorithm jsonwebtoken takes the 32 raw bytes.
            verifying: unique.iter().map(|public| (public.thumbprint(), DecodingKey::from_ed_der(&public.0))).collect(),
            published: unique.iter().map(Public::jwk).collect(),
        })
    }
}

impl Public {
    fn of(pair: &Ed25519KeyPair) -> Self {
        Self(pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes"))
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    fn x(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// RFC 7638: the same key has the same id wherever it is kept.
    fn thumbprint(&self) -> String {
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, self.x());
        URL_SAFE_NO_PAD.encode(sha256(canonical.as_bytes()))
    }

    fn jwk(&self) -> Jwk {
        Jwk { kty: "OKP", crv: "Ed25519", x: self.x(), kid: self.thumbprint(), alg: "EdDSA", r#use: "sig" }
    }
}

fn from_file(path: &Path) -> Result<Ed25519KeyPair, SetupError> {
    let wrong = |what: String| SetupError::KeyFile(format!("{} {what}", path.display()));
    let pem = fs::read(path).map_err(|error| wrong(format!("can't be read ({error})")))?;
    private_in(&pem)
        .ok_or_else(|| wrong("holds no Ed25519 private key as PEM in PKCS #8; `openssl genpkey -algorithm ed25519` makes one".to_owned()))
}

/// A key that only verifies may be private: so a file can change its part without being converted.
fn public_from_file(path: &Path) -> Result<Public, SetupError> {
    let wrong = |what: String| SetupError::VerifyingKeyFile(format!("{} {what}", path.display()));
    let pem = fs::read(path).map_err(|error| wrong(format!("can't be read ({error})")))?;
    let public = DecodingKey::from_ed_pem(&pem).ok().and_then(|key| Public::from_bytes(key.try_get_as_bytes().ok()?));
    public.or_else(|| private_in(&pem).as_ref().map(Public::of)).ok_or_else(|| wrong("holds no Ed25519 key as PEM".to_owned()))
}

fn private_in(pem: &[u8]) -> Option<Ed25519KeyPair> {
    let key = EncodingKey::from_ed_pem(pem).ok()?;
    Ed25519KeyPair::from_pkcs8(key.as_bytes()).ok()
}

#[derive(sqlx::FromRow)]
struct Row {
    private_key: Vec<u8>,
    public_key: Vec<u8>,
    retires_at: Option<Timestamp>,
}

/// The key that signs comes first.
const READ: &str = "SELECT private_key, public_key, retires_at FROM signing_keys WHERE retires_at IS NULL OR retires_at > $1 \
    ORDER BY CASE WHEN retires_at IS NULL THEN 0 ELSE 1 END, created_at DESC, kid";

/// The pair that signs and all public keys. Nodes that start at once agree on one pair: making it waits for whoever
/// makes it already, then looks again.
async fn from_database(db: &Db, clock: &Clock, random: &Random) -> Result<(Ed25519KeyPair, Vec<Public>), SetupError> {
    let signs = |rows: &[Row]| rows.first().is_some_and(|row| row.retires_at.is_none());
    let mut rows: Vec<Row> = db.query(READ).bind(clock.now()).all().await?;
    if !signs(&rows) {
        let mut tx = db.begin().await?;
        lock(&mut tx).await?;
        rows = tx.query(READ).bind(clock.now()).all().await?;
        if !signs(&rows) {
            add(&mut tx, clock.now(), random).await?;
            rows = tx.query(READ).bind(clock.now()).all().await?;
        }
        tx.commit().await?;
    }
    let first = rows.first().ok_or_else(|| SetupError::Key("there is none".to_owned()))?;
    let odd = |length| SetupError::Key(format!("a key in the database has {length} bytes instead of 32"));
    let publics = rows.iter().map(|row| Public::from_bytes(&row.public_key).ok_or_else(|| odd(row.public_key.len())));
    Ok((pair_from(&first.private_key)?, publics.collect::<Result<_, _>>()?))
}

/// What became of the keys.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The id of the key that signs from now on.
    pub kid: String,
    /// Until when tokens of the keys before are accepted.
    pub until: Timestamp,
}

/// Makes a key that signs from now on. The ones before verify for [`OVERLAP_SECS`] more, or, `at_once`, no longer: for a
/// key that leaked. Running servers notice by themselves.
pub async fn rotate_signing_key(db: &Db, clock: &Clock, random: &Random, at_once: bool) -> Result<Rotation, SetupError> {
    const RETIRE: &str = "UPDATE signing_keys SET retires_at = $1 WHERE retires_at IS NULL";
    const FORGET: &str = "DELETE FROM signing_keys WHERE retires_at <= $1";
    let mut tx = db.begin().await?;
    lock(&mut tx).await?;
    let now = clock.now();
    let until = if at_once { now } else { now.plus_secs(OVERLAP_SECS) };
    if at_once {
        tx.query("DELETE FROM signing_keys").execute().await?;
    } else {
        tx.query(FORGET).bind(now).execute().await?;
        tx.query(RETIRE).bind(until).execute().await?;
        let held: i64 = tx.query("SELECT COUNT(*) FROM signing_keys").scalar().await?;
        if held >= MAX_KEYS {
            return Err(SetupError::Key(format!("{held} others have not retired yet; wait, or end them all at once")));
        }
    }
    let kid = add(&mut tx, now, random).await?;
    tx.commit().await?;
    Ok(Rotation { kid, until })
}

async fn lock(tx: &mut Tx) -> DbResult<()> {
    if tx.dialect() == Dialect::Postgres {
        tx.query("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE").execute().await?;
    }
    Ok(())
}

/// Adds a new pair and answers its id.
async fn add(tx: &mut Tx, now: Timestamp, random: &Random) -> Result<String, SetupError> {
    const ADD: &str = "INSERT INTO signing_keys (kid, private_key, public_key, created_at) VALUES ($1, $2, $3, $4)";
    let mut seed = [0; 32];
    random.fill(&mut seed);
    let public = Public::of(&pair_from(&seed)?);
    tx.query(ADD).bind(public.thumbprint()).bind(seed.to_vec()).bind(public.0.to_vec()).bind(now).execute().await?;
    Ok(public.thumbprint())
}

/// From the 32 bytes that RFC 8032 calls the private key.
fn pair_from(seed: &[u8]) -> Result<Ed25519KeyPair, SetupError> {
    match seed.len() {
        32 => Ed25519KeyPair::from_seed_unchecked(seed).map_err(|error| SetupError::Key(error.to_string())),
        length => Err(SetupError::Key(format!("a key in the database has {length} bytes instead of 32"))),
    }
}
