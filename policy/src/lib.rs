//! May this caller run this function? Pure: no socket, clock, file or task.
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::allow_attributes,
        reason = "a test may fail loudly"
    )
)]

pub mod declared;
pub mod finding;
pub mod permit;
pub mod question;
