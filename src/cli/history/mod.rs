//! `otadeck history`: what was written down of past updates. Reads the journal
//! alone: no hub, no network, no connection string.

mod csv;
mod detail;
mod markdown;
mod replay;
mod table;
mod which;

use std::collections::HashSet;

use jiff::Timestamp;

use crate::domain::clean;
use crate::domain::history::{Damaged, Entry, Filter};
use crate::domain::id::UpdateId;
use crate::journal::{self, JournalError};

use super::args::{Global, History};
use super::exit::{Code, Failure};
use super::out;
use super::session::configuration;

/// Updates of the plain list, unless `--limit` says otherwise.
const SHOWN: usize = 100;
/// What is collected before it is written.
const CHUNK: usize = 64 << 10;

pub(super) async fn run(verb: History, global: &Global) -> Result<Code, Failure> {
    if global.no_journal {
        return Err(Failure::usage(
            "history reads the journal, and --no-journal keeps none",
        ));
    }
    let (config, paths) = configuration(global)?;
    let Some(journal) = journal::History::open(&paths.journal()).map_err(|e| failed(&e))? else {
        let path = paths.journal();
        let none = format!("there is no journal yet ({})", path.display());
        if verb.update.is_some() {
            return Err(Failure::usage(none));
        }
        out::note(&format!("otadeck: {none}: no update was started from here"));
        return Ok(Code::Completed);
    };
    let mut past = Past {
        journal,
        told: HashSet::new(),
        now: Timestamp::now(),
    };
    if let Some(prefix) = &verb.update {
        let id = which::update(&past.journal, prefix)?;
        if verb.replay {
            return replay::run(&mut past, (&id, verb.speed), global, &config, &paths).await;
        }
        one(&verb, &mut past, &id)?;
        return Ok(past.code());
    }
    let hubs = match &global.hub {
        Some(name) => which::hubs(&past.journal, name, &config, &paths).await?,
        None => Vec::new(),
    };
    let filter = Filter {
        hubs,
        devices: verb.device.clone(),
        ends: verb.outcome.clone(),
        since: verb.since.map(|moment| moment.begin(past.now)),
        until: verb.until.map(|moment| moment.end(past.now)),
        limit: verb.limit,
    };
    many(&verb, &mut past, filter)?;
    Ok(past.code())
}

/// One update as a whole.
fn one(verb: &History, past: &mut Past, id: &UpdateId) -> Result<(), Failure> {
    let ids = std::slice::from_ref(id);
    if verb.json {
        return past.events(ids);
    }
    if verb.csv {
        return csv::write(past, ids);
    }
    if verb.markdown {
        return markdown::write(past, ids);
    }
    let recorded = past.journal.recorded(id).map_err(|e| failed(&e))?;
    past.damaged(&recorded.damaged);
    out::lines(&detail::text(id, &recorded, past.now))
}

/// A list of updates.
fn many(verb: &History, past: &mut Past, mut filter: Filter) -> Result<(), Failure> {
    let plain = !(verb.json || verb.csv || verb.markdown);
    if plain && filter.limit.is_none() {
        // One more, to know whether there are more.
        filter.limit = Some(SHOWN + 1);
    }
    let mut ids = past.journal.updates(&filter).map_err(|e| failed(&e))?;
    if verb.json {
        return past.events(&ids);
    }
    if verb.csv {
        return csv::write(past, &ids);
    }
    if verb.markdown {
        return markdown::write(past, &ids);
    }
    if verb.limit.is_none() && ids.len() > SHOWN {
        ids.remove(0);
        out::note(&format!(
            "otadeck: the {SHOWN} newest; --limit N shows more, --since T only those after a time"
        ));
    }
    let mut entries = Vec::new();
    past.entries(&ids, |entry| {
        entries.push(entry.clone());
        Ok(())
    })?;
    if entries.is_empty() {
        out::note("otadeck: the journal holds no such update");
        return Ok(());
    }
    out::lines(&table::text(&entries, past.now))
}

/// The journal at hand, and what was said of it.
struct Past {
    journal: journal::History,
    /// Rows that were said to be damaged, each once.
    told: HashSet<i64>,
    now: Timestamp,
}

impl Past {
    /// What is damaged is told and left out; that the rest is not all is an exit
    /// code.
    fn code(&self) -> Code {
        match self.told.is_empty() {
            true => Code::Completed,
            false => Code::Failure,
        }
    }

    fn damaged(&mut self, damaged: &[Damaged]) {
        for one in damaged {
            if self.told.insert(one.row) {
                out::complain(&one.to_string());
            }
        }
    }

    /// The line of each update whose intent can be read.
    fn entries(
        &mut self,
        ids: &[UpdateId],
        mut each: impl FnMut(&Entry) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for id in ids {
            let (entry, damaged) = self.journal.entry(id).map_err(|e| failed(&e))?;
            self.damaged(&damaged);
            if let Some(entry) = entry {
                each(&entry)?;
            }
        }
        Ok(())
    }

    /// The events of the updates, each as the line that was printed then.
    fn events(&mut self, ids: &[UpdateId]) -> Result<(), Failure> {
        let mut sheet = Sheet::default();
        let mut damaged = Vec::new();
        for id in ids {
            let written = self.journal.each_event(id, |event| {
                match event {
                    Ok(event) => {
                        let text = serde_json::to_string(&event);
                        let text =
                            text.map_err(|e| Failure::internal("an event cannot be written", e))?;
                        sheet.line(&clean::json(&text))?;
                    }
                    Err(one) => damaged.push(one),
                }
                Ok::<(), Failure>(())
            });
            written.map_err(|e| failed(&e))??;
        }
        sheet.end()?;
        self.damaged(&damaged);
        Ok(())
    }
}

/// stdout, in larger pieces than a line.
#[derive(Default)]
struct Sheet(String);

impl Sheet {
    fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.push(text)?;
        self.push("\n")
    }

    fn push(&mut self, text: &str) -> Result<(), Failure> {
        self.0.push_str(text);
        if self.0.len() < CHUNK {
            return Ok(());
        }
        out::lines(&std::mem::take(&mut self.0))
    }

    fn end(self) -> Result<(), Failure> {
        out::lines(&self.0)
    }
}

/// The journal cannot be read; nothing else was tried.
fn failed(error: &JournalError) -> Failure {
    match error {
        JournalError::Newer { .. } => error.problem().into(),
        _ => Failure::new(
            Code::Failure,
            format!("{error}\n  Nothing was changed: history only reads."),
        ),
    }
}
