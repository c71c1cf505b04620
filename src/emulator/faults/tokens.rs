//! Tokens that end before their time.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use jiff::Timestamp;

/// Tokens are forgotten only when they are over by themselves, and not before
/// there are so many.
const MANY: usize = 4_096;

/// When each token was first seen, so that it can be over after a while.
#[derive(Debug)]
pub(in crate::emulator) struct Tokens {
    life: Option<Duration>,
    seen: HashMap<u64, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    first: Timestamp,
    /// Its own end.
    ends: Timestamp,
}

impl Tokens {
    pub(in crate::emulator) fn new(life: Option<Duration>) -> Self {
        Self {
            life,
            seen: HashMap::new(),
        }
    }

    /// When `token`, which says of itself that it `ends`, is over.
    pub(in crate::emulator) fn end(
        &mut self,
        token: &[u8],
        ends: Timestamp,
        now: Timestamp,
    ) -> Timestamp {
        let Some(life) = self.life else { return ends };
        if self.seen.len() >= MANY {
            self.seen.retain(|_, seen| seen.ends > now);
        }
        let mut hasher = DefaultHasher::new();
        token.hash(&mut hasher);
        let first = Seen { first: now, ends };
        let seen = self.seen.entry(hasher.finish()).or_insert(first);
        seen.first
            .checked_add(life)
            .map_or(ends, |over| over.min(ends))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_over_so_long_after_it_was_first_seen() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut tokens = Tokens::new(Some(Duration::from_secs(20)));
        assert_eq!(tokens.end(b"a", at(1_000), at(100)), at(120));
        assert_eq!(tokens.end(b"a", at(1_000), at(115)), at(120));
        assert_eq!(tokens.end(b"b", at(1_000), at(115)), at(135));
        assert_eq!(tokens.end(b"c", at(116), at(115)), at(116));
        let mut off = Tokens::new(None);
        assert_eq!(off.end(b"a", at(1_000), at(100)), at(1_000));
        assert!(off.seen.is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut tokens = Tokens::new(Some(Duration::from_secs(1)));
        for n in 0..20_000_i64 {
            tokens.end(&n.to_le_bytes(), at(n + 10), at(n));
        }
        assert!(tokens.seen.len() <= MANY, "{}", tokens.seen.len());
    }
}
