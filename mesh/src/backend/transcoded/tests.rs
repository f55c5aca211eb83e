//! Messages out, answers in.
