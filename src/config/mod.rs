//! Finds settings, composes the rooms' settings, explains mistakes.
