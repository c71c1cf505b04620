//! The journal's open updates, taken up by a later process.
//!
//! Each is taken over by its lease, so of two processes that resume at once one
//! watches and the other is told who. Then its twin is read and judges; nothing is
//! ever invoked from here. What the next start says, by the moment at which the
//! process was killed:
//!
//! | killed after | in the journal | on the device | the next start says |
//! |---|---|---|---|
//! | the baseline was read | nothing | nothing | nothing: it may be started |
//! | the intent was committed | `intended` | nothing | *unknown*: a sign in the twin settles it, else the operator |
//! | the order was committed | `intended`, `invoked` | nothing | *unknown*, the same |
//! | the call was sent | the same | perhaps the order | *unknown*, the same |
//! | the answer was received | the same | the order | *unknown*, until the twin shows the run |
//! | the answer was recorded | and `accepted` | the order | watches on from there |
//! | the order was refused, and waits to be tried again | and `retrying` | nothing | `notDelivered` |
//! | it was committed again | and `baseline`, `invoked` | perhaps the order | *unknown* |
//! | a phase was seen | and `phase`, or not | the run | watches on from the twin |
//! | an end was seen | the same | the end | reads the same end and gives the verdict |
//! | the verdict was committed | and `verdict` | the end | nothing: it is over |
//!
//! An order is on the disk before it leaves, so `retrying` at the end of a journal
//! proves that nothing was delivered; an intent alone would prove it too, but who
//! acts on that must trust the disk of a machine that has just died, so it is
//! settled from the twin like the rest. An overall deadline that has passed while
//! nobody watched ends an update only after its twin was read.

use std::collections::HashSet;

use crate::domain::event::{Event, What};
use crate::domain::id::UpdateId;
use crate::domain::problem::{Kind, Problem};
use crate::domain::update::Update;
use crate::journal::{Adopted, JournalError};

use super::flights::Flight;
use super::{Core, Now, Output};

/// The taking up of the journal's open updates.
#[derive(Debug, Default)]
pub(super) struct Resume {
    /// Whose lease is asked for.
    waiting: HashSet<UpdateId>,
    /// Those that were taken up.
    count: usize,
}

impl Resume {
    pub(super) fn is_under_way(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl Core {
    /// The journal's open updates: take each over.
    pub(super) fn opened(&mut self, result: Result<Vec<UpdateId>, JournalError>, now: Now) {
        let updates = match result {
            Ok(updates) => updates,
            Err(error) => return self.recorded(Err(error), now),
        };
        if self.resume.waiting.is_empty() {
            self.resume.count = 0;
        }
        for id in updates {
            if !self.flights.contains_key(&id) && self.resume.waiting.insert(id.clone()) {
                self.out.push(Output::Adopt(id));
            }
        }
        self.resumed(now);
    }

    /// Tells that all open updates of the journal are taken up, when they are.
    fn resumed(&mut self, now: Now) {
        if self.resume.waiting.is_empty() {
            let count = self.resume.count;
            self.publish(Event::general(now.wall, What::Resumed { count }));
        }
    }

    /// An open update is ours now, or another process works on it.
    pub(super) fn adopted(
        &mut self,
        id: &UpdateId,
        result: Result<Adopted, JournalError>,
        now: Now,
    ) {
        if !self.resume.waiting.remove(id) {
            return;
        }
        match result {
            Ok(adopted) => {
                self.resume.count += 1;
                self.take_up(adopted, now);
            }
            // Whoever had it has settled it meanwhile.
            Err(JournalError::Over { .. }) => {}
            Err(JournalError::Busy { device, holding }) => {
                let busy = JournalError::Busy {
                    device: device.clone(),
                    holding,
                };
                let problem = busy.problem();
                let what = What::Elsewhere { problem };
                self.publish(Event::device(now.wall, device, what));
            }
            Err(error) => {
                let problem = error.problem();
                self.publish(Event::general(now.wall, What::Refused { problem }));
            }
        }
        self.resumed(now);
    }

    /// Tells what is written down of an update, and carries on with it.
    fn take_up(&mut self, adopted: Adopted, now: Now) {
        let Adopted { events, unreadable } = adopted;
        let Some(mut update) = events.first().and_then(Update::intended) else {
            return;
        };
        events[1..].iter().for_each(|event| update.apply(event));
        events.into_iter().for_each(|event| self.publish(event));
        if unreadable > 0 {
            let title = format!(
                "{unreadable} events of the update of {} cannot be read",
                update.device
            );
            let cause = "the journal was written by another otadeck, or is damaged";
            let problem = Problem::new(Kind::Journal, title, cause)
                .hint("It is watched on by what can be read, and by the twin.");
            self.tell_of_device(&update, problem, now);
        }
        self.carry_on(update, now);
    }

    /// The dialect of a resumed update is not configured any more.
    fn tell_of_a_lost_dialect(&mut self, update: &Update, now: Now) {
        let name = &update.intent.dialect;
        if self.settings.dialects.find(name).is_some() {
            return;
        }
        let title = format!("dialect {name:?} is not configured any more");
        let cause = format!(
            "the update of {} began in it and is read in the dialect that the device is \
             recognised by",
            update.device
        );
        let problem = Problem::new(Kind::Dialect, title, cause)
            .hint("An end is believed only when something shows that it is this update's.");
        self.tell_of_device(update, problem, now);
    }

    fn tell_of_device(&mut self, update: &Update, problem: Problem, now: Now) {
        let what = What::DeviceProblem { problem };
        self.publish(Event::device(now.wall, update.device.clone(), what));
    }

    fn carry_on(&mut self, update: Update, now: Now) {
        let (id, device) = (update.id.clone(), update.device.clone());
        self.tell_of_a_lost_dialect(&update, now);
        let orphaned = update.orphaned();
        self.fly(Flight::resumed(update, now, self.settings.overall_deadline));
        self.tell(&id, orphaned.into_iter().collect(), now);
        self.reread(&device, now);
    }
}
