//! What a function is to the mesh: a name, limits, an input schema and the targets where it runs.

use crate::{
    backend::Backend,
    bind::{InputSchema, protobuf::Method},
    cost::Price,
    dispatch::{Dispatch, Health, Measured},
};
use policy::{permit::TargetIndex, question::FunctionName};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tower::retry::budget::TpsBudget;

/// A function that can be called.
#[derive(Debug)]
pub struct Function {
    /// Name.
    pub name: FunctionName,
    /// The app that it belongs to.
    pub app: Arc<str>,
    /// Tenant, for quota, cache and log keys.
    pub tenant: Option<Arc<str>>,
    /// Schema of the input object; `None` when the body is opaque.
    pub input: Option<Arc<InputSchema>>,
    /// Its messages, when it is a method of gRPC whose descriptions are known.
    pub method: Option<Method>,
    /// Longest time from admission to the end of a unary answer, or to the head of a streamed one.
    pub timeout: Duration,
    /// Largest request body, in bytes.
    pub request_bytes_max: u64,
    /// Largest answer that is buffered, in bytes.
    pub response_bytes_max: u64,
    /// Most calls that run at once.
    pub concurrency_max: usize,
    /// May be repeated without further effect.
    pub idempotent: bool,
    /// Where it runs, in order of preference.
    pub targets: Vec<Target>,
    /// How calls are spread over its targets.
    pub dispatch: Dispatch,
    /// What may be sent again although it may have had an effect. Kept across reloads.
    pub retries: Arc<TpsBudget>,
}

impl Function {
    /// The target of that place.
    #[must_use]
    pub fn target(&self, index: TargetIndex) -> Option<&Target> {
        self.targets.get(usize::from(index.0)).filter(|target| target.index == index)
    }
}

/// One place where a function runs.
#[derive(Debug)]
pub struct Target {
    /// Place in the list, as policy names it.
    pub index: TargetIndex,
    /// Region, if declared.
    pub region: Option<Arc<str>>,
    /// How it is run there.
    pub backend: Backend,
    /// How often the lot falls on it, against the others' weights. With 0 it is asked only when others fail.
    pub weight: u32,
    /// The memory that a run is billed for, in MiB, where the backend does not say so.
    pub memory_mib: Option<u32>,
    /// What a run costs there.
    pub price: Option<Arc<Price>>,
    /// Whether it works. Kept across reloads.
    pub health: Arc<Health>,
    /// Its speed and price. Kept across reloads.
    pub measured: Arc<Measured>,
}

/// All functions of one moment.
#[derive(Debug, Default)]
pub struct Catalog {
    functions: HashMap<FunctionName, Arc<Function>>,
}

impl Catalog {
    /// A catalog of these functions; a later one of the same name replaces an earlier.
    pub fn new(functions: impl IntoIterator<Item = Function>) -> Self {
        Self { functions: functions.into_iter().map(|f| (f.name.clone(), Arc::new(f))).collect() }
    }

    /// The function of that name.
    #[must_use]
    pub fn get(&self, name: &FunctionName) -> Option<&Arc<Function>> {
        self.functions.get(name)
    }

    /// Every function, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Function>> {
        self.functions.values()
    }
}
