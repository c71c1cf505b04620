//! The operator's own views, in a file: `views.toml`, in the tongue of `[view.NAME]`
//! in the configuration.
//!
//! The file is the operator's, who may write into it as well. So a change touches the
//! lines of one view and no others, and what comes of it is read again and compared
//! before it takes the place of the old file. What cannot be read is said and stays as
//! it is. Reading and writing happen on a thread of their own, one after another: a
//! disk may be slow.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::future::pending;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use toml::{Table, Value};

use super::look::ViewText;
use super::message::{Keep, Kept};
use super::model::devices::columns::Columns;
use super::model::views::{self, View};
use super::text::safe;

/// A longer file is not one of ours.
const LONGEST: u64 = 1 << 20;
/// How long the end waits for what was just asked for.
const FINISH: Duration = Duration::from_millis(150);
/// How long another otadeck may be writing the file.
const TURN: Duration = Duration::from_millis(20);
/// How often it is looked whether that is over.
const TURNS: usize = 50;
/// The table of views in the file.
const TABLE: &str = "view";

/// What is to be done to the file, one thing after another.
#[derive(Debug)]
pub(super) struct Shelf {
    file: Option<PathBuf>,
    waiting: VecDeque<Keep>,
    at_work: Option<JoinHandle<Kept>>,
}

impl Shelf {
    /// A shelf on that file; without one nothing is kept.
    pub(super) fn on(file: Option<PathBuf>) -> Self {
        Self {
            file,
            waiting: VecDeque::new(),
            at_work: None,
        }
    }

    /// Does this when all before it is done; answered by what [`Shelf::next`] gives.
    pub(super) fn ask(&mut self, keep: Keep) {
        self.waiting.push_back(keep);
        self.work();
    }

    fn work(&mut self) {
        if self.at_work.is_none()
            && let Some(keep) = self.waiting.pop_front()
        {
            let file = self.file.clone();
            self.at_work = Some(tokio::task::spawn_blocking(move || {
                done(file.as_deref(), keep)
            }));
        }
    }

    /// Waits for the next answer. Cancelled, it has lost nothing.
    pub(super) async fn next(&mut self) -> Kept {
        let Some(work) = &mut self.at_work else {
            return pending().await;
        };
        let kept = work.await;
        self.at_work = None;
        self.work();
        // It panics nowhere; the hook has told if it does.
        kept.unwrap_or_else(|_| Kept {
            wrong: vec!["the views could not be kept; the log says more".to_owned()],
            ..Kept::default()
        })
    }

    /// Waits until all is done that was asked for, but not for long.
    pub(super) async fn finish(&mut self) {
        let all = async {
            while self.at_work.is_some() {
                self.next().await;
            }
        };
        if timeout(FINISH, all).await.is_err() {
            tracing::warn!("a view may not have been kept: the disk is too slow");
        }
    }
}

/// Does it, and tells how the file is then.
fn done(file: Option<&Path>, keep: Keep) -> Kept {
    let Some(file) = file else {
        let wrong = match keep {
            Keep::Read => Vec::new(),
            _ => vec!["there is no folder in which views are kept".to_owned()],
        };
        return Kept {
            views: Some(BTreeMap::new()),
            wrong,
        };
    };
    let changed = match keep {
        Keep::Read => Ok(()),
        Keep::Save(name, view) => change(file, &name, Some(&view)),
        Keep::Forget(name) => change(file, &name, None),
    };
    let mut kept = match read(file).and_then(|text| parse(&text)) {
        Ok(table) => told(&table),
        Err(why) => Kept {
            views: None,
            wrong: vec![format!("{}: {why}. Nothing is changed there", shown(file))],
        },
    };
    // What was just asked for is answered alone: the rest was said when it was read.
    if let Err(why) = changed {
        kept.wrong = vec![why];
    }
    kept
}

fn shown(file: &Path) -> String {
    safe(&file.display().to_string())
}

/// The file's text; none while there is no file.
fn read(file: &Path) -> Result<String, String> {
    let about = match fs::metadata(file) {
        Ok(about) => about,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(String::new()),
        Err(e) => return Err(format!("it cannot be read: {e}")),
    };
    if !about.is_file() || about.len() > LONGEST {
        return Err("it is no file of views".to_owned());
    }
    fs::read_to_string(file).map_err(|e| format!("it cannot be read: {e}"))
}

fn parse(text: &str) -> Result<Table, String> {
    toml::from_str(text).map_err(|e: toml::de::Error| {
        let at = e.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.as_bytes()[..at]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
            + 1;
        format!("line {line}: {}", safe(e.message()))
    })
}

/// The views of the file, and what of it means nothing.
fn told(table: &Table) -> Kept {
    let (mut views, mut wrong) = (BTreeMap::new(), Vec::new());
    let unknown = table.keys().filter(|key| *key != TABLE);
    wrong.extend(unknown.map(|key| format!("views.toml: {:?} means nothing", safe(key))));
    match table.get(TABLE) {
        None => {}
        Some(Value::Table(all)) => {
            for (name, value) in all {
                match view(name, value) {
                    Ok(view) => {
                        views.insert(name.clone(), view);
                    }
                    Err(why) => wrong.push(format!("view {}: {why}; it is left out", safe(name))),
                }
            }
        }
        Some(_) => wrong.push(format!("views.toml: {TABLE} is no table")),
    }
    Kept {
        views: Some(views),
        wrong,
    }
}

