//! A tombstone reads back as it was written, and nothing else does.
