//! The rows made anew, because the hub lists others now.
//!
//! Marks of devices that have not been listed yet are set aside: nothing is done to
//! what is not in sight. They come back with their devices; those that are not in the
//! whole list are forgotten, and that is said.

use std::collections::BTreeSet;

use super::Devices;
use crate::domain::device::DeviceRow;
use crate::domain::id::DeviceId;

impl Devices {
    /// Replaces all rows, of a list that may go on.
    pub(crate) fn refill(&mut self, rows: Vec<DeviceRow>) {
        self.rows.clear();
        self.shown = None;
        self.longest_id = 0;
        self.take(rows);
        self.show();
        let marks = std::mem::take(&mut self.marks);
        let (listed, not): (BTreeSet<_>, BTreeSet<_>) =
            marks.into_iter().partition(|id| self.place(id).is_ok());
        self.marks = listed;
        self.aside.extend(not);
    }

    /// The rows of those devices, and no others.
    pub(crate) fn keep_only(&mut self, keeps: impl Fn(&DeviceId) -> bool) {
        let rows = std::mem::take(&mut self.rows);
        let kept = rows.into_iter().filter(|row| keeps(&row.device_id));
        let kept = kept.collect();
        self.refill(kept);
    }

    /// Devices that have come have their marks again.
    pub(super) fn mark_again(&mut self) {
        if self.aside.is_empty() {
            return;
        }
        let aside = std::mem::take(&mut self.aside);
        let (listed, not): (BTreeSet<_>, BTreeSet<_>) =
            aside.into_iter().partition(|id| self.place(id).is_ok());
        self.marks.extend(listed);
        self.aside = not;
    }

    /// The list is whole: marks of devices that are not in it are forgotten. Which
    /// devices those were.
    pub(crate) fn forget_unlisted(&mut self) -> BTreeSet<DeviceId> {
        std::mem::take(&mut self.aside)
    }
}