fn view(name: &str, value: &Value) -> Result<View, String> {
    views::check_name(name)?;
    let text: ViewText = value
        .clone()
        .try_into()
        .map_err(|e: toml::de::Error| safe(e.message()))?;
    View::read(&text, &Columns::default())
}

/// Puts a view into the file, or takes it out.
fn change(file: &Path, name: &str, view: Option<&View>) -> Result<(), String> {
    let _alone = alone(file)?;
    let told = |why: String| format!("{}: {why}. Nothing was changed", shown(file));
    let text = read(file).map_err(told)?;
    let before = parse(&text).map_err(told)?;
    let after = changed(&text, &before, name, view).map_err(told)?;
    match after {
        Some(after) => write(file, &after).map_err(|e| told(format!("it cannot be written: {e}"))),
        None => Ok(()),
    }
}

/// Keeps other processes of this user from changing the file at the same time. A file
/// beside it is held, because its own is replaced.
fn alone(file: &Path) -> Result<fs::File, String> {
    let lock = file.with_extension("lock");
    let failed = |e: io::Error| format!("{}: {e}. Nothing was changed", shown(&lock));
    if let Some(folder) = lock.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut open = fs::OpenOptions::new();
    let open = open.write(true).create(true).truncate(false).mode(0o600);
    let held = open.open(&lock).map_err(failed)?;
    for _ in 0..TURNS {
        match held.try_lock() {
            Ok(()) => return Ok(held),
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(TURN),
            // Some file systems cannot; then whoever comes last is believed.
            Err(fs::TryLockError::Error(_)) => return Ok(held),
        }
    }
    Err(format!(
        "another otadeck is writing {}. Nothing was changed",
        shown(file)
    ))
}

/// The text with the view changed in it; `None` when it says that already.
fn changed(
    text: &str,
    before: &Table,
    name: &str,
    new: Option<&View>,
) -> Result<Option<String>, String> {
    let known = before.get(TABLE).and_then(|all| all.get(name));
    if let (Some(value), Some(_)) = (known, new)
        && let Err(why) = view(name, value)
    {
        return Err(format!(
            "the view {name} in it is broken ({why}); mend it there, or :forget {name} first"
        ));
    }
    let block = new.map(|view| block(name, view)).transpose()?;
    let mut want = before.clone();
    let all = want.entry(TABLE).or_insert_with(|| Table::new().into());
    let all = all.as_table_mut().ok_or("view is no table there")?;
    match &block {
        Some(block) => {
            let view = parse(block)?;
            let view = view.get(TABLE).and_then(|all| all.get(name)).cloned();
            all.insert(name.to_owned(), view.ok_or("the view cannot be written")?);
        }
        None => {
            all.remove(name);
        }
    }
    if want == *before {
        return Ok(None);
    }
    let after = without(text, name) + block.as_deref().unwrap_or_default();
    // Whoever wrote it may have done so in a way that cannot be changed by lines.
    let is = parse(&after).unwrap_or_default();
    let mut is = is;
    is.entry(TABLE).or_insert_with(|| Table::new().into());
    match is == want {
        true => Ok(Some(after)),
        false => Err(format!(
            "the view {name} is written there in a way of its own; change it there"
        )),
    }
}

/// A view as it stands in the file.
fn block(name: &str, view: &View) -> Result<String, String> {
    let text = toml::to_string(&view.text()).map_err(|e| e.to_string())?;
    // A dot would begin a table below it.
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let key = match name.chars().all(bare) {
        true => name.to_owned(),
        false => format!("{name:?}"),
    };
    Ok(format!("[{TABLE}.{key}]\n{text}"))
}

/// The text without the lines of that view, but with the comments among them.
fn without(text: &str, name: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in text.lines() {
        let bare = line.trim();
        if bare.starts_with('[') {
            let was_inside = std::mem::replace(&mut inside, names(bare, name));
            if was_inside && !kept.is_empty() && !kept.ends_with("\n\n") {
                kept.push('\n');
            }
        }
        if !inside || bare.starts_with('#') {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    let kept = kept.trim_end();
    match kept.is_empty() {
        true => String::new(),
        false => format!("{kept}\n\n"),
    }
}

/// Is this line the heading of that view?
fn names(line: &str, name: &str) -> bool {
    let table: Result<Table, _> = toml::from_str(line);
    let view = table.ok().and_then(|table| table.get(TABLE).cloned());
    let view = view.as_ref().and_then(Value::as_table);
    view.is_some_and(|view| view.len() == 1 && view.contains_key(name))
}

/// Writes the file anew, for its owner alone. Until that is done the old one stands.
fn write(file: &Path, text: &str) -> io::Result<()> {
    // A link stays a link.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let new = file.with_extension(format!("toml.{}", std::process::id()));
    let written = (|| {
        // What a process of the same number has left behind.
        let _ = fs::remove_file(&new);
        let mut out = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        out.set_permissions(fs::Permissions::from_mode(0o600))?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
        fs::rename(&new, &file)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests;
