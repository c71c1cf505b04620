//! What was intended, done and seen, in SQLite.
