//! The journal's open updates, taken up by a later process.

use std::collections::HashMap;

use crate::domain::event::{Event, What};
use crate::domain::id::UpdateId;
use crate::domain::problem::{Kind, Problem};
use crate::domain::update::Update;
use crate::journal::JournalError;

use super::flights::Flight;
use super::{Core, Now, Output};

/// The taking up of the journal's open updates.
#[derive(Debug, Default)]
pub(super) struct Resume {
    /// Whose lease is asked for.
    waiting: HashMap<UpdateId, (Update, Vec<Event>)>,
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
    pub(super) fn opened(&mut self, result: Result<Vec<Vec<Event>>, JournalError>, now: Now) {
        let updates = match result {
            Ok(updates) => updates,
            Err(error) => {
                let problem = error.problem();
                return self.publish(Event::general(now.wall, What::JournalProblem { problem }));
            }
        };
        self.resume = Resume::default();
        for events in updates {
            let Some(mut update) = events.first().and_then(Update::intended) else {
                continue;
            };
            if self.flights.contains_key(&update.id) {
                continue;
            }
            for event in &events[1..] {
                update.apply(event);
            }
            let id = update.id.clone();
            self.resume.waiting.insert(id.clone(), (update, events));
            self.out.push(Output::Adopt(id));
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
    pub(super) fn adopted(&mut self, id: &UpdateId, result: Result<(), JournalError>, now: Now) {
        let Some((update, events)) = self.resume.waiting.remove(id) else {
            return;
        };
        match result {
            Ok(()) => {
                self.resume.count += 1;
                events.into_iter().for_each(|event| self.publish(event));
                self.carry_on(update, now);
            }
            Err(error) => self.refuse(&update.device, error.problem(), now),
        }
        self.resumed(now);
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
