//! `otadeck` in lines: where there is no terminal, one that cannot be drawn on, or
//! somebody who wants it so.

use std::io::IsTerminal;

use tokio::sync::mpsc;

use crate::console::line::{self, Manner, Said, Silent, TalkError, Talked, Voice};
use crate::console::{Context, Exit};
use crate::engine::Engine;

use super::args::Global;
use super::exit::{Code, Failure};
use super::session::Session;
use super::signals::Signals;
use super::switching::begun;
use super::{console, ending, log, out};

/// Is the console to be in lines?
pub(super) fn wanted(global: &Global) -> bool {
    global.plain || is_dumb(std::env::var("TERM").ok().as_deref()) || !console::is_on_terminal()
}

/// Can a terminal that calls itself so not be drawn on? One that says nothing cannot.
fn is_dumb(term: Option<&str>) -> bool {
    matches!(term, None | Some("" | "dumb"))
}

/// Runs the console in lines on a session to its end.
pub(super) async fn show(session: &Session, mut context: Context) -> Result<Code, Failure> {
    // Ends in time even where the console itself cannot.
    Signals::insist()?;
    let (_log, trouble) = log::open(&session.paths.log());
    let running = begun(session, &mut context).await?;
    let talking = talk(running.engine(), context, trouble);
    ending::tend(running, talking).await
}

/// Speaks to the end, and says what is still open.
async fn talk(
    engine: Engine,
    context: Context,
    trouble: mpsc::Receiver<String>,
) -> Result<Code, Failure> {
    let (demo, kept) = (context.demo, context.keeps_journal);
    let attended = std::io::stdin().is_terminal();
    let manner = Manner {
        attended,
        prompts: attended && std::io::stderr().is_terminal(),
    };
    let talking = Box::pin(line::run(engine, context, trouble, manner, voice()));
    let talked = tokio::select! {
        talked = talking => talked,
        // The hook has told it.
        () = ending::defect() => return Ok(Code::Failure),
    };
    let code = match &talked.why {
        // What keeps stdout from being written is known there.
        Err(TalkError::Silent(Silent)) => out::printed().await.map(|()| Code::Failure),
        _ if ending::is_defect() => Ok(Code::Failure),
        Err(error) => Err(Failure::new(Code::Failure, error)),
        Ok(exit) => Ok(code(*exit, &talked, attended)),
    };
    ending::last_resort(code.as_ref().map_or(Code::Failure, |code| *code));
    console::tell(&talked.open, demo, kept);
    code
}

/// The exit code of a conversation. Somebody at a terminal who quits has seen how all
/// stands; a script learns it from the code.
fn code(exit: Exit, talked: &Talked, attended: bool) -> Code {
    let refused = talked.refused.iter().filter(|_| !attended);
    match exit {
        Exit::Signal(number) => Code::Signal(u8::try_from(number).unwrap_or_default()),
        // Lines lead to no other hub.
        Exit::Switch => Code::Completed,
        Exit::Quit if attended && !talked.heard_out => Code::Completed,
        Exit::Quit => {
            let updates = talked.updates.iter().map(Code::of_update);
            Code::worst(updates.chain(refused.map(Code::of_problem)))
        }
    }
}

/// Says one thing after the other: what is said next on the other stream stays behind.
fn voice() -> Voice {
    Box::new(|said| {
        Box::pin(async move {
            match said {
                Said::Told(text) => {
                    out::print(text).await.map_err(|_| Silent)?;
                    out::printed().await.map_err(|_| Silent)
                }
                Said::Asked(text) => {
                    out::note(&text);
                    out::last_words().await;
                    Ok(())
                }
                Said::Prompt(text) => {
                    out::prompt(&text);
                    out::last_words().await;
                    Ok(())
                }
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::problem::{Kind, Problem};

    #[rstest::rstest]
    #[case(None, true)]
    #[case(Some(""), true)]
    #[case(Some("dumb"), true)]
    #[case(Some("vt100"), false)]
    fn a_terminal_that_cannot_be_drawn_on(#[case] term: Option<&str>, #[case] dumb: bool) {
        assert_eq!(is_dumb(term), dumb);
    }

    /// A missing answer is a refusal for a script; somebody at a terminal has seen it.
    #[rstest::rstest]
    #[case(Exit::Quit, false, true, Code::Refused)]
    #[case(Exit::Quit, false, false, Code::Refused)]
    #[case(Exit::Quit, true, true, Code::Completed)]
    #[case(Exit::Quit, true, false, Code::Completed)]
    #[case(Exit::Signal(2), false, true, Code::Signal(2))]
    fn the_code_tells_a_script(
        #[case] exit: Exit,
        #[case] attended: bool,
        #[case] heard_out: bool,
        #[case] want: Code,
    ) {
        let talked = Talked {
            why: Ok(exit),
            open: Vec::new(),
            updates: Vec::new(),
            refused: vec![Problem::new(Kind::Unconfirmed, "no answer", "")],
            heard_out,
        };
        assert_eq!(code(exit, &talked, attended), want);
    }
}
