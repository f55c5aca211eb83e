//! READ FIRST: the life of a call, one line per step. The order is in the types; this only spells it out.

use crate::{
    admit, ask,
    audit::record::Stage,
    authorize,
    call::{Arrived, Envelope},
    cors::{self, Grant},
    front::{grpc::invoke as invoke_by_name, response, soap},
    identify, invoke,
    refusal::Refusal,
    route,
    server::Gateway,
    trail::{Stopped, Trail},
    watched::Watched,
};
use http::Response;

/// Takes a call from its arrival to its answer. It never fails: a refusal is an answer.
pub async fn call(gateway: &Gateway, envelope: Envelope, arrived: Result<Arrived, Refusal>) -> Response<Watched> {
    // No call yet: browsers ask first, without any credential.
    if let Some(answer) = arrived.as_ref().ok().and_then(|arrived| cors::preflight(arrived, &envelope)) {
        return Watched::unwatched(answer);
    }
    let mut trail = match Trail::open(gateway, envelope.clone()) {
        Ok(trail) => trail,
        Err(refusal) => return Watched::unwatched(response::refused(&refusal, &envelope)),
    };
    let mut browsers = None;
    let answered = match arrived {
        Ok(arrived) => steps(gateway, arrived, &mut trail, &mut browsers).await,
        Err(refusal) => Err(Stopped::at(Stage::Front)(refusal)),
    };
    let mut response = match answered {
        Ok(answer) => answer.respond(gateway, trail).await,
        Err(stopped) => {
            let refusal = trail.stop(stopped).await;
            Watched::unwatched(response::refused(&refusal, &envelope))
        }
    };
    if let Some(grant) = browsers {
        grant.apply(response.headers_mut());
    }
    response
}

async fn steps(
    gateway: &Gateway,
    arrived: Arrived,
    trail: &mut Trail,
    browsers: &mut Option<Grant>,
) -> Result<invoke::Answered, Stopped> {
    trail.arrived(&arrived);
    let meter = gateway.meter();
    let arrived = invoke_by_name::open(arrived, meter.buffered()).await?;
    let arrived = soap::open(arrived, meter.buffered()).await?;
    let routed = route::pass(arrived);
    trail.routed(&routed)?;
    *browsers = cors::grant(routed.found.as_ref(), &routed.arrived.head.headers);
    let identified = identify::pass::pass(routed, meter.buffered()).await.map_err(|no| trail.unidentified(no))?;
    trail.identified(&identified);
    let metered = meter.pass(identified).map_err(Stopped::at(Stage::Meter))?;
    let asked = ask::pass(metered, meter.buffered()).await.map_err(Stopped::at(Stage::Ask))?;
    let permitted = authorize::pass(asked, &gateway.judge).map_err(Stopped::denied)?;
    trail.permitted(&permitted);
    let permitted = soap::pass(permitted, meter.buffered()).await.map_err(Stopped::at(Stage::Ask))?;
    trail.affordable().map_err(Stopped::at(Stage::Admit))?;
    let admitted = admit::pass(permitted, meter.limits().queue_max).await.map_err(Stopped::at(Stage::Admit))?;
    invoke::pass(gateway, admitted, trail).await.map_err(Stopped::at(Stage::Invoke))
}
