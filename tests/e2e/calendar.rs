//! Business days and freezes reach policy as facts, by the calendar of the function's app.

use tests::{client::Request, latchwork, origin::Origin, project::Project, records};

const GUARDS: &str = "@id(\"business\")\n\
    forbid (principal, action == Action::\"bank.pay\", resource) unless { context.facts.clock has business_day && context.facts.clock.business_day };\n\
    @id(\"frozen\")\n\
    forbid (principal, action == Action::\"bank.pay\", resource) when { context.facts.clock has frozen && context.facts.clock.frozen };";

/// How a call of `bank.pay` is decided under a calendar: by which policies, and with which facts.
async fn decided(calendar: &str) -> String {
    let origin = Origin::start().await;
    let project = Project::new()
        .anonymous()
        .tables(&format!("{calendar}\n[app.bank]\n{}", if calendar.is_empty() { "" } else { "calendar = \"bank\"\n" }))
        .tables(&format!(
            "[function.\"bank.pay\"]\napp = \"bank\"\nroute = \"GET /pay\"\ntargets = [{{ http = {{ url = \"{}\" }} }}]\n",
            origin.url
        ))
        .policy(GUARDS)
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let answer = gateway.client().send(Request::get("/pay")).await;
    let record = &records::of_call(&project.audit(), &answer.call_id())[0];
    gateway.stop().await;
    let clock = &record["facts"]["clock"];
    format!("{} business_day {} frozen {}", record["determining"], clock["business_day"], clock["frozen"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn business_days_and_freezes_are_facts_of_the_app() {
    let calendar = |more: &str| format!("[calendar.bank]\nknown_through = \"2999-12-31\"\nweekend = []\n{more}\n");
    let freeze = "freezes = [{ from = \"2020-01-01T00:00:00Z\", until = \"2999-01-01T00:00:00Z\" }]";
    let every_day =
        "weekend = [\"monday\", \"tuesday\", \"wednesday\", \"thursday\", \"friday\", \"saturday\", \"sunday\"]";
    assert_eq!(decided(&calendar("")).await, "[\"everyone\"] business_day true frozen false");
    assert_eq!(decided(&calendar(freeze)).await, "[\"frozen\"] business_day true frozen true");
    let never = calendar("").replace("weekend = []", every_day);
    assert_eq!(decided(&never).await, "[\"business\"] business_day false frozen false");
    // Neither without a calendar nor after its end is anything guessed.
    assert_eq!(decided("").await, "[\"business\"] business_day null frozen null");
    let over = calendar(freeze).replace("2999-12-31", "2020-12-31");
    assert_eq!(decided(&over).await, "[\"business\"] business_day null frozen null");
}
