//! A link that takes so many bytes a second, and what lies between it and the
//! program: the buffers of the pseudo-terminal alone, or those of a connection too,
//! which take everything at once as a server for SSH does.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::terminal::Seen;

/// How finely time is cut.
const TICK: Duration = Duration::from_millis(4);

/// A slow link.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Bytes a second.
    pub rate: usize,
    /// Is there a connection between, with buffers that are never full?
    pub buffers: bool,
    /// Does the terminal answer what it is asked?
    pub answers: bool,
}

impl Link {
    /// The bytes that it takes in that time.
    pub fn takes(self, time: Duration) -> usize {
        self.rate * usize::try_from(time.as_millis()).unwrap() / 1_000
    }
}

/// Reads what a program writes, as fast as the link takes it. What was not used of
/// one tick is lost: a link does not save up.
pub(super) fn read(master: &OwnedFd, seen: &(Mutex<Seen>, Condvar), link: Link) {
    let mut buffer = vec![0; 1 << 16];
    let mut waiting: VecDeque<u8> = VecDeque::new();
    let mut ended = false;
    let mut owed = 0.0;
    while !ended || !waiting.is_empty() {
        let began = Instant::now();
        std::thread::sleep(TICK);
        // What a loaded machine is late is not made up for.
        let passed = began.elapsed().min(TICK * 2).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let room = passed * link.rate as f64 + owed;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small"
        )]
        let room_now = room as usize;
        owed = room.fract();
        let most = match link.buffers {
            true => buffer.len(),
            false => room_now.saturating_sub(waiting.len()),
        };
        if !ended && most > 0 && has_some(master) {
            let n = rustix::io::read(master, &mut buffer[..most]).unwrap_or(0);
            waiting.extend(&buffer[..n]);
            ended = n == 0;
        }
        let taken: Vec<u8> = waiting.drain(..room_now.min(waiting.len())).collect();
        let mut guard = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        if guard.closed {
            return;
        }
        if !taken.is_empty() {
            guard.take(&taken, link.answers.then_some(master));
            seen.1.notify_all();
        }
    }
    let mut guard = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
    guard.ended = true;
    seen.1.notify_all();
}

fn has_some(master: &OwnedFd) -> bool {
    let mut asked = [PollFd::new(master, PollFlags::IN)];
    matches!(poll(&mut asked, Some(&Timespec::default())), Ok(1..))
}
