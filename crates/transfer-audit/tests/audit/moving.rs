//! Volumes that change while they are looked at, and services that do not answer.

use crate::bench::{Bench, kinds};
use simulator::Service;
use simulator::faults::{Action, Fault, Rule};
use std::time::Duration;

/// How long a test may wait for what has to come about: no test gets near it.
const SOON: Duration = Duration::from_secs(30);

fn fault(bench: &Bench, action: Action, template: &str, standing: bool) -> Fault {
    let rule = Rule::on(Service::Barbican, action).method("GET").template(template);
    bench.simulator.faults().add(if standing { rule.standing() } else { rule })
}

#[tokio::test]
async fn a_key_that_moves_on_while_it_is_looked_at_is_not_gone() {
    let bench = Bench::new().await;
    let old = bench.secret("donor", [1; 32]).await;
    let volume = bench.volume("donor", &old, 0).await;
    let audit = bench.audit_by(&["donor"]).await;
    let held = fault(&bench, Action::HoldBefore, "/v1/secrets/{id}", false);
    let moves = async {
        held.reached().await;
        let new = bench.secret("donor", [1; 32]).await;
        let set = format!("UPDATE volumes SET encryption_key_id = '{new}'");
        bench.sql(&format!("{set} WHERE id = '{volume}'")).await;
        bench.delete("donor", &old).await;
        held.release();
    };
    let both = async { tokio::join!(bench.run(&audit), moves) };
    let ((summary, findings), ()) = tokio::time::timeout(SOON, both).await.unwrap();
    assert_eq!(findings, []);
    assert!(summary.is_clean());
}

#[tokio::test]
async fn what_is_not_answered_is_asked_again_and_else_counted_and_never_fine() {
    for (standing, unanswered) in [(false, 0), (true, 1)] {
        let bench = Bench::new().await;
        let key = bench.secret("donor", [1; 32]).await;
        bench.volume("donor", &key, 1).await;
        let audit = bench.audit_by(&["donor"]).await;
        let unavailable = Action::Answer { status: 503, retry_after: None };
        fault(&bench, unavailable, "/v1/secrets/{id}", standing);
        let (summary, findings) = bench.run(&audit).await;
        assert_eq!(kinds(&findings), [""; 0]);
        assert_eq!(summary.unanswered, unanswered);
        assert_eq!(summary.is_clean(), !standing);
    }
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_is_renewed() {
    let bench = Bench::new().await;
    let key = bench.secret("donor", [1; 32]).await;
    bench.volume("donor", &key, 1).await;
    let audit = bench.audit_by(&["donor"]).await;
    fault(&bench, Action::Answer { status: 401, retry_after: None }, "/v1/secrets/{id}", false);
    let (summary, findings) = bench.run(&audit).await;
    assert_eq!((findings.len(), summary.unanswered, summary.not_visible), (0, 0, 0));
}

#[tokio::test]
async fn memory_is_asked_of_the_database_page_by_page_and_all_volumes_are_seen() {
    let bench = Bench::new().await;
    for byte in 0..10 {
        let key = bench.secret("donor", [byte; 32]).await;
        bench.volume("donor", &key, u32::from(byte % 2)).await;
    }
    let (summary, findings) = bench.run(&bench.audit_by(&["donor"]).await).await;
    assert_eq!((summary.volumes, summary.keys, findings.len()), (10, 10, 0));
}
