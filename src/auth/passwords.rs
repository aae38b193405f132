//! argon2id on threads of its own: a hash takes 19 MiB and tens of milliseconds, and a rush of logins must neither
//! starve the other requests nor fill the memory. The queue before the threads is bounded; what doesn't fit is refused.
//!
//! The threads work when nobody else has anything to do: who signs in waits a little longer then, and not everybody who
//! books. Who has waited long is taken by others, which get a share of a busy machine too.

use crate::{
    config::Config,
    error::{Code, Problem},
    random::Random,
};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use serde::Deserialize;
use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// The cost (OWASP's first choice for argon2id): memory in KiB, passes, lanes.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

/// How long somebody waits for a moment in which nobody else has anything to do.
const PATIENCE: Duration = Duration::from_secs(2);
/// How far late work gives way, in the hundred steps of `thread-priority`: a niceness of 9, an eighth of what others get.
#[cfg(target_os = "linux")]
const LITTLE: u8 = 25;

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
    line: Arc<Line>,
    random: Random,
    _open: Arc<Open>,
}

/// Work that waits for threads, or is under way.
struct Line {
    jobs: Mutex<Jobs>,
    came: Condvar,
    came_for_late: Condvar,
    /// How many may wait.
    places: usize,
    patience: Duration,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Entry>,
    /// Those that threads are at, which need not get the processor.
    taken: Vec<Entry>,
    closed: bool,
}

struct Entry {
    job: Arc<Job>,
    /// When somebody else should look after it.
    late_at: Instant,
    /// Whether somebody does.
    late: bool,
}

/// Closes the line with the last clone.
struct Open(Arc<Line>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.jobs().closed = true;
        self.0.came.notify_all();
        self.0.came_for_late.notify_all();
    }
}

enum Job {
    Hash { password: Password, salt: [u8; SALT_BYTES], reply: Reply<String> },
    Verify { password: Password, hash: Option<String>, reply: Reply<bool> },
}

/// Who waits for an answer; the first one is taken.
struct Reply<T>(Mutex<Option<oneshot::Sender<Hashed<T>>>>);

type Hashed<T> = Result<T, argon2::password_hash::Error>;

impl<T> Reply<T> {
    fn new() -> (Self, oneshot::Receiver<Hashed<T>>) {
        let (reply, answer) = oneshot::channel();
        (Self(Mutex::new(Some(reply))), answer)
    }

    fn sender(&self) -> MutexGuard<'_, Option<oneshot::Sender<Hashed<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody waits any more.
    fn is_closed(&self) -> bool {
        self.sender().as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn send(&self, answer: Hashed<T>) {
        if let Some(reply) = self.sender().take() {
            // If they went meanwhile it is dropped.
            let _ = reply.send(answer);
        }
    }
}

/// When a thread gets the processor, and what it takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// When nobody else wants it; what comes first.
    WhenIdle,
    /// A little of it; what has waited long, even if another thread is at it.
    WhenLate,
}

impl Turn {
    /// Takes this turn from now on. On Linux a thread has a turn of its own; elsewhere, and where it is refused, all are equal.
    #[cfg(target_os = "linux")]
    fn take(self) {
        use thread_priority::{NormalThreadSchedulePolicy as Policy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy};
        let set = |policy, priority| {
            set_thread_priority_and_policy(thread_priority::thread_native_id(), priority, ThreadSchedulePolicy::Normal(policy)).is_ok()
        };
        let little = || LITTLE.try_into().is_ok_and(|little| set(Policy::Other, ThreadPriority::Crossplatform(little)));
        let _ = (self == Self::WhenIdle && set(Policy::Idle, ThreadPriority::Min)) || little();
    }

    #[cfg(not(target_os = "linux"))]
    fn take(self) {}
}

impl Passwords {
    /// Starts the threads.
    ///
    /// # Panics
    /// When the system has no thread left to give.
    pub fn start(config: &Config, random: Random) -> Self {
        let passwords = Self::with(Line::new(config.password_queue as usize, PATIENCE), random);
        for turn in [Turn::WhenIdle, Turn::WhenLate] {
            (0..config.password_threads).for_each(|number| passwords.line.serve(turn, number));
        }
        passwords
    }

