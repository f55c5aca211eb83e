//! Rules, and requests that they take.
