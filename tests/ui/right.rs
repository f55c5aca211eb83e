//! What the other files do wrongly, done right: it compiles, so that their errors have no other cause.

use mesh::{
    dispatch::{Patience, Ran, Witness},
    function::Function,
    invocation::{InvokeError, Invocation, Outbound},
};
use policy::permit::{Permit, Terms};
use std::sync::Arc;

pub async fn run(
    function: Arc<Function>,
    permit: Permit,
    outbound: Outbound,
    patience: Patience,
    witness: &mut dyn Witness,
) -> Result<(Terms, Ran), InvokeError> {
    let terms = permit.terms().clone();
    let invocation = Invocation::begin(function, permit, terms.valid_until())?;
    Ok((terms, invocation.go(outbound, patience, witness).await?))
}
