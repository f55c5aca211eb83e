//! Explanations of every kind of answer.
