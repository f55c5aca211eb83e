//! An invocation begins with a permit and in no other way.

use mesh::{function::Function, invocation::Invocation};
use policy::permit::Terms;
use std::sync::Arc;

pub fn begin_without(function: Arc<Function>, terms: Terms) -> Invocation {
    Invocation { function, terms, next: 0 } //~ E0451
}
