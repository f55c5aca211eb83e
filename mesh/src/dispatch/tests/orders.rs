//! Which target is the first.

use super::*;
use std::collections::BTreeMap;

#[test]
fn lots_fall_as_weights_say() {
    let mut function = function(&["http://a", "http://b", "http://c"].map(ToOwned::to_owned), false);
    function.dispatch.order = Order::Weighted;
    for (target, weight) in function.targets.iter_mut().zip([3, 1, 0]) {
        target.weight = weight;
    }
    let mut firsts = BTreeMap::<u16, u32>::new();
    for _ in 0..4_000 {
        let plan = Plan::new(&function, &every(&function));
        *firsts.entry(plan.order()[0].0).or_default() += 1;
        assert_eq!(plan.order().len(), 3);
    }
    assert!((2_800..3_200).contains(&firsts[&0]) && !firsts.contains_key(&2), "{firsts:?}");
    function.targets[0].health.learn(
        health::Sign::Throttled(Duration::from_secs(9)),
        &function.dispatch,
        Instant::now(),
    );
    assert_eq!(Plan::new(&function, &every(&function)).order(), [1, 2, 0].map(TargetIndex));
}

#[test]
fn the_fastest_and_the_cheapest_are_asked_first_and_the_others_now_and_then() {
    let mut function = function(&["http://a", "http://b"].map(ToOwned::to_owned), false);
    let price = Arc::new(crate::samples::price());
    for order in [Order::Fastest, Order::Cheapest] {
        function.dispatch.order = order;
        function.targets.iter_mut().for_each(|target| target.price = Some(price.clone()));
        let (a, b) = (&function.targets[0].measured, &function.targets[1].measured);
        for _ in 0..100 {
            a.took(Duration::from_millis(20));
            b.took(Duration::from_millis(10));
            a.costs(20);
            b.costs(10);
        }
        let mut firsts = [0; 2];
        for _ in 0..3_200 {
            let plan = Plan::new(&function, &every(&function));
            let first = usize::from(plan.order()[0].0);
            firsts[first] += 1;
            assert_eq!(plan.chosen() == Chosen::Explored, first == 0);
        }
        assert!((50..200).contains(&firsts[0]), "{order:?}: {firsts:?}");
    }
    // What runs there already counts.
    function.dispatch.order = Order::Fastest;
    let _busy = [function.targets[1].measured.runs(), function.targets[1].measured.runs()];
    let plans = (0..100).map(|_| Plan::new(&function, &every(&function)));
    assert!(plans.filter(|plan| plan.order()[0].0 == 0).count() > 80);
}
