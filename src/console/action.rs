//! What a key can mean. The names are shared with `assets/keymap.toml`.

use serde::Deserialize;

/// What the operator wants, before the place on the screen says of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Go into what is selected.
    Open,
    /// Go back one step.
    Back,
    /// One down.
    Next,
    /// One up.
    Previous,
    /// A page down.
    PageDown,
    /// A page up.
    PageUp,
    /// To the begin.
    First,
    /// To the end.
    Last,
    /// Go to the other part of the screen.
    Switch,
    /// Type a filter.
    Filter,
    /// Mark the selected device, or take its mark away.
    Mark,
    /// Mark everything that is shown, or take those marks away.
    MarkShown,
    /// Sort by the next column.
    Sort,
    /// Turn the order round.
    Reverse,
    /// Show the twin as JSON, or as a tree again.
    Raw,
    /// Copy what is most useful here.
    Copy,
    /// Type a command.
    Prompt,
    /// Complete what was typed.
    Complete,
    /// Take what was typed.
    Submit,
    /// Yes.
    Confirm,
    /// List the hub's devices again.
    List,
    /// Show the updates of this session.
    Updates,
    /// List other updates: all, those that need attention, in flight, completed.
    Only,
    /// Show past updates; leave them.
    History,
    /// Show what happened in this session; leave that.
    Log,
    /// Play the shown update again.
    Replay,
    /// Stop a replay, or go on.
    Pause,
    /// Play faster.
    Faster,
    /// Play slower.
    Slower,
    /// To the next event.
    Forward,
    /// To the event before.
    Backward,
    /// Play from the begin.
    BeginAgain,
    /// Skip long silences of a replay, or do not.
    SkipSilences,
    /// To the next device with an update in flight.
    NextUpdate,
    /// To the previous one.
    PreviousUpdate,
    /// Give the shown update up.
    GiveUp,
    /// Show the keys.
    Help,
    /// End the console.
    Quit,
    /// Stop the process until the shell continues it.
    Suspend,
}
