//! The device table: up to 100,000 rows in the order of their ids, a filter
//! over them, one selected, a window onto them.
//!
//! The selection is a device, not a line number: rows that come, and a filter
//! that is typed, move lines but not what the operator has in mind.

use crate::domain::device::DeviceRow;
use crate::domain::id::DeviceId;

/// The devices known, and which of them are shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Devices {
    rows: Vec<DeviceRow>,
    longest_id: usize,
    filter: String,
    /// Indices of the rows that the filter lets through; `None` without one.
    shown: Option<Vec<usize>>,
    selected: Option<DeviceId>,
    /// Did the operator ever move? Until then the first line is selected,
    /// whatever device comes to stand there.
    moved: bool,
    top: usize,
}

impl Devices {
    /// Takes rows in: new ones find their place, known ones are replaced.
    /// Many at a time, because a page of a listing has a thousand.
    pub(crate) fn take(&mut self, incoming: impl IntoIterator<Item = DeviceRow>) {
        let mut new = Vec::new();
        for row in incoming {
            self.longest_id = self.longest_id.max(row.device_id.as_str().len());
            match self.place(&row.device_id) {
                Ok(at) => self.rows[at] = row,
                Err(_) => new.push(row),
            }
        }
        if new.is_empty() {
            return;
        }
        // Both runs are merged by a stable sort, in time linear to their length.
        new.sort_by(|a, b| a.device_id.cmp(&b.device_id));
        self.rows.append(&mut new);
        self.rows.sort_by(|a, b| a.device_id.cmp(&b.device_id));
        // A row that came twice in one batch: the later one counts.
        self.rows.dedup_by(|later, kept| {
            let twice = later.device_id == kept.device_id;
            if twice {
                std::mem::swap(later, kept);
            }
            twice
        });
        self.refilter();
    }

    /// Replaces all rows: what is not among them is gone.
    pub(crate) fn replace(&mut self, rows: Vec<DeviceRow>) {
        self.rows.clear();
        self.shown = None;
        self.longest_id = 0;
        self.take(rows);
        self.refilter();
    }

    /// The row of a device.
    pub(crate) fn get(&self, id: &DeviceId) -> Option<&DeviceRow> {
        self.place(id).ok().map(|at| &self.rows[at])
    }

    fn place(&self, id: &DeviceId) -> Result<usize, usize> {
        self.rows.binary_search_by(|row| row.device_id.cmp(id))
    }

    /// How many are known.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many are shown.
    pub(crate) fn shown(&self) -> usize {
        self.shown.as_ref().map_or(self.rows.len(), Vec::len)
    }

    /// The columns of the longest id.
    pub(crate) fn longest_id(&self) -> usize {
        self.longest_id
    }

    /// The filter's text.
    pub(crate) fn filter(&self) -> &str {
        &self.filter
    }

    /// Shows only the ids that hold `text`, without regard to case. Typing on
    /// narrows what was shown already instead of searching everything again.
    pub(crate) fn set_filter(&mut self, text: &str) {
        let narrower = !self.filter.is_empty() && text.contains(&self.filter);
        text.clone_into(&mut self.filter);
        let rows = &self.rows;
        let passes = |at: &usize| holds(rows[*at].device_id.as_str(), text);
        self.shown = match self.shown.take() {
            _ if text.is_empty() => None,
            Some(shown) if narrower => Some(shown.into_iter().filter(passes).collect()),
            _ => Some((0..rows.len()).filter(passes).collect()),
        };
        self.reselect();
    }

    fn refilter(&mut self) {
        self.shown = None;
        let text = std::mem::take(&mut self.filter);
        self.set_filter(&text);
    }

    /// Keeps the selected device, or takes the nearest that is shown.
    fn reselect(&mut self) {
        if self.shown() == 0 {
            return;
        }
        let at = self.cursor().unwrap_or_else(|near| near);
        self.select_at(if self.moved { at } else { 0 });
    }

    /// The selected device, if it is shown.
    pub(crate) fn selected(&self) -> Option<&DeviceId> {
        let id = self.selected.as_ref()?;
        self.line_of(id).ok().map(|_| id)
    }

    /// The line of the selected device, or the one where it would be.
    fn cursor(&self) -> Result<usize, usize> {
        self.selected.as_ref().map_or(Err(0), |id| self.line_of(id))
    }

    fn line_of(&self, id: &DeviceId) -> Result<usize, usize> {
        match &self.shown {
            None => self.place(id),
            Some(shown) => shown.binary_search_by(|at| self.rows[*at].device_id.cmp(id)),
        }
    }

    /// The row at a line.
    fn at(&self, line: usize) -> Option<&DeviceRow> {
        match &self.shown {
            None => self.rows.get(line),
            Some(shown) => shown.get(line).and_then(|at| self.rows.get(*at)),
        }
    }

    /// Selects the device at a line, or the last.
    pub(crate) fn select_at(&mut self, line: usize) {
        let line = line.min(self.shown().saturating_sub(1));
        if let Some(row) = self.at(line) {
            self.selected = Some(row.device_id.clone());
        }
    }

