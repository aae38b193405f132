//! argon2id on threads of its own: a hash takes 19 MiB and tens of milliseconds, and a rush of logins must neither
//! starve the other requests nor fill the memory. The queue before the threads is bounded; what doesn't fit is refused.
//!
//! The threads work when nobody else has anything to do: who signs in waits a little longer then, and not everybody who
//! books. Who has waited long is taken by another one, which gets a share of a busy machine too.

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
    time::Duration,
};
use tokio::{sync::oneshot, time::timeout};

/// The cost (OWASP's first choice for argon2id): memory in KiB, passes, lanes.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

/// How long somebody waits for a moment in which nobody else has anything to do.
const PATIENCE: Duration = Duration::from_secs(2);

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
    all: Line,
    /// Those of whom have waited long.
    late: Line,
    random: Random,
}

/// Work that waits for threads.
#[derive(Clone)]
struct Line {
    jobs: SyncSender<Job>,
    waiting: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum Job {
    Hash { password: Password, salt: [u8; SALT_BYTES], reply: Reply<String> },
    Verify { password: Password, hash: Option<String>, reply: Reply<bool> },
}

/// Who waits for an answer; the first one is taken.
struct Reply<T>(Arc<Mutex<Option<oneshot::Sender<Hashed<T>>>>>);

type Hashed<T> = Result<T, argon2::password_hash::Error>;

impl<T> Clone for Reply<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Reply<T> {
    fn new() -> (Self, oneshot::Receiver<Hashed<T>>) {
        let (reply, answer) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(reply)))), answer)
    }

    /// Whether nobody waits any more.
    fn is_closed(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn send(&self, answer: Hashed<T>) {
        if let Some(reply) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // If they went meanwhile it is dropped.
            let _ = reply.send(answer);
        }
    }
}

/// When a thread gets the processor.
#[derive(Clone, Copy)]
enum Turn {
    /// When nobody else wants it.
    WhenIdle,
    /// A tenth of what others get.
    Little,
}

impl Turn {
    /// Takes this turn from now on. On Linux a thread has a turn of its own; elsewhere, and where it is refused, all are equal.
    fn take(self) {
        #[cfg(target_os = "linux")]
        {
            use thread_priority::{
                NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
            };
            let (policy, priority) = match self {
                Self::WhenIdle => (NormalThreadSchedulePolicy::Idle, ThreadPriority::Min),
                // A niceness of 9.
                Self::Little => (NormalThreadSchedulePolicy::Other, ThreadPriority::Crossplatform(25_u8.try_into().unwrap_or_default())),
            };
            let _ = set_thread_priority_and_policy(thread_native_id(), priority, ThreadSchedulePolicy::Normal(policy));
        }
    }
}

impl Passwords {
    /// Starts the threads.
    ///
    /// # Panics
    /// When the system has no thread left to give.
    pub fn start(config: &Config, random: Random) -> Self {
        let line = |threads, turn| Line::start(threads, config.password_queue as usize, turn);
        Self { all: line(config.password_threads, Turn::WhenIdle), late: line(1, Turn::Little), random }
    }

    /// The hash to keep, as a PHC string with its own salt. [`Code::QueueFull`] when too many wait.
    pub async fn hash(&self, password: Password) -> Result<String, Problem> {
        let mut salt = [0; SALT_BYTES];
        self.random.fill(&mut salt);
        let (reply, answer) = Reply::new();
        self.answer(Job::Hash { password, salt, reply }, answer).await
    }

    /// Whether the password is the one that was hashed. `None`, for an account that doesn't exist, takes as long and
    /// is `false`. [`Code::QueueFull`] when too many wait.
    pub async fn verify(&self, password: Password, hash: Option<String>) -> Result<bool, Problem> {
        let (reply, answer) = Reply::new();
        self.answer(Job::Verify { password, hash, reply }, answer).await
    }

    /// How many wait for a thread.
    pub fn waiting(&self) -> usize {
        self.all.waiting.load(Ordering::Relaxed)
    }

    async fn answer<T>(&self, job: Job, mut answer: oneshot::Receiver<Hashed<T>>) -> Result<T, Problem> {
        self.all.submit(job.clone())?;
        let answered = match timeout(PATIENCE, &mut answer).await {
            Ok(answered) => answered,
            Err(_) => {
                // Where too many are late already they wait on as before.
                let _ = self.late.submit(job);
                answer.await
            }
        };
        answered.map_err(Problem::internal)?.map_err(Problem::internal)
    }
}

impl Line {
    fn start(threads: u32, places: usize, turn: Turn) -> Self {
        let (jobs, queue) = sync_channel(places);
        let (queue, waiting) = (Arc::new(Mutex::new(queue)), Arc::<AtomicUsize>::default());
        for number in 0..threads {
            let (queue, waiting) = (Arc::clone(&queue), Arc::clone(&waiting));
            let worker = thread::Builder::new().name(format!("passwords-{number}"));
            worker.spawn(move || work(&queue, &waiting, turn)).expect("the system gives a thread");
        }
        Self { jobs, waiting }
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

fn work(queue: &Mutex<Receiver<Job>>, waiting: &AtomicUsize, turn: Turn) {
    turn.take();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost());
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        if job.is_ok() {
            waiting.fetch_sub(1, Ordering::Relaxed);
        }
        // An answer that nobody waits for any more is not worth its work.
        match job {
            Ok(Job::Hash { password, salt, reply }) if !reply.is_closed() => {
                let hash = argon2.hash_password_with_salt(password.0.as_bytes(), &salt);
                reply.send(hash.map(|hash| hash.to_string()));
            }
            Ok(Job::Verify { password, hash, reply }) if !reply.is_closed() => reply.send(verify(&argon2, &password, hash.as_deref())),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

fn verify(argon2: &Argon2<'_>, password: &Password, hash: Option<&str>) -> Hashed<bool> {
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

    fn passwords(threads: u32) -> Passwords {
        Passwords { all: Line::start(threads, 8, Turn::WhenIdle), late: Line::start(0, 8, Turn::Little), random: Random::seeded(1) }
    }

    /// A line with room for so many, before which nobody works, and its end.
    fn stuck(places: usize) -> (Line, Receiver<Job>) {
        let (jobs, queue) = sync_channel(places);
        (Line { jobs, waiting: Arc::default() }, queue)
    }

    #[tokio::test]
    async fn a_password_is_verified_by_its_hash_alone() {
        let passwords = passwords(1);
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
        let (all, _queue) = stuck(1);
        let passwords = Passwords { all, ..passwords(0) };
        let first = passwords.verify(Password::new("first in line"), None);
        let mut first = std::pin::pin!(first);
        assert!(futures_util::FutureExt::now_or_never(&mut first).is_none());
        let refused = passwords.hash(Password::new("second in line")).await.unwrap_err();
        assert_eq!(refused.code(), Code::QueueFull);
        assert_eq!(passwords.waiting(), 1, "the refused one doesn't wait");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_long_is_taken_by_another_thread() {
        let (all, queue) = stuck(1);
        let passwords = Passwords { all, late: Line::start(1, 1, Turn::Little), ..passwords(0) };
        assert!(!passwords.verify(Password::new("long in line"), None).await.unwrap());
        let Ok(Job::Verify { reply, .. }) = queue.try_recv() else { panic!("it waits in its line all the same") };
        assert!(reply.is_closed(), "and need not be done again");
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
