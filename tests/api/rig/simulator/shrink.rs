//! The shortest history that still goes wrong.

use super::numbers::Step;

/// More than enough; a history that is still long then is told as it is.
const TRIES: usize = 20_000;

/// A world and what happens in it, as numbers.
#[derive(Clone)]
pub struct History {
    pub world: Vec<u16>,
    pub steps: Vec<Step>,
}

struct Shrinking<F> {
    best: History,
    fails: F,
    tries: usize,
}

/// Takes away steps, then makes numbers smaller, as long as `fails`.
pub fn shortest(history: History, fails: impl Fn(&History) -> bool) -> History {
    let mut shrinking = Shrinking { best: history, fails, tries: 0 };
    while shrinking.fewer_steps() | shrinking.smaller_numbers() {}
    shrinking.best
}

impl<F: Fn(&History) -> bool> Shrinking<F> {
    fn takes(&mut self, candidate: History) -> bool {
        self.tries += 1;
        let takes = self.tries < TRIES && (self.fails)(&candidate);
        if takes {
            self.best = candidate;
        }
        takes
    }

    fn fewer_steps(&mut self) -> bool {
        let mut shorter = false;
        let mut many = self.best.steps.len() / 2;
        while many > 0 {
            let mut from = 0;
            while from < self.best.steps.len() {
                let mut candidate = self.best.clone();
                candidate.steps.drain(from..(from + many).min(candidate.steps.len()));
                if self.takes(candidate) {
                    shorter = true;
                } else {
                    from += many;
                }
            }
            many /= 2;
        }
        shorter
    }

    fn smaller_numbers(&mut self) -> bool {
        let mut smaller = false;
        for place in 0..self.best.world.len() {
            smaller |= self.smaller(|history| &mut history.world[place]);
        }
        for step in 0..self.best.steps.len() {
            for place in 0..self.best.steps[step].len() {
                smaller |= self.smaller(|history| &mut history.steps[step][place]);
            }
        }
        smaller
    }

    fn smaller(&mut self, number: impl Fn(&mut History) -> &mut u16) -> bool {
        let now = *number(&mut self.best);
        [0, now / 256, now % 256, now / 2].into_iter().filter(|less| *less < now).any(|less| {
            let mut candidate = self.best.clone();
            *number(&mut candidate) = less;
            self.takes(candidate)
        })
    }
}
