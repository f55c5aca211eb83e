//! An invocation begins with a permit and in no other way.

use mesh::{dispatch::Plan, function::Function, invocation::Invocation};
use policy::permit::Terms;
use std::sync::Arc;

pub fn begin_without(function: Arc<Function>, terms: Terms, plan: Plan) -> Invocation {
    Invocation { function, terms, plan } //~ E0451
}
