//! The stages in their order: this compiles.

use gateway::{
    admit, ask, authorize, call::Arrived, identify::pass as identify, invoke, meter::Meter, refusal::Refusal, route,
    server::Gateway, trail::Trail,
};

pub async fn call(gateway: &Gateway, meter: &Meter, arrived: Arrived, trail: &mut Trail) -> Result<(), Refusal> {
    let routed = route::pass(arrived);
    let identified = identify::pass(routed, meter.buffered()).await?;
    let metered = meter.pass(identified)?;
    let asked = ask::pass(metered, meter.buffered()).await?;
    let permitted = authorize::pass(asked, &gateway.judge).map_err(|(refusal, _)| refusal)?;
    let admitted = admit::pass(permitted, 1).await?;
    invoke::pass(gateway, admitted, trail).await.map(drop)
}
