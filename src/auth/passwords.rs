//! argon2id on threads of its own: a hash takes 19 MiB and tens of milliseconds, and a rush of logins must neither
//! starve the other requests nor fill the memory. The queue before the threads is bounded; what doesn't fit is refused.

use crate::{
    config::Config,
    error::{Code, Problem},
    random::Random,
};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use serde::Deserialize;
use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};
use tokio::sync::oneshot;

/// The cost (OWASP's first choice for argon2id): memory in KiB, passes, lanes.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

/// How far a hash gives way (0 not at all, 19 to everything): at 10 it gets a tenth of what others get.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// The most common passwords of 8 characters and more, in lower case, one a line.
const COMMON: &str = include_str!("common_passwords.txt");

/// A password as it was typed. It is never written anywhere: `Debug` hides it and there is no `Display`.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// From text, for the demo and the command line.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether it is one of the most common ones, or one of `own`: what everybody knows of the account.
    pub fn is_weak(&self, own: &[&str]) -> bool {
        let lower = self.0.to_lowercase();
        COMMON.lines().any(|common| common == lower) || own.iter().any(|known| known.to_lowercase() == lower)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Hashes and verifies. Cheap to clone; the threads end with the last clone.
#[derive(Clone)]
pub struct Passwords {
    jobs: SyncSender<Job>,
    waiting: Arc<AtomicUsize>,
    random: Random,
}

enum Job {
    Hash { password: Password, salt: [u8; SALT_BYTES], reply: oneshot::Sender<Result<String, argon2::password_hash::Error>> },
    Verify { password: Password, hash: Option<String>, reply: oneshot::Sender<Result<bool, argon2::password_hash::Error>> },
}

impl Passwords {
    /// Starts the threads.
    ///
    /// # Panics
    /// When the system has no thread left to give.
    pub fn start(config: &Config, random: Random) -> Self {
        let (jobs, queue) = sync_channel(config.password_queue as usize);
        let queue = Arc::new(Mutex::new(queue));
        let waiting = Arc::<AtomicUsize>::default();
        for number in 0..config.password_threads {
            let (queue, waiting) = (Arc::clone(&queue), Arc::clone(&waiting));
            let worker = thread::Builder::new().name(format!("passwords-{number}"));
            worker.spawn(move || work(&queue, &waiting)).expect("the system gives a thread");
        }
        Self { jobs, waiting, random }
    }

    /// The hash to keep, as a PHC string with its own salt. [`Code::QueueFull`] when too many wait.
    pub async fn hash(&self, password: Password) -> Result<String, Problem> {
        let mut salt = [0; SALT_BYTES];
        self.random.fill(&mut salt);
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Hash { password, salt, reply })?;
        answer.await.map_err(Problem::internal)?.map_err(Problem::internal)
    }

    /// Whether the password is the one that was hashed. `None`, for an account that doesn't exist, takes as long and
    /// is `false`. [`Code::QueueFull`] when too many wait.
    pub async fn verify(&self, password: Password, hash: Option<String>) -> Result<bool, Problem> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Verify { password, hash, reply })?;
        answer.await.map_err(Problem::internal)?.map_err(Problem::internal)
    }

    /// How many wait for a thread.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn submit(&self, job: Job) -> Result<(), Problem> {
        // Counted before a thread can take it, which counts it out.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.jobs.try_send(job).map_err(|error| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => Problem::new(Code::QueueFull, "Too many people sign in at this moment. Try again."),
                TrySendError::Disconnected(_) => Problem::internal("the password threads have ended"),
            }
        })
    }
}

/// Lets everybody else go first where the processor is scarce: who signs in waits a little longer then, and not everybody
/// who books. On Linux a thread has a niceness of its own; elsewhere, and where it is refused, all are equal.
fn give_way() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
}

fn work(queue: &Mutex<Receiver<Job>>, waiting: &AtomicUsize) {
    give_way();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost());
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        if job.is_ok() {
            waiting.fetch_sub(1, Ordering::Relaxed);
        }
        // An answer that nobody waits for any more is not worth its work, and if they go meanwhile it is dropped.
        match job {
            Ok(Job::Hash { password, salt, reply }) if !reply.is_closed() => {
                let hash = argon2.hash_password_with_salt(password.0.as_bytes(), &salt);
                let _ = reply.send(hash.map(|hash| hash.to_string()));
            }
            Ok(Job::Verify { password, hash, reply }) if !reply.is_closed() => {
                let _ = reply.send(verify(&argon2, &password, hash.as_deref()));
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

fn verify(argon2: &Argon2<'_>, password: &Password, hash: Option<&str>) -> Result<bool, argon2::password_hash::Error> {
    let password = password.0.as_bytes();
    match hash {
        Some(hash) => match argon2.verify_password(password, hash) {
            Ok(()) => Ok(true),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(error),
        },
        None => argon2.hash_password_with_salt(password, &[0; SALT_BYTES]).map(|_| false),
    }
}

fn cost() -> Params {
    Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the cost is within argon2's limits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords(threads: u32, queue: usize) -> (Passwords, Arc<Mutex<Receiver<Job>>>) {
        let (jobs, receiver) = sync_channel(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        let waiting = Arc::<AtomicUsize>::default();
        for _ in 0..threads {
            let (receiver, waiting) = (Arc::clone(&receiver), Arc::clone(&waiting));
            thread::spawn(move || work(&receiver, &waiting));
        }
        (Passwords { jobs, waiting, random: Random::seeded(1) }, receiver)
    }

    #[tokio::test]
    async fn a_password_is_verified_by_its_hash_alone() {
        let (passwords, _) = passwords(1, 8);
        let hash = passwords.hash(Password::new("correct horse battery")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify(Password::new("correct horse battery"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(Password::new("Correct horse battery"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(Password::new("correct horse battery"), None).await.unwrap());
        let again = passwords.hash(Password::new("correct horse battery")).await.unwrap();
        assert_ne!(hash, again, "every hash has its own salt");
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let (passwords, _receiver) = passwords(0, 1);
        let first = passwords.verify(Password::new("first in line"), None);
        let mut first = std::pin::pin!(first);
        assert!(futures_util::FutureExt::now_or_never(&mut first).is_none());
        let refused = passwords.hash(Password::new("second in line")).await.unwrap_err();
        assert_eq!(refused.code(), Code::QueueFull);
        assert_eq!(passwords.waiting(), 1, "the refused one doesn't wait");
    }

    #[test]
    fn common_and_own_words_are_weak() {
        for weak in ["password", "PASSWORD1", "Qwertyuiop", "12345678", "iloveyou"] {
            assert!(Password::new(weak).is_weak(&[]), "{weak}");
        }
        assert!(Password::new("Anna@Example.org").is_weak(&["anna@example.org"]));
        assert!(!Password::new("long enough and rare").is_weak(&["anna@example.org", "Anna"]));
        assert_eq!(format!("{:?}", Password::new("secret")), "Password(…)");
    }

    #[test]
    fn the_list_is_in_the_form_it_is_compared_in() {
        for line in COMMON.lines() {
            assert!(line.chars().count() >= 8, "{line} can't be chosen anyway");
            assert_eq!(line, line.to_lowercase());
            assert_eq!(line, line.trim());
        }
        assert!(COMMON.lines().count() > 300);
    }
}
