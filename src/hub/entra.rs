//! A token of Entra ID, asked for once for all who need it.
//!
//! ```text
//!   none ── a call needs it ──► asked for ── given ──► held ── nearly over ──► held, and asked for
//!    ▲                              │                   │
//!    └────────── no token ◄─────────┘                   └── refused by the hub ──► none
//! ```
//!
//! Asking takes seconds, so it is done by a task of its own, one at a time: who
//! needs a token meanwhile waits for that one, and who has one that is nearly over
//! goes on with it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderValue;
use secrecy::ExposeSecret;

use super::az::{self, AzError, Given, Group};
use super::tokens::Token;

/// A token is renewed when less than this is left. The Azure command line gives a new
/// one when less than five minutes are.
const RENEWAL: Duration = Duration::from_secs(240);
/// When no other one was given, it is asked for again after this.
const AGAIN: SignedDuration = SignedDuration::from_secs(30);
/// A token with less than this left is none.
const MARGIN: Duration = Duration::from_secs(2);

type Asked = Shared<BoxFuture<'static, Result<Token, AzError>>>;
/// Asks for a token.
type Ask = Arc<dyn Fn() -> BoxFuture<'static, Result<Given, AzError>> + Send + Sync>;

/// The token in use.
pub(super) struct Entra {
    ask: Ask,
    held: Arc<Mutex<Held>>,
    /// Whoever is being asked does not outlive this.
    asked: Group,
}

impl Drop for Entra {
    fn drop(&mut self) {
        self.asked.end();
    }
}

#[derive(Default)]
struct Held {
    token: Option<Token>,
    /// When another one is asked for, though this one is still good.
    renews_at: Timestamp,
    /// It is being asked for.
    asked: Option<Asked>,
}

impl Default for Entra {
    fn default() -> Self {
        let asked = Group::default();
        let same = asked.clone();
        let ask = move || az::token(same.clone()).boxed();
        Self::new(Arc::new(ask), asked)
    }
}

impl Entra {
    fn new(ask: Ask, asked: Group) -> Self {
        Self {
            ask,
            held: Arc::default(),
            asked,
        }
    }

    /// The token in use; waits for one when there is none.
    ///
    /// # Errors
    /// [`AzError`] when none was given.
    pub(super) async fn token(&self) -> Result<Token, AzError> {
        let asked = {
            let mut held = lock(&self.held);
            let now = Timestamp::now();
            match held.token.clone().filter(|t| t.lasts(now, MARGIN)) {
                Some(mut token) => {
                    if now >= held.renews_at && held.asked.is_none() {
                        // Nobody waits for it.
                        drop(self.begin(&mut held));
                    }
                    token.is_fresh = false;
                    return Ok(token);
                }
                None => match held.asked.clone() {
                    Some(asked) => asked,
                    None => self.begin(&mut held),
                },
            }
        };
        asked.await
    }

    /// Begins to ask. Goes on when nobody waits any more.
    fn begin(&self, held: &mut Held) -> Asked {
        let (asking, same) = ((self.ask)(), Arc::clone(&self.held));
        let task = tokio::spawn(async move {
            let given = asking.await.and_then(token);
            lock(&same).answered(&given);
            given
        });
        let broken = || AzError::Failed("it was ended".to_owned());
        let asked = task.map(move |given| given.unwrap_or_else(|_| Err(broken())));
        let asked = asked.boxed().shared();
        held.asked = Some(asked.clone());
        asked
    }

    /// The hub has refused a token: it is not used again. True when another one may do
    /// better.
    pub(super) fn refused(&self, token: &Token) -> bool {
        let mut held = lock(&self.held);
        held.token.take_if(|held| held.header == token.header);
        !token.is_fresh
    }

    /// Do calls wait for a token?
    pub(super) fn is_waited_for(&self) -> bool {
        let held = lock(&self.held);
        let now = Timestamp::now();
        held.asked.is_some() && held.token.as_ref().is_none_or(|t| !t.lasts(now, MARGIN))
    }
}

impl Held {
    fn answered(&mut self, given: &Result<Token, AzError>) {
        self.asked = None;
        let now = Timestamp::now();
        let is_new = match (given, &self.token) {
            (Ok(new), Some(old)) => new.header != old.header,
            (Ok(_), None) => true,
            (Err(error), _) => {
                tracing::warn!("no token of Entra ID: {error}");
                false
            }
        };
        if let Ok(token) = given {
            let early = token.left(now) / 2;
            let early = early.min(SignedDuration::try_from(RENEWAL).unwrap_or_default());
            self.renews_at = now + (token.left(now) - early);
            self.token = Some(token.clone());
        }
        if !is_new {
            self.renews_at = now + AGAIN;
        }
    }
}

