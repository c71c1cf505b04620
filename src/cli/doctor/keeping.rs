//! What is kept: the state folder, the journal in it, space for both, the log.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, access, statvfs};

use crate::config::Paths;
use crate::journal::{Exam, JournalError, Place};

use super::super::exit::Code;
use super::patient::Patient;
use super::round::{Diagnosis, Round, within};

/// How long the journal's soundness is looked at.
const SOUND: Duration = Duration::from_secs(6);
/// Less free space than that is worth a word; with less than that nothing can be kept.
const LITTLE: u64 = 64 << 20;
const NONE: u64 = 1 << 20;

/// All of it.
pub(super) async fn look(round: &Round<'_>, patient: &Patient) {
    let Some(paths) = &patient.paths else {
        let found = "no home folder, so nowhere to keep anything";
        let hint = "Set HOME, or state_dir in a file that --config names.";
        round
            .tell("state", Diagnosis::failed(Code::Usage, found, hint))
            .await;
        for name in ["journal", "space", "log"] {
            round
                .tell(name, Diagnosis::skipped("there is no folder for it"))
                .await;
        }
        return;
    };
    let well = round.tell("state", state(&paths.state)).await;
    let journal = match (well, patient.keeps_journal) {
        (_, false) => Diagnosis::warning(
            "none: --no-journal was said",
            "Nothing can be resumed after this process, and no other one knows what it does.",
        ),
        (false, true) => Diagnosis::skipped("its folder cannot be used"),
        (true, true) => within(journal(paths.clone())).await,
    };
    round.tell("journal", journal).await;
    round.tell("space", space(&paths.state)).await;
    let log = match well {
        true => log(&paths.log()),
        false => Diagnosis::skipped("its folder cannot be used"),
    };
    round.tell("log", log).await;
}

/// The folder: whose, for whom, and can it be used?
fn state(folder: &Path) -> Diagnosis {
    let shown = folder.display();
    let Ok(found) = std::fs::metadata(folder) else {
        return not_there(folder);
    };
    if !found.is_dir() {
        let hint = "Move the file away, or name another state_dir.";
        return Diagnosis::failed(Code::Failure, format!("{shown} is no folder"), hint);
    }
    // It is there, so nothing is made by looking.
    let place = match Place::of(folder) {
        Ok(place) => place,
        Err(why) => {
            return Diagnosis::failed(Code::Failure, why, "Nothing is kept there until then.");
        }
    };
    if access(folder, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let found = format!("{shown} cannot be written");
        return Diagnosis::failed(
            Code::Failure,
            found,
            "Ask its owner, or name another state_dir.",
        );
    }
    let (mode, group) = (found.mode() & 0o7777, found.gid());
    let whose = match place.is_shared() {
        true => format!("shared by group {group}"),
        false => "for its owner alone".to_owned(),
    };
    let said = format!("{shown}: mode {mode:o}, {whose}");
    match place.remark() {
        Some(remark) => Diagnosis::warning(said, remark),
        None => Diagnosis::ok(said),
    }
}

/// It is made at the first start, if that can be done.
fn not_there(folder: &Path) -> Diagnosis {
    let shown = folder.display();
    let above = folder.ancestors().find(|above| above.exists());
    let above = above.unwrap_or(Path::new("/"));
    match above.is_dir() && access(above, Access::WRITE_OK | Access::EXEC_OK).is_ok() {
        true => Diagnosis::ok(format!(
            "{shown}: not there yet; it is made when it is needed"
        )),
        false => Diagnosis::failed(
            Code::Failure,
            format!(
                "{shown} is not there and cannot be made: {} is closed",
                above.display()
            ),
            "Name another state_dir, or have that folder made.",
        ),
    }
}

async fn journal(paths: Paths) -> Diagnosis {
    let path = paths.journal();
    let shown = path.display().to_string();
    let looked = tokio::task::spawn_blocking(move || Exam::of(&path, SOUND)).await;
    match looked {
        Ok(Ok(Some(exam))) => judged(&shown, &exam),
        Ok(Ok(None)) => Diagnosis::ok(format!("{shown}: none yet; it is made at the first start")),
        Ok(Err(error)) => wrong(&error),
        Err(error) => {
            let found = format!("it could not be looked at: {error}");
            Diagnosis::failed(Code::Failure, found, "A defect; the log says more.")
        }
    }
}

fn wrong(error: &JournalError) -> Diagnosis {
    Diagnosis::of_problem(&error.problem())
}

