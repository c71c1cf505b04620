//! One verb a file, on the same engine and the same events.
