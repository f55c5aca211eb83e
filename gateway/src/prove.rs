//! Proofs about policies by an SMT solver: Cedar's symbolic compiler, and cvc5 in processes of its own.
//!
//! The solver is an optional program, found through `$CVC5` or on the `PATH`. It is bounded in time, and whatever
//! goes wrong with it is "unknown", which nobody takes for a proof.

use cedar_policy_symcc::{
    CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env,
    err::{Error, Result},
    solver::LocalSolver,
};
use policy::review::{Claim, Model, Proof, Prover, What};
use std::{
    env,
    path::PathBuf,
    process,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The variable that names the solver.
const VARIABLE: &str = "CVC5";
/// Most solver processes at once.
const WORKERS_MAX: usize = 4;
/// Stack of a thread that compiles policies: terms are deeper than the policies that they are made of.
const STACK_BYTES: usize = 64 << 20;
/// How long the solver may take beyond its own limit before it is ended.
const GRACE: Duration = Duration::from_secs(2);

/// How long proofs may take.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// One claim.
    pub claim: Duration,
    /// All of them.
    pub all: Duration,
}

/// A solver that was found and answers.
#[derive(Debug)]
pub struct Solver {
    program: PathBuf,
    version: String,
    time: Time,
    until: Instant,
}

impl Solver {
    /// Finds it. Its time begins now.
    ///
    /// # Errors
    /// In words, when there is none.
    pub fn find(time: Time) -> std::result::Result<Self, String> {
        Self::at(env::var_os(VARIABLE).map_or_else(|| "cvc5".into(), PathBuf::from), time)
    }

    /// Takes this program. Its time begins now.
    ///
    /// # Errors
    /// In words, when it does not answer.
    pub fn at(program: PathBuf, time: Time) -> std::result::Result<Self, String> {
        let shown = program.display();
        let told = process::Command::new(&program).arg("--version").stdin(process::Stdio::null()).output();
        let told = told.map_err(|error| {
            format!("no solver: `{shown}` can't be started ({error}); install cvc5, or name it in `{VARIABLE}`")
        })?;
        let text = String::from_utf8_lossy(&told.stdout);
        let version = text.split_whitespace().skip_while(|word| *word != "version").nth(1).unwrap_or_default();
        if !told.status.success() || version.is_empty() {
            return Err(format!("no solver: `{shown} --version` does not answer like cvc5"));
        }
        let version = format!("cvc5 {version}");
        Ok(Self { program, version, time, until: Instant::now() + time.all })
    }

    /// Answers claims until there are none left. What ends a solver process starts a new one.
    fn work(&self, claims: &[Claim], next: &AtomicUsize, proofs: &Mutex<Vec<Option<Proof>>>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        let mut compiler: Option<CedarSymCompiler<LocalSolver>> = None;
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(claim) = claims.get(place) else { break };
            let proof = runtime.block_on(self.answer(claim, &mut compiler));
            if let Some(slot) = proofs.lock().unwrap_or_else(PoisonError::into_inner).get_mut(place) {
                *slot = Some(proof);
            }
        }
        if let Some(mut compiler) = compiler {
            // A process that is gone already needs no end.
            let _ = runtime.block_on(compiler.solver_mut().clean_up());
        }
    }

    async fn answer(&self, claim: &Claim, compiler: &mut Option<CedarSymCompiler<LocalSolver>>) -> Proof {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Proof::Unknown(format!("the time for proofs is over ({} s)", self.time.all.as_secs()));
        }
        let mut ready = match compiler.take().map_or_else(|| self.start(), Ok) {
            Ok(ready) => ready,
            Err(error) => return Proof::Unknown(format!("the solver can't be started: {error}")),
        };
        let limit = (self.time.claim + GRACE).min(left);
        match tokio::time::timeout(limit, ask(&mut ready, claim)).await {
            Ok(Ok(found)) => {
                *compiler = Some(ready);
                found.map_or(Proof::Holds, |env| {
                    Proof::Fails(Box::new(Model { request: env.request, entities: env.entities }))
                })
            }
            // After an error nobody knows what the process still has to say.
            Ok(Err(error)) => {
                let _ = ready.solver_mut().clean_up().await;
                Proof::Unknown(words(&error))
            }
            Err(_) => {
                let _ = ready.solver_mut().clean_up().await;
                Proof::Unknown(format!("the solver did not answer within {} s", limit.as_secs()))
            }
        }
    }

    fn start(&self) -> std::result::Result<CedarSymCompiler<LocalSolver>, String> {
        let mut command = tokio::process::Command::new(&self.program);
        let limit = format!("--tlimit-per={}", self.time.claim.as_millis());
        command.args(["--lang", "smt", &limit]).kill_on_drop(true);
        let solver = LocalSolver::from_command(&mut command).map_err(|error| error.to_string())?;
        CedarSymCompiler::new(solver).map_err(|error| error.to_string())
    }
}

impl Prover for Solver {
    fn prove(&self, claims: &[Claim]) -> Vec<Proof> {
        let proofs: Mutex<Vec<Option<Proof>>> = Mutex::new(vec![None; claims.len()]);
        let next = AtomicUsize::new(0);
        let workers = thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX).min(claims.len());
        thread::scope(|scope| {
            for worker in 0..workers {
                let work = || self.work(claims, &next, &proofs);
                // Without a further thread the others do its part; without any, all claims stay open.
                let _ = thread::Builder::new()
                    .name(format!("prove-{worker}"))
                    .stack_size(STACK_BYTES)
                    .spawn_scoped(scope, work);
            }
        });
        let proofs = proofs.into_inner().unwrap_or_else(PoisonError::into_inner);
        let open = || Proof::Unknown("nothing answered the claim".to_owned());
        proofs.into_iter().map(|proof| proof.unwrap_or_else(open)).collect()
    }

    fn name(&self) -> Option<String> {
        Some(self.version.clone())
    }
}

async fn ask(compiler: &mut CedarSymCompiler<LocalSolver>, claim: &Claim) -> Result<Option<Env>> {
    let (setting, schema) = (&claim.setting, claim.schema.as_ref());
    match &claim.what {
        What::Implies(sides) => {
            let (narrow, wide) = sides.as_ref();
            let narrow = CompiledPolicySet::compile(narrow, setting, schema)?;
            let wide = CompiledPolicySet::compile(wide, setting, schema)?;
            compiler.check_implies_with_counterexample_opt(&narrow, &wide).await
        }
        What::NeverFails(policy) => {
            let policy = CompiledPolicy::compile(policy, setting, schema)?;
            compiler.check_never_errors_with_counterexample_opt(&policy).await
        }
        What::NeverHolds(policy) => {
            let policy = CompiledPolicy::compile(policy, setting, schema)?;
            compiler.check_never_matches_with_counterexample_opt(&policy).await
        }
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::SolverUnknown => "the solver gave up".to_owned(),
        Error::PolicyNotWellTyped { .. } => "a policy does not fit the words of this setting".to_owned(),
        other => {
            let text = other.to_string();
            text.lines().next().unwrap_or_default().chars().take(WORDS_CHARS_MAX).collect()
        }
    }
}

/// Longest text of a solver's error that is repeated.
const WORDS_CHARS_MAX: usize = 200;
