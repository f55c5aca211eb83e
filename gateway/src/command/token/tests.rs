//! Tests of `latchwork token`.
