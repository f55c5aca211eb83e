//! The commands of `latchwork`, one file each.

pub mod token;
