//! The tokens in use, and the hub's clock by which they are signed.

use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{DATE, HeaderMap, HeaderValue};

use crate::domain::skew::Skew;

use super::connection::ConnectionString;
use super::sas;

/// A token is replaced when less than this part of its life is left.
const RENEWAL: u32 = 6;
/// And this much before that: a token's end and the hub's `Date` are cut to whole
/// seconds, so the hub's clock is known to a second or so.
const MARGIN: Duration = Duration::from_secs(2);

/// Signs tokens for one hub.
#[derive(Debug)]
pub(super) struct Tokens {
    life: Duration,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    token: Option<Token>,
    skew: Option<Skew>,
}

/// A token as a header.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) header: HeaderValue,
    /// When it ends, by the hub's clock.
    expiry: Timestamp,
    /// The clock's offset by which it was signed.
    offset: SignedDuration,
    /// Was it signed for this very call?
    pub(super) is_fresh: bool,
}

impl Token {
    /// A token that somebody else gave, good until `expiry`.
    pub(super) fn given(header: HeaderValue, expiry: Timestamp) -> Self {
        Self {
            header,
            expiry,
            offset: SignedDuration::ZERO,
            is_fresh: true,
        }
    }

    /// Is it good for so long yet, by this machine's clock?
    pub(super) fn lasts(&self, now: Timestamp, margin: Duration) -> bool {
        self.left(now) > signed(margin)
    }

    /// What is left of its life then.
    pub(super) fn left(&self, now: Timestamp) -> SignedDuration {
        self.expiry.duration_since(now)
    }
}

impl Tokens {
    pub(super) fn new(life: Duration) -> Self {
        Self {
            life,
            held: Mutex::default(),
        }
    }

    /// The token in use, renewed before it ends by the hub's clock.
    pub(super) fn token(&self, connection: &ConnectionString) -> Token {
        let mut held = lock(&self.held);
        let offset = held.skew.map_or(SignedDuration::ZERO, Skew::believed);
        let now = Timestamp::now();
        let now = now.checked_add(offset).unwrap_or(now);
        if let Some(token) = &held.token
            && token.expiry.duration_since(now) > signed(self.life / RENEWAL + MARGIN)
        {
            return token.clone();
        }
        let expiry = now.checked_add(signed(self.life)).unwrap_or(now);
        let (host, policy) = (&connection.at.host, Some(connection.policy.as_str()));
        let text = sas::token(host, connection.key(), expiry.as_second(), policy);
        // A token is percent-encoded ASCII, the policy's name is checked.
        let mut header = HeaderValue::from_str(&text).expect("a SAS token is ASCII");
        header.set_sensitive(true);
        let token = Token {
            header,
            expiry,
            offset,
            is_fresh: false,
        };
        held.token = Some(token.clone());
        Token {
            is_fresh: true,
            ..token
        }
    }

    /// The hub has refused a token: it is not used again. True when another one
    /// may do better: it was not new, or was signed by a wrong clock.
    pub(super) fn refused(&self, token: &Token) -> bool {
        let mut held = lock(&self.held);
        if held
            .token
            .as_ref()
            .is_some_and(|held| held.header == token.header)
        {
            held.token = None;
        }
        let offset = held.skew.map_or(SignedDuration::ZERO, Skew::believed);
        let moved = (offset - token.offset).abs() > SignedDuration::from_secs(1);
        !token.is_fresh || moved
    }

    /// Measures the hub's clock by an answer. Only answers over TLS come here, so
    /// nobody on the way can set the clock.
    pub(super) fn measure(&self, headers: &HeaderMap, sent: Timestamp) {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let Some(new) = date.and_then(|date| Skew::measured(date, sent, Timestamp::now())) else {
            return;
        };
        let mut held = lock(&self.held);
        held.skew = Some(held.skew.map_or(new, |known| known.refined(new)));
    }

    pub(super) fn skew(&self) -> Option<Skew> {
        lock(&self.held).skew
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// The data behind the lock is whole whoever panicked while holding it.
fn lock(mutex: &Mutex<Held>) -> std::sync::MutexGuard<'_, Held> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> ConnectionString {
        ConnectionString::parse("HostName=h.test;SharedAccessKeyName=s;SharedAccessKey=AAEC")
            .unwrap()
    }

    /// When a token ends, as it says of itself.
    fn end(token: &Token) -> i64 {
        let text = token.header.to_str().unwrap();
        let (_, rest) = text.split_once("&se=").unwrap();
        rest.split('&').next().unwrap().parse().unwrap()
    }

    fn answered(tokens: &Tokens, date: Timestamp) {
        let text = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let mut headers = HeaderMap::new();
        headers.insert(DATE, text.parse().unwrap());
        tokens.measure(&headers, Timestamp::now());
    }

    #[test]
    fn a_token_is_used_again_until_a_sixth_of_its_life_is_left() {
        let tokens = Tokens::new(Duration::from_secs(3_600));
        let first = tokens.token(&connection());
        assert!(first.is_fresh);
        let again = tokens.token(&connection());
        assert!(!again.is_fresh && again.header == first.header);
        // One that is as good as over.
        let short = Tokens::new(Duration::ZERO);
        short.token(&connection());
        assert!(short.token(&connection()).is_fresh);
    }

    #[test]
    fn tokens_are_signed_by_the_hubs_clock_up_to_a_day() {
        let now = Timestamp::now();
        for (hours, believed) in [(2, 2), (-2, -2), (23, 23), (48, 0)] {
            let tokens = Tokens::new(Duration::from_secs(3_600));
            answered(&tokens, now + SignedDuration::from_hours(hours));
            let end = end(&tokens.token(&connection()));
            let want = now.as_second() + 3_600 * (believed + 1);
            assert!((end - want).abs() < 60, "{hours} h: {end} is not {want}");
        }
    }

    #[test]
    fn one_more_try_is_worth_it_when_the_token_was_old_or_the_clock_was_wrong() {
        let tokens = Tokens::new(Duration::from_secs(3_600));
        let first = tokens.token(&connection());
        assert!(!tokens.refused(&first), "a new token from a right clock");
        let second = tokens.token(&connection());
        assert!(second.is_fresh, "a refused token is not used again");
        answered(&tokens, Timestamp::now() + SignedDuration::from_hours(2));
        assert!(tokens.refused(&second), "it was signed by a wrong clock");
        tokens.token(&connection());
        assert!(tokens.refused(&tokens.token(&connection())));
    }
}