/// The token as it is sent.
fn token(given: Given) -> Result<Token, AzError> {
    let text = format!("Bearer {}", given.token.expose_secret());
    let header = HeaderValue::from_str(&text);
    let mut header = header.map_err(|_| AzError::Rubbish("it cannot be sent"))?;
    header.set_sensitive(true);
    Ok(Token::given(header, given.ends))
}

/// Never with the token.
impl fmt::Debug for Entra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entra").finish_non_exhaustive()
    }
}

/// The data behind the lock is whole whoever panicked while holding it.
fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    /// Gives `t1`, `t2` and so on, each when it is let, good for so many seconds.
    fn entra(lives: &'static [i64]) -> (Entra, Arc<AtomicUsize>, Arc<Semaphore>) {
        let (count, leave) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let (counted, let_by) = (Arc::clone(&count), Arc::clone(&leave));
        let ask = move || {
            let (count, leave) = (Arc::clone(&counted), Arc::clone(&let_by));
            async move {
                let n = count.fetch_add(1, Ordering::SeqCst);
                leave.acquire().await.unwrap().forget();
                match lives.get(n) {
                    Some(0) | None => Err(AzError::NotSignedIn),
                    Some(life) => Ok(Given {
                        token: format!("t{}", n + 1).into(),
                        ends: Timestamp::now() + SignedDuration::from_secs(*life),
                    }),
                }
            }
            .boxed()
        };
        (Entra::new(Arc::new(ask), Group::default()), count, leave)
    }

    fn text(token: &Token) -> &str {
        token.header.to_str().unwrap()
    }

    #[tokio::test]
    async fn all_who_wait_get_the_same_one() {
        let (entra, asked, leave) = entra(&[3_600]);
        let all = futures_util::future::join_all((0..20).map(|_| entra.token()));
        let given = async {
            while asked.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            assert!(entra.is_waited_for());
            leave.add_permits(20);
        };
        let (all, ()) = tokio::join!(all, given);
        assert!(all.iter().all(|t| t.as_ref().is_ok_and(|t| t.is_fresh)));
        let again = entra.token().await.unwrap();
        assert_eq!((text(&again), again.is_fresh), ("Bearer t1", false));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert!(!entra.is_waited_for());
        let shown = format!("{entra:?} {again:?}");
        assert!(!shown.contains("t1"), "{shown}");
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_who_waited_and_then_it_is_asked_again() {
        let (entra, asked, leave) = entra(&[0, 3_600]);
        leave.add_permits(2);
        let all = futures_util::future::join_all((0..5).map(|_| entra.token())).await;
        assert!(
            all.iter()
                .all(|t| t.as_ref().err() == Some(&AzError::NotSignedIn))
        );
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert_eq!(text(&entra.token().await.unwrap()), "Bearer t2");
    }

    #[tokio::test]
    async fn whoever_has_one_that_is_nearly_over_does_not_wait() {
        let (entra, asked, leave) = entra(&[3_600, 3_600]);
        leave.add_permits(1);
        entra.token().await.unwrap();
        lock(&entra.held).renews_at = Timestamp::now();
        for _ in 0..5 {
            assert_eq!(text(&entra.token().await.unwrap()), "Bearer t1");
        }
        leave.add_permits(1);
        while text(&entra.token().await.unwrap()) == "Bearer t1" {
            tokio::task::yield_now().await;
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_refused_one_is_not_used_again() {
        let (entra, _, leave) = entra(&[3_600, 3_600]);
        leave.add_permits(2);
        let first = entra.token().await.unwrap();
        assert!(!entra.refused(&first), "it was given for this call");
        let second = entra.token().await.unwrap();
        assert_eq!(text(&second), "Bearer t2");
        assert!(entra.refused(&entra.token().await.unwrap()), "it was held");
    }

    #[tokio::test]
    async fn one_that_has_ended_is_waited_for() {
        let (entra, asked, leave) = entra(&[1, 3_600]);
        leave.add_permits(2);
        // With less than the margin left it is used for the calls that waited alone.
        assert_eq!(text(&entra.token().await.unwrap()), "Bearer t1");
        assert_eq!(text(&entra.token().await.unwrap()), "Bearer t2");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }
}
