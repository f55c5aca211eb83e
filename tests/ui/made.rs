//! What a later stage takes can't be written down by hand.

use gateway::call::{Asked, Permitted};
use policy::permit::Permit;

pub fn permitted(asked: Asked, permit: Permit) -> Permitted {
    let Asked { envelope, head, payload, found, identity, .. } = asked; //~ E0451
    Permitted { envelope, head, payload, found, identity, permit } //~ E0451
}
