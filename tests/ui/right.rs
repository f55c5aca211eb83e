//! What the other files do wrongly, done right: it compiles, so that their errors have no other cause.

use mesh::{
    function::Function,
    invocation::{Going, InvokeError, Invocation, Outbound},
};
use policy::permit::{Permit, Terms};
use std::sync::Arc;

pub fn run(function: Arc<Function>, permit: Permit, outbound: Outbound) -> Result<(Terms, Going), InvokeError> {
    let terms = permit.terms().clone();
    let invocation = Invocation::begin(function, permit, terms.valid_until())?;
    Ok((terms, invocation.go(outbound)))
}
