//! Exports of a real log.