    fn with(line: Line, random: Random) -> Self {
        let line = Arc::new(line);
        Self { _open: Arc::new(Open(Arc::clone(&line))), line, random }
    }

    /// The hash to keep, as a PHC string with its own salt. [`Code::QueueFull`] when too many wait.
    pub async fn hash(&self, password: Password) -> Result<String, Problem> {
        let mut salt = [0; SALT_BYTES];
        self.random.fill(&mut salt);
        let (reply, answer) = Reply::new();
        self.line.submit(Job::Hash { password, salt, reply })?;
        answer.await.map_err(Problem::internal)?.map_err(Problem::internal)
    }

    /// Whether the password is the one that was hashed. `None`, for an account that doesn't exist, takes as long and
    /// is `false`. [`Code::QueueFull`] when too many wait.
    pub async fn verify(&self, password: Password, hash: Option<String>) -> Result<bool, Problem> {
        let (reply, answer) = Reply::new();
        self.line.submit(Job::Verify { password, hash, reply })?;
        answer.await.map_err(Problem::internal)?.map_err(Problem::internal)
    }

    /// How many wait for a thread.
    pub fn waiting(&self) -> usize {
        self.line.jobs().waiting.len()
    }
}

impl Line {
    fn new(places: usize, patience: Duration) -> Self {
        Self { jobs: Mutex::default(), came: Condvar::new(), came_for_late: Condvar::new(), places, patience }
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(&self, job: Job) -> Result<(), Problem> {
        let mut jobs = self.jobs();
        if jobs.waiting.len() >= self.places {
            return Err(Problem::new(Code::QueueFull, "Too many people sign in at this moment. Try again."));
        }
        jobs.waiting.push_back(Entry { job: Arc::new(job), late_at: Instant::now() + self.patience, late: false });
        drop(jobs);
        self.came.notify_one();
        self.came_for_late.notify_one();
        Ok(())
    }

    /// Starts a thread that works at what waits.
    fn serve(self: &Arc<Self>, turn: Turn, number: u32) {
        let line = Arc::clone(self);
        let name = if turn == Turn::WhenIdle { "passwords" } else { "late-passwords" };
        let worker = thread::Builder::new().name(format!("{name}-{number}"));
        worker.spawn(move || line.work(turn)).expect("the system gives a thread");
    }

    fn work(&self, turn: Turn) {
        turn.take();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost());
        while let Some(job) = self.next(turn) {
            // What panics is answered with an error, when it is dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| job.run(&argon2)));
            self.jobs().taken.retain(|entry| !Arc::ptr_eq(&entry.job, &job));
        }
    }

    /// What a thread has to do next; waits for it. `None` when there is nothing to come.
    fn next(&self, turn: Turn) -> Option<Arc<Job>> {
        let mut jobs = self.jobs();
        while !jobs.closed {
            let found = match turn {
                Turn::WhenIdle => jobs.take_first(Instant::now() + self.patience / 4),
                Turn::WhenLate => jobs.take_late(Instant::now()),
            };
            if found.is_some() {
                // Another one may be late too.
                self.came_for_late.notify_one();
                return found;
            }
            jobs = match (turn, jobs.next_late()) {
                (Turn::WhenLate, Some(at)) => {
                    let left = at.saturating_duration_since(Instant::now());
                    self.came_for_late.wait_timeout(jobs, left).unwrap_or_else(PoisonError::into_inner).0
                }
                (Turn::WhenLate, None) => self.came_for_late.wait(jobs).unwrap_or_else(PoisonError::into_inner),
                (Turn::WhenIdle, _) => self.came.wait(jobs).unwrap_or_else(PoisonError::into_inner),
            };
        }
        None
    }
}

