//! Breaks a part on purpose, so that tests can see what the rest makes of it.
//!
//! `OTADECK_REHEARSE=engine` makes the engine panic at the next place that says
//! [`panic_at`]`("engine")`. Only builds with debug assertions hear it: a release
//! build has none of this. Not a feature of Cargo, because then the program under
//! test would be another one than the program.

/// Panics if the environment asks for it, in debug builds.
#[cfg(debug_assertions)]
pub fn panic_at(place: &str) {
    let asked = std::env::var_os("OTADECK_REHEARSE").is_some_and(|asked| asked == place);
    assert!(!asked, "rehearsed: the {place} breaks");
}

/// Does nothing in a release build.
#[cfg(not(debug_assertions))]
pub fn panic_at(_: &str) {}
