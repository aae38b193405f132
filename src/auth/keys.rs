//! The keys that sign access tokens: from the operator's file, else made once and kept in the database.

use super::SetupError;
use crate::{
    clock::Clock,
    config::Config,
    db::{Db, Dialect},
    random::{Random, sha256},
};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde::Serialize;
use std::{collections::HashMap, fs, path::Path};

/// What every node of the installation signs and verifies with.
pub struct Keys {
    /// The id of the key that signs.
    pub kid: String,
    /// The key that signs.
    pub signing: EncodingKey,
    /// The keys that verify, by id.
    pub verifying: HashMap<String, DecodingKey>,
    /// The public keys as they are published.
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

impl Keys {
    /// With a key file its key is the only one; without, all keys of the database verify and the newest signs.
    pub async fn load(db: &Db, config: &Config, clock: &Clock, random: &Random) -> Result<Self, SetupError> {
        let pairs = match &config.signing_key_file {
            Some(path) => vec![from_file(path)?],
            None => from_database(db, clock, random).await?,
        };
        let first = pairs.first().ok_or_else(|| SetupError::Key("there is none".to_owned()))?;
        let pkcs8 = first.to_pkcs8().map_err(|_| SetupError::Key("it can't be encoded".to_owned()))?;
        Ok(Self {
            kid: thumbprint(first),
            signing: EncodingKey::from_ed_der(pkcs8.as_ref()),
            // For this algorithm jsonwebtoken takes the 32 raw bytes.
            verifying: pairs.iter().map(|pair| (thumbprint(pair), DecodingKey::from_ed_der(pair.public_key().as_ref()))).collect(),
            published: pairs.iter().map(jwk).collect(),
        })
    }
}

fn from_file(path: &Path) -> Result<Ed25519KeyPair, SetupError> {
    let shown = path.display();
    let wrong = |what: String| SetupError::KeyFile(format!("{shown} {what}"));
    let pem = fs::read(path).map_err(|error| wrong(format!("can't be read ({error})")))?;
    let not_ed25519 = || wrong("holds no Ed25519 private key as PEM in PKCS #8; `openssl genpkey -algorithm ed25519` makes one".to_owned());
    let key = EncodingKey::from_ed_pem(&pem).map_err(|_| not_ed25519())?;
    Ed25519KeyPair::from_pkcs8(key.as_bytes()).map_err(|_| not_ed25519())
}

/// Nodes that start at once agree on one key: making it waits for whoever makes it already, then looks again.
async fn from_database(db: &Db, clock: &Clock, random: &Random) -> Result<Vec<Ed25519KeyPair>, SetupError> {
    const READ: &str = "SELECT private_key FROM signing_keys ORDER BY created_at DESC, kid";
    const ADD: &str = "INSERT INTO signing_keys (kid, private_key, public_key, created_at) VALUES ($1, $2, $3, $4)";
    let mut stored: Vec<(Vec<u8>,)> = db.query(READ).all().await?;
    if stored.is_empty() {
        let mut tx = db.begin().await?;
        if tx.dialect() == Dialect::Postgres {
            tx.query("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE").execute().await?;
        }
        stored = tx.query(READ).all().await?;
        if stored.is_empty() {
            let mut seed = [0; 32];
            random.fill(&mut seed);
            let pair = pair_from(&seed)?;
            let public = pair.public_key().as_ref().to_vec();
            tx.query(ADD).bind(thumbprint(&pair)).bind(seed.to_vec()).bind(public).bind(clock.now()).execute().await?;
            stored.push((seed.to_vec(),));
        }
        tx.commit().await?;
    }
    stored.iter().map(|(seed,)| pair_from(seed)).collect()
}

/// From the 32 bytes that RFC 8032 calls the private key.
fn pair_from(seed: &[u8]) -> Result<Ed25519KeyPair, SetupError> {
    match seed.len() {
        32 => Ed25519KeyPair::from_seed_unchecked(seed).map_err(|error| SetupError::Key(error.to_string())),
        length => Err(SetupError::Key(format!("a key in the database has {length} bytes instead of 32"))),
    }
}

fn x(pair: &Ed25519KeyPair) -> String {
    URL_SAFE_NO_PAD.encode(pair.public_key())
}

/// RFC 7638: the same key has the same id wherever it is kept.
fn thumbprint(pair: &Ed25519KeyPair) -> String {
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, x(pair));
    URL_SAFE_NO_PAD.encode(sha256(canonical.as_bytes()))
}

fn jwk(pair: &Ed25519KeyPair) -> Jwk {
    Jwk { kty: "OKP", crv: "Ed25519", x: x(pair), kid: thumbprint(pair), alg: "EdDSA", r#use: "sig" }
}