/// Short work, whatever waits: who submits waits for the lock meanwhile, and the thread that has it need not get the processor.
impl Jobs {
    /// Takes what came first. Unless it gets on, it is late by then.
    fn take_first(&mut self, late_at: Instant) -> Option<Arc<Job>> {
        let entry = self.waiting.pop_front()?;
        let late_at = late_at.max(entry.late_at);
        Some(self.take(Entry { late_at, ..entry }))
    }

    /// Takes what is late by now: what doesn't get on, or what came first.
    fn take_late(&mut self, now: Instant) -> Option<Arc<Job>> {
        if let Some(stuck) = self.taken.iter_mut().find(|entry| !entry.late && entry.late_at <= now) {
            stuck.late = true;
            return Some(Arc::clone(&stuck.job));
        }
        let entry = self.waiting.pop_front_if(|entry| entry.late_at <= now)?;
        Some(self.take(Entry { late: true, ..entry }))
    }

    fn take(&mut self, entry: Entry) -> Arc<Job> {
        let job = Arc::clone(&entry.job);
        self.taken.push(entry);
        job
    }

    /// When the next one is late.
    fn next_late(&self) -> Option<Instant> {
        let taken = self.taken.iter().filter(|entry| !entry.late);
        taken.chain(self.waiting.front()).map(|entry| entry.late_at).min()
    }
}

impl Job {
    /// Does it, unless nobody waits for it any more.
    fn run(&self, argon2: &Argon2<'_>) {
        match self {
            Self::Hash { password, salt, reply } if !reply.is_closed() => {
                let hash = argon2.hash_password_with_salt(password.0.as_bytes(), salt);
                reply.send(hash.map(|hash| hash.to_string()));
            }
            Self::Verify { password, hash, reply } if !reply.is_closed() => reply.send(verify(argon2, password, hash.as_deref())),
            _ => {}
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

    /// With room for so many, and threads that take what waits or what has waited so long.
    fn passwords(places: usize, patience: Duration, turns: &[Turn]) -> Passwords {
        let passwords = Passwords::with(Line::new(places, patience), Random::seeded(1));
        turns.iter().for_each(|turn| passwords.line.serve(*turn, 0));
        passwords
    }

    #[tokio::test]
    async fn a_password_is_verified_by_its_hash_alone() {
        let passwords = passwords(8, PATIENCE, &[Turn::WhenIdle]);
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
        let passwords = passwords(1, PATIENCE, &[]);
        let first = passwords.verify(Password::new("first in line"), None);
        let mut first = std::pin::pin!(first);
        assert!(futures_util::FutureExt::now_or_never(&mut first).is_none());
        let refused = passwords.hash(Password::new("second in line")).await.unwrap_err();
        assert_eq!(refused.code(), Code::QueueFull);
        assert_eq!(passwords.waiting(), 1, "the refused one doesn't wait");
    }

    #[tokio::test]
    async fn who_has_waited_long_is_taken_by_another_thread() {
        let passwords = passwords(1, Duration::ZERO, &[]);
        let first = passwords.verify(Password::new("first in line"), None);
        let mut first = std::pin::pin!(first);
        assert!(futures_util::FutureExt::now_or_never(&mut first).is_none());
        // A thread that has taken it and doesn't get on.
        passwords.line.next(Turn::WhenIdle).expect("it waits");
        passwords.line.serve(Turn::WhenLate, 0);
        assert!(!first.await.unwrap());
        let hash = passwords.hash(Password::new("second in line")).await.unwrap();
        assert!(passwords.verify(Password::new("second in line"), Some(hash)).await.unwrap(), "places are free again");
    }

    #[test]
    fn the_threads_end_with_the_last_clone() {
        let passwords = passwords(1, PATIENCE, &[]);
        let line = Arc::clone(&passwords.line);
        let ends = [Turn::WhenIdle, Turn::WhenLate].map(|turn| {
            let line = Arc::clone(&line);
            thread::spawn(move || line.work(turn))
        });
        drop(passwords.clone());
        assert!(!line.jobs().closed);
        drop(passwords);
        ends.into_iter().for_each(|end| end.join().unwrap());
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