fn judged(shown: &str, exam: &Exam) -> Diagnosis {
    let (schema, known) = exam.schema;
    let mode = match exam.mode.as_str() {
        "wal" => "a write-ahead log".to_owned(),
        other => format!(
            "a rollback journal ({other}): it was made on a network file system, or where no \
             memory can be shared"
        ),
    };
    let (living, dead) = exam.held;
    let said = format!(
        "{shown}: {mode}; schema {schema}; open updates: {}; devices held by living processes: \
         {living}, by such as have ended: {dead}",
        exam.open
    );
    match &exam.faults {
        Some(faults) if !faults.is_empty() => {
            let damage = JournalError::Damaged(faults.join("; "));
            return wrong(&damage);
        }
        _ => {}
    }
    if let Some(why) = &exam.unwritable {
        return Diagnosis::failed(
            Code::Failure,
            format!("{shown} cannot be written: {why}"),
            "What is not written down is not done, so nothing is started. Look at the rights of \
             file and folder, and at the file system; or name another state_dir.",
        );
    }
    if exam.faults.is_none() {
        let hint = "It is large: whether it is sound was not found out in this time.";
        return Diagnosis::warning(said, hint);
    }
    if schema < known {
        let hint = format!("The next start brings it up to schema {known}.");
        return Diagnosis::warning(said, hint);
    }
    if dead > 0 || living < exam.open as usize {
        let hint = "Nobody watches what is open there: otadeck watch --resume, or the console, \
                    carries on with it.";
        return Diagnosis::warning(format!("{said}; sound"), hint);
    }
    Diagnosis::ok(format!("{said}; sound"))
}

/// Free space, where the folder is or will be.
fn space(folder: &Path) -> Diagnosis {
    let there = folder.ancestors().find(|above| above.exists());
    let Some(found) = there.and_then(|there| statvfs(there).ok()) else {
        return Diagnosis::skipped("the file system does not say");
    };
    free(found.f_bavail.saturating_mul(found.f_frsize))
}

fn free(bytes: u64) -> Diagnosis {
    let said = format!("{} MB are free", bytes >> 20);
    let hint =
        "A journal that cannot grow stops every start: make room, or name another state_dir.";
    match bytes {
        0..NONE => Diagnosis::failed(Code::Failure, said, hint),
        NONE..LITTLE => Diagnosis::warning(said, hint),
        _ => Diagnosis::ok(said),
    }
}

fn log(path: &Path) -> Diagnosis {
    let shown = path.display();
    let level = std::env::var("OTADECK_LOG").unwrap_or_else(|_| "info".to_owned());
    match std::fs::OpenOptions::new().append(true).open(path) {
        Ok(file) => {
            let size = file.metadata().map_or(0, |m| m.len()) >> 10;
            Diagnosis::ok(format!("{shown}: {size} KB, level {level}"))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Diagnosis::ok(format!("{shown}: not there yet, level {level}"))
        }
        Err(e) => Diagnosis::warning(
            format!("{shown} cannot be written: {e}"),
            "All else goes on without it; the cause of trouble will be harder to find.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::doctor::Verdict;
    use std::os::unix::fs::PermissionsExt as _;

    fn sound() -> Exam {
        Exam {
            mode: "wal".into(),
            schema: (2, 2),
            faults: Some(Vec::new()),
            unwritable: None,
            open: 0,
            held: (0, 0),
        }
    }

    fn comes_out(diagnosis: Diagnosis, verdict: Verdict, words: &str) {
        let told = format!("{diagnosis:?}");
        assert!(told.contains(&format!("verdict: {verdict:?}")), "{told}");
        assert!(told.contains(words), "{told}");
    }

    #[test]
    fn journals() {
        use Verdict::{Failed, Ok, Warning};
        let judge = |exam: Exam, verdict, words| comes_out(judged("j", &exam), verdict, words);
        judge(sound(), Ok, "sound");
        let mode = "truncate".into();
        judge(Exam { mode, ..sound() }, Ok, "network file system");
        let faults = Some(vec!["page 3".into()]);
        judge(Exam { faults, ..sound() }, Failed, "page 3");
        let unwritable = Some("readonly".into());
        judge(
            Exam {
                unwritable,
                ..sound()
            },
            Failed,
            "readonly",
        );
        judge(
            Exam {
                faults: None,
                ..sound()
            },
            Warning,
            "large",
        );
        judge(
            Exam {
                schema: (1, 2),
                ..sound()
            },
            Warning,
            "up to schema 2",
        );
        judge(
            Exam {
                held: (1, 0),
                ..sound()
            },
            Ok,
            "living processes: 1",
        );
        judge(
            Exam {
                held: (0, 1),
                ..sound()
            },
            Warning,
            "--resume",
        );
    }

    #[test]
    fn space_that_is_left() {
        comes_out(free(LITTLE), Verdict::Ok, "64 MB");
        comes_out(free(LITTLE - 1), Verdict::Warning, "make room");
        comes_out(free(NONE - 1), Verdict::Failed, "make room");
    }

    #[test]
    fn folders() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a/state");
        comes_out(state(&folder), Verdict::Ok, "not there yet");
        assert!(!home.path().join("a").exists(), "looking makes nothing");
        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        comes_out(state(&file), Verdict::Failed, "no folder");
        comes_out(
            state(&file.join("state")),
            Verdict::Failed,
            "cannot be made",
        );
        std::fs::create_dir_all(&folder).unwrap();
        let mode = |mode| {
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(0o700);
        comes_out(state(&folder), Verdict::Ok, "mode 700, for its owner alone");
        mode(0o2770);
        comes_out(state(&folder), Verdict::Ok, "mode 2770, shared by group");
        mode(0o770);
        comes_out(state(&folder), Verdict::Warning, "chmod 2770");
        mode(0o777);
        comes_out(state(&folder), Verdict::Failed, "everybody may write");
    }
}