    /// Selects a device; a filter that hides it is dropped. `false` when it is
    /// not known.
    pub(crate) fn select(&mut self, id: &DeviceId) -> bool {
        if self.place(id).is_err() {
            return false;
        }
        if self.line_of(id).is_err() {
            self.set_filter("");
        }
        self.selected = Some(id.clone());
        self.moved = true;
        true
    }

    /// Moves the selection by so many lines.
    pub(crate) fn step(&mut self, by: isize) {
        let at = self.cursor().unwrap_or_else(|near| near);
        self.moved = true;
        self.select_at(at.saturating_add_signed(by));
    }

    /// Moves the window so that the selected line is in it.
    pub(crate) fn follow(&mut self, height: usize) {
        let height = height.max(1);
        let at = self.cursor().unwrap_or_else(|near| near);
        let last_top = self.shown().saturating_sub(height);
        self.top = self
            .top
            .clamp((at + 1).saturating_sub(height), at)
            .min(last_top);
    }

    /// The rows in the window, with whether each is the selected one.
    pub(crate) fn window(&self, height: usize) -> impl Iterator<Item = (&DeviceRow, bool)> {
        let end = self.shown().min(self.top + height);
        (self.top..end).filter_map(|line| {
            let row = self.at(line)?;
            Some((row, self.selected.as_ref() == Some(&row.device_id)))
        })
    }

    /// Lines above and below the window.
    pub(crate) fn beyond(&self, height: usize) -> (usize, usize) {
        (self.top, self.shown().saturating_sub(self.top + height))
    }
}

/// Does `text` hold `part`, without regard to case? Ids are ASCII.
fn holds(text: &str, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    text.len() >= part.len()
        && text
            .windows(part.len().max(1))
            .any(|window| window.eq_ignore_ascii_case(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn row(id: &str) -> DeviceRow {
        DeviceRow {
            device_id: DeviceId::parse(id).unwrap(),
            connection: Default::default(),
            status: Default::default(),
            last_activity: None,
            firmware: None,
            reported_status: None,
            phase: None,
            last_update: None,
            seen: Timestamp::UNIX_EPOCH,
        }
    }

    fn of(ids: &[&str]) -> Devices {
        let mut devices = Devices::default();
        devices.take(ids.iter().map(|id| row(id)));
        devices
    }

    fn seen(devices: &Devices, height: usize) -> Vec<String> {
        devices
            .window(height)
            .map(|(row, at)| format!("{}{}", if at { ">" } else { "" }, row.device_id))
            .collect()
    }

    #[test]
    fn rows_are_kept_in_the_order_of_their_ids() {
        let mut devices = of(&["c", "a"]);
        devices.take([row("b"), row("a"), row("b")]);
        assert_eq!(seen(&devices, 9), [">a", "b", "c"]);
    }

    #[test]
    fn the_selection_is_a_device_and_survives_rows_and_filters() {
        let mut devices = of(&["press-1", "press-2", "pump-1"]);
        devices.step(1);
        devices.take([row("mixer-1")]);
        assert_eq!(devices.selected().unwrap().as_str(), "press-2");
        devices.set_filter("PRESS");
        assert_eq!(seen(&devices, 9), ["press-1", ">press-2"]);
        devices.set_filter("pump");
        assert_eq!(seen(&devices, 9), [">pump-1"]);
        devices.set_filter("nothing");
        assert_eq!((devices.shown(), devices.selected()), (0, None));
        devices.set_filter("");
        assert_eq!(devices.selected().unwrap().as_str(), "pump-1");
    }

    #[test]
    fn the_window_follows_the_selection() {
        let ids: Vec<String> = (0..100).map(|n| format!("d{n:03}")).collect();
        let mut devices = of(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        devices.step(12);
        devices.follow(10);
        assert_eq!(devices.beyond(10), (3, 87));
        devices.step(-12);
        devices.follow(10);
        assert_eq!(seen(&devices, 2), [">d000", "d001"]);
        devices.select_at(usize::MAX);
        devices.follow(10);
        assert_eq!(devices.beyond(10), (90, 0));
        devices.step(isize::MAX);
        devices.step(isize::MIN);
        devices.follow(10);
        assert_eq!(devices.beyond(10), (0, 90));
    }

    #[test]
    fn a_jump_drops_a_filter_that_hides_its_goal() {
        let mut devices = of(&["press-1", "pump-1"]);
        devices.set_filter("press");
        assert!(devices.select(&DeviceId::parse("pump-1").unwrap()));
        assert_eq!((devices.filter(), devices.shown()), ("", 2));
        assert!(!devices.select(&DeviceId::parse("pump-9").unwrap()));
    }

    proptest! {
        #[test]
        fn typing_on_shows_what_a_new_search_shows(ids in prop::collection::vec("[abAB]{1,5}", 0..40), text in "[abAB]{0,4}") {
            let mut typed = Devices::default();
            typed.take(ids.iter().map(|id| row(id)));
            let mut at_once = typed.clone();
            for end in 0..=text.len() {
                typed.set_filter(&text[..end]);
            }
            at_once.set_filter(&text);
            prop_assert_eq!(&typed.shown, &at_once.shown);
            let rows: Vec<&DeviceId> = typed.rows.iter().map(|r| &r.device_id).collect();
            prop_assert!(rows.is_sorted());
        }
    }
}
