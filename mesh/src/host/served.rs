//! An instance that is a server: waited for until it listens, then asked, with as many calls at once as it may have.

use crate::host::{
    exchange::{Exchange, Freed, Slots},
    instance::{End, Instance, Place, told},
    pool::Pool,
    port::{self, Holder},
    recipe::Address,
    seat::{Phase, Seat},
    usage::{Started, Usage},
    way::{Look, Server, Way},
    work::{Turn, Work},
};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    net::{TcpStream, UnixStream},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

/// Between two looks whether an instance listens; each further one is half as long again.
const LOOK_MIN: Duration = Duration::from_millis(2);

/// Longest time between two such looks.
const LOOK_MAX: Duration = Duration::from_millis(25);

/// Calls of an instance that has ended are told of it within this time.
const TELL_MAX: Duration = Duration::from_secs(1);

/// The instance.
pub(super) struct Served {
    instance: Instance,
    address: Address,
    server: Server,
    slots: Slots,
    calls: JoinSet<()>,
    /// Calls that run, and room that the pool knows of.
    busy: usize,
    offered: usize,
    /// How long it took to be ready.
    start: Option<Started>,
}

impl Served {
    /// Starts it.
    pub(super) async fn launch(pool: &Arc<Pool>, serial: u64) -> io::Result<Self> {
        let place = match (&pool.recipe.way, pool.recipe.port) {
            (Way::Fn(_), _) => Place::Socket,
            (_, Some(port)) if port::is_free(port) => Place::At(Address::Port(port)),
            (_, Some(port)) => {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("somebody listens on port {port}")));
            }
            (_, None) => Place::At(Address::Port(port::free()?)),
        };
        let (instance, address) = Instance::launch(pool, serial, place).await?;
        let server = Server::new(&pool.recipe, &address).map_err(io::Error::other)?;
        let slots = Slots::new((pool.recipe.calls_max == 1).then(|| instance.current.clone()));
        Ok(Self { instance, address, server, slots, calls: JoinSet::new(), busy: 0, offered: 0, start: None })
    }

    /// Its life, to the end.
    pub(super) async fn live(mut self, seat: &mut Seat) {
        let pool = seat.pool.clone();
        if let Err(reason) = self.ready(pool.recipe.start_timeout).await {
            return self.instance.failed(&reason).await;
        }
        self.start = Some(Started::now(self.instance.launched));
        seat.set(Phase::Free);
        let end = self.serve(seat, &pool).await;
        pool.leave_idle(&self.instance.hand);
        while let Some(work) = self.instance.hand.left() {
            pool.give_back(work);
        }
        // What runs learns why; what does not end by itself is cut with the connections.
        self.slots.ended(match end {
            End::Ended => self.instance.how_it_ended(),
            End::Stuck | End::Unneeded => "its instance was ended".to_owned(),
        });
        seat.set(Phase::Free);
        self.instance.finish(end).await;
        let _ = timeout(TELL_MAX, async { while self.calls.join_next().await.is_some() {} }).await;
    }

    /// Waits until it can take calls.
    async fn ready(&mut self, limit: Duration) -> Result<(), String> {
        let deadline = Instant::now() + limit;
        let listens = async {
            let mut pause = LOOK_MIN;
            loop {
                if listens(&self.address).await {
                    match self.server.look().await {
                        Look::NotYet => {}
                        other => return other,
                    }
                }
                sleep(pause).await;
                pause = (pause * 3 / 2).min(LOOK_MAX);
            }
        };
        tokio::select! {
            biased;
            () = self.instance.group.ended() => {
                return Err(format!("{} before it took calls", self.instance.how_it_ended()));
            }
            look = listens => match look {
                Look::Unusable(words) => return Err(words),
                Look::Ready | Look::NotYet => {}
            },
            () = sleep_until(deadline) => return Err(format!("it took no calls within {limit:?}")),
            () = told(&mut self.instance.stopping) => return Err("the gateway is shutting down".to_owned()),
        }
        self.is_itself().await
    }

    /// Calls go to the instance and nobody else: a port is anybody's who is first.
    async fn is_itself(&self) -> Result<(), String> {
        let Address::Port(port) = self.address else { return Ok(()) };
        let group = self.instance.group.pid();
        let holder = tokio::task::spawn_blocking(move || port::holder(port, group)).await;
        match holder.unwrap_or(Holder::Unknown) {
            Holder::Group | Holder::Unknown => Ok(()),
            Holder::Other => Err(format!("another program listens on its port {port}")),
        }
    }

    async fn serve(&mut self, seat: &mut Seat, pool: &Arc<Pool>) -> End {
        let mut leaving = None;
        loop {
            while leaving.is_none() && self.busy + self.offered < pool.recipe.calls_max {
                match pool.turn(&self.instance.hand) {
                    Turn::Work(work) => {
                        if !self.begin(*work, pool) {
                            return End::Ended;
                        }
                    }
                    Turn::Wait => self.offered += 1,
                    Turn::Stop => leaving = Some(End::Unneeded),
                }
            }
            seat.set(if self.busy > 0 { Phase::Busy } else { Phase::Free });
            if let Some(end) = leaving.filter(|_| self.busy == 0) {
                return end;
            }
            let idle_end = Instant::now() + pool.recipe.idle_timeout;
            tokio::select! {
                biased;
                () = self.instance.group.ended() => return End::Ended,
                freed = self.slots.freed() => {
                    self.busy -= 1;
                    if freed == Freed::Unfit || self.server.is_spent() {
                        leaving = Some(End::Stuck);
                    }
                }
                Some(_) = self.calls.join_next() => {}
                work = self.instance.hand.given() => {
                    self.offered -= 1;
                    if !self.begin(work, pool) {
                        return End::Ended;
                    }
                }
                () = sleep_until(idle_end), if self.busy == 0 => {
                    if pool.may_leave(&self.instance.hand) {
                        leaving = Some(End::Unneeded);
                    }
                }
                () = told(&mut self.instance.stopping) => return End::Unneeded,
                () = told(&mut self.instance.closing), if leaving.is_none() => leaving = Some(End::Unneeded),
            }
            if leaving.is_some() && self.offered > 0 {
                self.withdraw(pool, leaving);
            }
        }
    }

    /// Gives no more room; a call that was given in this very moment still runs here if it may.
    fn withdraw(&mut self, pool: &Arc<Pool>, leaving: Option<End>) {
        pool.leave_idle(&self.instance.hand);
        self.offered = 0;
        while let Some(work) = self.instance.hand.left() {
            match leaving {
                Some(End::Unneeded) => drop(self.begin(work, pool)),
                Some(End::Ended | End::Stuck) | None => pool.give_back(work),
            }
        }
    }

    /// Begins with a call; `false` if the instance has ended meanwhile: then another one gets it.
    fn begin(&mut self, work: Work, pool: &Arc<Pool>) -> bool {
        if self.instance.group.has_ended() {
            pool.give_back(work);
            return false;
        }
        self.busy += 1;
        let init = self.start.and_then(|start| start.awaited_since(work.expected));
        let usage = Usage::begin(init, &pool.recipe, self.instance.memory.clone(), work.reporting.clone());
        let exchange =
            Exchange { server: self.server.clone(), slot: self.slots.take(&work, usage), pool: pool.clone() };
        self.calls.spawn(exchange.run(work));
        true
    }
}

/// Whether something listens there.
async fn listens(address: &Address) -> bool {
    match address {
        Address::Port(port) => TcpStream::connect(("127.0.0.1", *port)).await.is_ok(),
        Address::Api(address) => TcpStream::connect(address).await.is_ok(),
        Address::Socket(path) => UnixStream::connect(path).await.is_ok(),
    }
}
