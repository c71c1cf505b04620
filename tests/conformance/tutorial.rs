//! The tutorial's two programs.
