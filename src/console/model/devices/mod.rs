//! The device table: up to 100,000 rows, a filter over them, an order, marks, one
//! row selected, a window onto them.
//!
//! The rows are kept in the order of their ids. What is shown is a list of their
//! places; without a filter and in the order of ids there is none, because it
//! would say nothing. A row that changes finds its new place in that list by
//! itself; only many at a time make it anew.
//!
//! Selection and marks are devices, not line numbers: rows that come, and a filter
//! that is typed, move lines but not what the operator has in mind.

pub(crate) mod columns;
pub(crate) mod filter;
mod relist;
pub(crate) mod sort;

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use self::columns::Column;
use self::filter::{Asked, Filter};
use self::sort::Order;
use crate::domain::device::DeviceRow;
use crate::domain::id::DeviceId;

/// What matches by likeness is ranked when it is no more than this.
const RANKED: usize = 2_000;
/// From so many changed rows on, what is shown is made anew.
const MANY: usize = 64;

/// The devices known, and which of them are shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Devices {
    rows: Vec<DeviceRow>,
    longest_id: usize,
    /// How updates of this session stand, in a word.
    words: HashMap<DeviceId, &'static str>,
    filter: Filter,
    order: Order,
    /// Places of the rows that are shown, in their order; `None` is all of them
    /// as they are kept.
    shown: Option<Vec<usize>>,
    marks: BTreeSet<DeviceId>,
    /// Marked, and not listed yet.
    aside: BTreeSet<DeviceId>,
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
        let (mut new, mut changed) = (Vec::new(), Vec::new());
        for row in incoming {
            self.longest_id = self.longest_id.max(row.device_id.as_str().len());
            match self.place(&row.device_id) {
                Ok(at) => {
                    self.rows[at] = row;
                    changed.push(at);
                }
                Err(_) => new.push(row),
            }
        }
        if new.is_empty() {
            return self.show_again(&changed);
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
        self.mark_again();
        self.show();
    }

    /// Replaces all rows: what is not among them is gone, marks as well; whose marks
    /// those were.
    pub(crate) fn replace(&mut self, rows: Vec<DeviceRow>) -> BTreeSet<DeviceId> {
        self.refill(rows);
        self.forget_unlisted()
    }

    /// An update of this session stands so, in a word.
    pub(crate) fn note(&mut self, id: &DeviceId, word: &'static str) {
        if self.words.insert(id.clone(), word) != Some(word)
            && let Ok(at) = self.place(id)
        {
            self.show_again(&[at]);
        }
    }

    /// The row of a device.
    pub(crate) fn get(&self, id: &DeviceId) -> Option<&DeviceRow> {
        self.place(id).ok().map(|at| &self.rows[at])
    }

    fn place(&self, id: &DeviceId) -> Result<usize, usize> {
        self.rows.binary_search_by(|row| row.device_id.cmp(id))
    }

    /// The ids that begin so, without regard to case.
    pub(crate) fn beginning<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a DeviceId> {
        let ids = self.rows.iter().map(|row| &row.device_id);
        let len = text.len();
        ids.filter(move |id| {
            let head = id.as_str().get(..len);
            head.is_some_and(|head| head.eq_ignore_ascii_case(text))
        })
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

    /// The filter.
    pub(crate) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Shows only what passes the filter `text`.
    pub(crate) fn set_filter(&mut self, text: &str) {
        if self.filter.text() == text {
            return;
        }
        let before = std::mem::replace(&mut self.filter, Filter::read(text));
        // Typing on narrows what was shown instead of searching everything again.
        let among = self.shown.take().filter(|_| self.filter.narrows(&before));
        self.shown = self.passing(among);
        self.reselect();
    }

    /// The order of the rows.
    pub(crate) fn order(&self) -> &Order {
        &self.order
    }

    /// Shows the rows in that order.
    pub(crate) fn set_order(&mut self, order: Order) {
        self.order = order;
        self.show();
    }

    fn asked(&self, at: usize) -> Asked<'_> {
        let row = &self.rows[at];
        let word = match self.words.is_empty() {
            true => None,
            false => self.words.get(&row.device_id).copied(),
        };
        Asked { row, word }
    }

    /// Makes anew what is shown.
    fn show(&mut self) {
        self.shown = self.passing(None);
        self.reselect();
    }

    /// The places of the rows that pass, of all or `among` some, in their order.
    fn passing(&self, among: Option<Vec<usize>>) -> Option<Vec<usize>> {
        if self.filter.is_empty() && self.order.is_natural() {
            return None;
        }
        let mut asking = self.filter.asking();
        let mut passes = |at: &usize| asking.score(self.asked(*at)).is_some();
        let mut places: Vec<usize> = match among {
            Some(among) => among.into_iter().filter(&mut passes).collect(),
            None => (0..self.rows.len()).filter(&mut passes).collect(),
        };
        if !self.order.is_natural() {
            places.sort_by_cached_key(|at| self.order.key(self.asked(*at)));
        } else {
            places.sort_unstable();
            // Nobody looks for the best of more than these.
            if self.filter.ranks() && places.len() <= RANKED {
                let mut ranking = self.filter.ranking();
                places.sort_by_cached_key(|at| Reverse(ranking.score(self.asked(*at))));
            }
        }
        Some(places)
    }

    /// Finds the places of a few rows that have changed.
    fn show_again(&mut self, changed: &[usize]) {
        let Some(mut shown) = self.shown.take() else {
            return;
        };
        if changed.len() > MANY || self.filter.ranks() {
            return self.show();
        }
        shown.retain(|at| !changed.contains(at));
        let mut asking = self.filter.asking();
        for at in changed {
            let asked = self.asked(*at);
            if asking.score(asked).is_some() {
                let key = self.order.key(asked);
                let place = shown.partition_point(|at| self.order.key(self.asked(*at)) < key);
                // The same row may have changed twice in one batch.
                if shown.get(place) != Some(at) {
                    shown.insert(place, *at);
                }
            }
        }
        self.shown = Some(shown);
        self.reselect();
    }

    /// Moves the window by so many lines, and the selection only when it would be
    /// left behind.
    pub(crate) fn scroll(&mut self, by: isize, height: usize) {
        let height = height.max(1);
        let last_top = self.shown().saturating_sub(height);
        self.top = self.top.saturating_add_signed(by).min(last_top);
        let at = self.cursor().unwrap_or_else(|near| near);
        let within = at.clamp(self.top, self.top + height - 1);
        if within != at {
            self.moved = true;
            self.select_at(within);
        }
    }

    /// Selects the device in that line of the window; `true` when it was selected
    /// before, `None` when there is none.
    pub(crate) fn point(&mut self, line: usize) -> Option<bool> {
        let id = self.at(self.top + line)?.device_id.clone();
        let before = self.selected.as_ref() == Some(&id);
        self.selected = Some(id);
        self.moved = true;
        Some(before)
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
        let place = self.place(id);
        let Some(shown) = &self.shown else {
            return place;
        };
        let sorted = self.order.by == Column::Device && !self.filter.ranks();
        match place {
            Ok(at) if !sorted => {
                let line = shown.iter().position(|other| *other == at);
                // It is held back: near where the selection was.
                line.ok_or(self.top.min(shown.len()))
            }
            Ok(at) | Err(at) => match self.order.down {
                false => shown.binary_search(&at),
                true => shown.binary_search_by(|other| at.cmp(other)),
            },
        }
    }

    /// The row at a line.
    pub(crate) fn at(&self, line: usize) -> Option<&DeviceRow> {
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

    /// Is this device marked?
    pub(crate) fn is_marked(&self, id: &DeviceId) -> bool {
        self.marks.contains(id)
    }

    /// The marked devices, whether the filter shows them or not.
    pub(crate) fn marks(&self) -> &BTreeSet<DeviceId> {
        &self.marks
    }

    /// Marks the selected device, or takes its mark away, and goes on to the next.
    pub(crate) fn mark(&mut self) {
        let Some(id) = self.selected().cloned() else {
            return;
        };
        if !self.marks.remove(&id) {
            self.marks.insert(id);
        }
        self.step(1);
    }

    /// Marks all that is shown; when all of it is marked, takes those marks away.
    pub(crate) fn mark_shown(&mut self) {
        let shown: Vec<DeviceId> = (0..self.shown())
            .filter_map(|line| self.at(line).map(|row| row.device_id.clone()))
            .collect();
        if shown.iter().all(|id| self.marks.contains(id)) {
            for id in &shown {
                self.marks.remove(id);
            }
        } else {
            self.marks.extend(shown);
        }
    }

    /// Takes all marks away.
    pub(crate) fn unmark(&mut self) {
        self.marks.clear();
        self.aside.clear();
    }

    /// Lines above and below the window.
    pub(crate) fn beyond(&self, height: usize) -> (usize, usize) {
        (self.top, self.shown().saturating_sub(self.top + height))
    }
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
            tags: Default::default(),
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
    fn scrolling_takes_the_selection_along_only_at_the_edge() {
        let ids: Vec<String> = (0..20).map(|n| format!("d{n:03}")).collect();
        let mut devices = of(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        devices.select(&DeviceId::parse("d005").unwrap());
        devices.follow(10);
        let at = |devices: &Devices| (devices.beyond(10).0, devices.selected().cloned());
        let id = |text: &str| Some(DeviceId::parse(text).unwrap());
        for (by, want) in [
            (3, (3, id("d005"))),
            (3, (6, id("d006"))),
            (99, (10, id("d010"))),
            (-2, (8, id("d010"))),
            (-99, (0, id("d009"))),
        ] {
            devices.scroll(by, 10);
            devices.follow(10);
            assert_eq!(at(&devices), want);
        }
        assert_eq!(devices.point(2), Some(false));
        assert_eq!(devices.point(2), Some(true));
        assert_eq!(devices.selected().cloned(), id("d002"));
        devices.set_filter("d019");
        assert_eq!(devices.point(3), None);
        assert_eq!(seen(&devices, 9), [">d019"]);
    }

    #[test]
    fn a_jump_drops_a_filter_that_hides_its_goal() {
        let mut devices = of(&["press-1", "pump-1"]);
        devices.set_filter("press");
        assert!(devices.select(&DeviceId::parse("pump-1").unwrap()));
        assert_eq!((devices.filter().text(), devices.shown()), ("", 2));
        assert!(!devices.select(&DeviceId::parse("pump-9").unwrap()));
    }

    #[test]
    fn marks_outlast_the_filter() {
        let mut devices = of(&["press-1", "press-2", "pump-1"]);
        devices.mark();
        devices.set_filter("pump");
        devices.mark_shown();
        devices.set_filter("");
        let marked = |devices: &Devices| devices.marks().len();
        assert_eq!(marked(&devices), 2);
        assert!(!devices.is_marked(&DeviceId::parse("press-2").unwrap()));
        devices.set_filter("press");
        devices.mark_shown();
        assert_eq!(marked(&devices), 3);
        devices.mark_shown();
        assert_eq!(marked(&devices), 1);
        devices.replace(vec![row("press-1")]);
        assert_eq!(marked(&devices), 0, "what is gone is not marked");
    }

    #[test]
    fn the_selection_stays_on_its_device_in_any_order() {
        let mut devices = of(&["a", "b", "c"]);
        devices.step(1);
        devices.set_order(Order {
            by: Column::Device,
            down: true,
        });
        assert_eq!(seen(&devices, 9), ["c", ">b", "a"]);
        devices.note(&DeviceId::parse("c").unwrap(), "failed");
        devices.note(&DeviceId::parse("a").unwrap(), "downloading");
        devices.set_order(Order {
            by: Column::Phase,
            down: false,
        });
        assert_eq!(seen(&devices, 9), ["a", "c", ">b"]);
        devices.step(-1);
        devices.note(&DeviceId::parse("a").unwrap(), "stalled");
        assert_eq!(seen(&devices, 9), [">c", "a", "b"]);
    }

    #[test]
    fn a_change_that_the_filter_asks_about_moves_the_row_in_or_out() {
        let mut devices = of(&["a", "b"]);
        devices.set_filter("status:failed");
        assert_eq!(devices.shown(), 0);
        devices.note(&DeviceId::parse("b").unwrap(), "failed");
        assert_eq!(seen(&devices, 9), [">b"]);
        devices.note(&DeviceId::parse("b").unwrap(), "completed");
        assert_eq!(devices.shown(), 0);
    }

    proptest! {
        #[test]
        fn typing_on_shows_what_a_new_search_shows(
            ids in prop::collection::vec("[ab]{1,5}", 0..40),
            text in "(tag:|fw:|!|~)?[abAB= ]{0,4}",
        ) {
            let mut typed = Devices::default();
            typed.take(ids.iter().map(|id| changed(id, 1)));
            let mut at_once = typed.clone();
            for end in 0..=text.len() {
                typed.set_filter(&text[..end]);
            }
            at_once.set_filter(&text);
            prop_assert_eq!(&typed.shown, &at_once.shown);
        }
    }

    /// Of those with an odd firmware.
    fn tags(firmware: u8) -> crate::domain::tags::Tags {
        let site = serde_json::json!({"site": firmware, "line": 7});
        let known = site.as_object().filter(|_| firmware % 2 == 1);
        known.map(crate::domain::tags::Tags::of).unwrap_or_default()
    }

    fn changed(id: &str, firmware: u8) -> DeviceRow {
        DeviceRow {
            firmware: Some(format!("1.{firmware}")),
            tags: tags(firmware),
            ..row(id)
        }
    }

    proptest! {
        /// Whatever came in whichever order: what is shown is what would be shown
        /// if all had come at once.
        #[test]
        fn changes_one_by_one_show_what_all_at_once_show(
            changes in prop::collection::vec(("[ab]{1,2}", 0..3_u8), 0..40),
            filter in prop::sample::select(vec!["", "a", "!b", "fw:1.1", "~ab", "!fw:1.2 a"]),
            by in 0..8_usize,
            down in any::<bool>(),
        ) {
            let tag = Column::Tag("site".into());
            let by = Column::NAMED.into_iter().nth(by).unwrap_or(tag);
            let order = Order { by, down };
            let mut one_by_one = Devices::default();
            one_by_one.set_order(order.clone());
            one_by_one.set_filter(filter);
            for (id, firmware) in &changes {
                one_by_one.take([changed(id, *firmware)]);
            }
            let mut at_once = Devices::default();
            at_once.take(changes.iter().map(|(id, firmware)| changed(id, *firmware)));
            at_once.set_filter(filter);
            at_once.set_order(order);
            prop_assert_eq!(&one_by_one.shown, &at_once.shown);
            let rows: Vec<&DeviceId> = at_once.rows.iter().map(|r| &r.device_id).collect();
            prop_assert!(rows.is_sorted());
            for line in 0..at_once.shown() {
                let id = at_once.at(line).unwrap().device_id.clone();
                prop_assert_eq!(at_once.line_of(&id), Ok(line));
            }
        }
    }
}
