//! Reads of twins: when, and what they tell.

use std::time::Duration;

use crate::domain::backoff::Backoff;
use crate::domain::device::DeviceRow;
use crate::domain::event::{Event, What};
use crate::domain::id::DeviceId;
use crate::domain::pace::{self, Class, Ended};
use crate::domain::problem::Kind;
use crate::domain::twin::Twin;
use crate::hub::HubError;

use super::baseline::BaselineRead;
use super::budget::ended;
use super::link::Try;
use super::{Core, Now, Output};

impl Core {
    /// Somebody looks at a device, or at none.
    pub(super) fn look(&mut self, device: Option<DeviceId>, now: Now) {
        let before = std::mem::replace(&mut self.looking, device.clone());
        if before == device {
            return;
        }
        if let Some(before) = before {
            self.reread(&before, now);
        }
        if let Some(device) = device {
            // Opening a device reads it at once, whoever else reads it.
            if self.open_flight_of(&device).is_none() && !self.starting.contains_key(&device) {
                self.forget_read(&device, now);
            }
            self.reread(&device, now);
        }
    }

    /// Sets how often a device is read, by why it is.
    pub(super) fn reread(&mut self, device: &DeviceId, now: Now) {
        let class = if self.starting.contains_key(device) {
            Class::Start
        } else if let Some(class) = self.flight_class(device) {
            class
        } else if self.looking.as_ref() == Some(device) {
            Class::Look
        } else if self.is_heard_on(device, now) {
            Class::After
        } else {
            self.forget_read(device, now);
            self.failures.remove(device);
            return;
        };
        self.pace.watch(device, class, now.at);
    }

    /// Reads a device no more; the answer of a read under way is too old for
    /// whoever asks for the device next.
    pub(super) fn forget_read(&mut self, device: &DeviceId, now: Now) {
        self.pace.forget(device, now.at);
        self.tickets.remove(device);
    }

    pub(super) fn reads_due(&mut self, now: Now) {
        for pace::Read { ticket, device } in self.pace.due(now.at) {
            self.tickets.insert(device.clone(), ticket);
            self.out.push(Output::Read { ticket, device });
        }
    }

    pub(super) fn twin_read(
        &mut self,
        ticket: u64,
        device: &DeviceId,
        result: Result<Box<Twin>, HubError>,
        now: Now,
    ) {
        let ended = result.as_ref().map_or_else(ended, |_| Ended::Answered);
        if self.pace.is_under_way(ticket) {
            let by_the_hub = self.by_the_hub(now);
            self.ledger.spend_read(result.as_deref(), by_the_hub);
        }
        let asked = self.pace.asked(ticket).unwrap_or(now.at);
        self.pace.done(ticket, ended, now.at, now.chance);
        // Whoever it was for: it tells how the way to the hub is.
        self.link(Try::Read(ticket), result.as_ref().map(|_| ()), now);
        if self.tickets.get(device) != Some(&ticket) {
            return;
        }
        match result {
            Ok(twin) => {
                self.failures.remove(device);
                let read = BaselineRead::of(&twin, asked, now);
                self.twin(device, &twin, read, now);
            }
            Err(error) => self.read_failed(device, &error, now),
        }
        if self.pace.class(device).is_none() {
            self.failures.remove(device);
            self.tickets.remove(device);
        }
    }

    fn twin(&mut self, device: &DeviceId, twin: &Twin, read: BaselineRead, now: Now) {
        let choice = self.choice(device, &twin.reported);
        let row = DeviceRow::read(twin, choice.dialect, now.wall);
        let told = choice.told(self.rules_are_settled(device));
        self.show_row(row, now);
        if self.looking.as_ref() == Some(device) {
            let what = What::Twin {
                twin: Box::new(twin.clone()),
                dialect: Some(told),
            };
            self.publish(Event::device(now.wall, device.clone(), what));
        }
        if self.starting.contains_key(device) {
            self.baseline(device, twin, read, now);
        } else if let Some(update) = self.open_flight_of(device) {
            self.observe(&update, twin, read, now);
        } else if let Some(update) = self.aftermath.get(device).cloned() {
            self.look_back(&update, twin, now);
        }
    }

    fn read_failed(&mut self, device: &DeviceId, error: &HubError, now: Now) {
        let failures = self.failures.entry(device.clone()).or_default();
        *failures += 1;
        let failures = *failures;
        if self.starting.contains_key(device) && self.start_failed(device, error, failures, now) {
            return;
        }
        if error.kind() == Kind::NoSuchDevice {
            self.lost(device, error, now);
        }
        if self.looking.as_ref() == Some(device) {
            let problem = error.problem(format!("{device} cannot be read"));
            let what = What::DeviceProblem { problem };
            self.publish(Event::device(now.wall, device.clone(), what));
        }
        if matches!(ended(error), Ended::Throttled(_)) {
            // All reads stop then; this one waits no longer than the others.
            return;
        }
        let backoff = &mut Backoff::after(failures, pace::WATCH, Duration::from_secs(30));
        let wait = backoff
            .next_wait(now.chance)
            .max(error.wait().unwrap_or_default());
        self.pace.put_off(device, now.at + wait);
    }
}
