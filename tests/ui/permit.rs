//! A permit can't be made, copied, taken out of a reference or used twice.

use mesh::{
    dispatch::{Patience, Witness},
    function::Function,
    invocation::{Invocation, Outbound},
};
use policy::permit::{Permit, Terms};
use std::sync::Arc;

pub fn forge(terms: Terms) -> Permit {
    Permit(terms) //~ E0423
}

pub fn grant() {
    let _ = Permit::grant; //~ E0624
}

pub fn copy(permit: &Permit) -> Permit {
    permit.clone() //~ E0308
}

pub fn take(permit: &Permit) -> Permit {
    *permit //~ E0507
}

pub fn begin_twice(function: Arc<Function>, permit: Permit, terms: Terms) {
    let _ = Invocation::begin(function.clone(), permit, terms.valid_until());
    let _ = Invocation::begin(function, permit, terms.valid_until()); //~ E0382
}

pub fn begin_when_spent(function: Arc<Function>, permit: Permit, terms: Terms) {
    let _ = permit.spend(terms.valid_until());
    let _ = Invocation::begin(function, permit, terms.valid_until()); //~ E0382
}

pub fn begin_on_terms(function: Arc<Function>, terms: Terms) {
    let _ = Invocation::begin(function, terms.clone(), terms.valid_until()); //~ E0308
}

pub async fn run_twice(
    invocation: Invocation,
    outbound: (Outbound, Outbound),
    patience: Patience,
    witness: &mut dyn Witness,
) {
    drop(invocation.go(outbound.0, patience, witness).await);
    drop(invocation.go(outbound.1, patience, witness).await); //~ E0382
}
