//! May this caller run this function? Pure: no socket, clock, file or task.

pub mod declared;
pub mod finding;
pub mod permit;
pub mod question;
