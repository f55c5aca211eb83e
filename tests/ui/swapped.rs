//! A stage takes what the stage before it made: none can be swapped, left out or taken twice.

use gateway::{
    admit, ask, authorize,
    call::{Admitted, Arrived, Asked, Identified, Metered, Permitted, Routed},
    identify::pass as identify,
    invoke,
    meter::Meter,
    route,
    server::Gateway,
    trail::Trail,
};

pub async fn identify_before_route(meter: &Meter, arrived: Arrived) {
    let _ = identify::pass(arrived, meter.buffered()).await; //~ E0308
}

pub fn meter_before_identify(meter: &Meter, routed: Routed) {
    let _ = meter.pass(routed); //~ E0308
}

pub async fn ask_without_meter(meter: &Meter, identified: Identified) {
    let _ = ask::pass(identified, meter.buffered()).await; //~ E0308
}

pub fn authorize_without_ask(gateway: &Gateway, metered: Metered) {
    let _ = authorize::pass(metered, &gateway.judge); //~ E0308
}

pub async fn admit_without_authorize(asked: Asked) {
    let _ = admit::pass(asked, 1).await; //~ E0308
}

pub async fn invoke_without_admit(gateway: &Gateway, permitted: Permitted, trail: &mut Trail) {
    let _ = invoke::pass(gateway, permitted, trail).await; //~ E0308
}

pub async fn invoke_without_authorize(gateway: &Gateway, asked: Asked, trail: &mut Trail) {
    let _ = invoke::pass(gateway, asked, trail).await; //~ E0308
}

pub async fn invoke_twice(gateway: &Gateway, admitted: Admitted, trail: &mut Trail) {
    let _ = invoke::pass(gateway, admitted, trail).await;
    let _ = invoke::pass(gateway, admitted, trail).await; //~ E0382
}

pub fn route_twice(arrived: Arrived) -> [Routed; 2] {
    [route::pass(arrived), route::pass(arrived)] //~ E0382
}

pub fn make(asked: Asked) -> Permitted {
    Permitted::from(asked) //~ E0308
}
