//! What an engine counts: how operations end, what becomes of payments, what recovery does.

use crate::bench::{SOON, caller, options};
use crate::scene::{Ask, Scene};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use simulator::faults::Action;
use std::time::Duration;
use transfer_core::Operation;
use transfer_engine::{Options, TransferError};

const FORBIDDEN: Action = Action::Answer { status: 403, retry_after: None };

/// The counters that stand at something, in the order of their names.
fn counted(handle: &PrometheusHandle) -> Vec<String> {
    let rendered = handle.render();
    let counters = rendered.lines().filter_map(|line| line.strip_prefix("volume_transfer_"));
    let mut counted: Vec<String> = counters
        .filter(|line| line.contains("_total") && !line.starts_with("peer_"))
        .filter(|line| !line.ends_with(" 0"))
        .map(|line| line.replace('"', "").replace("_total", ""))
        .collect();
    counted.sort();
    counted
}

#[tokio::test]
async fn operations_payments_and_passes_are_counted_by_how_they_end() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let scene =
        Scene::with(Operation::Cancel, Options { lease: Duration::ZERO, ..options() }).await;
    let bench = &scene.bench;
    let _guard = metrics::set_default_local_recorder(&recorder);
    // A driver that is taken over, and leaves its shell as a debt that is refused, then unknown,
    // then paid.
    let held = scene.fault(Ask::Fill, Action::HoldBefore);
    let recovery = async {
        held.reached().await;
        assert_eq!(bench.another_engine(options()).recover().await.unwrap().taken_over, 1);
        held.release();
    };
    let failed = crate::bench::together(scene.run(), recovery).await;
    assert!(matches!(failed, Err(TransferError::TakenOver)), "{failed:?}");
    for action in [Some(FORBIDDEN), Some(Action::DropBefore), None] {
        action.map(|action| scene.fault(Ask::Clear, action));
        let engine = bench.another_engine(options());
        engine.pay_debts_of(caller(&bench.simulator, "x", "donor").await).await;
        assert!(engine.shut_down(SOON).await);
        let away = engine.cancel(bench.x.clone(), "t".into()).await;
        assert!(matches!(away, Err(TransferError::ShuttingDown)), "{away:?}");
    }
    bench.store.close().await;
    bench.another_engine(options()).recover().await.unwrap_err();
    let expected = [
        "debt_payments{outcome=paid} 1",
        "debt_payments{outcome=refused} 1",
        "debt_payments{outcome=unknown} 1",
        "operations{operation=cancel,outcome=shutting_down} 3",
        "operations{operation=cancel,outcome=taken_over} 1",
        "recovered 1",
        "recovery_passes{outcome=done} 1",
        "recovery_passes{outcome=failed} 1",
    ];
    assert_eq!(counted(&handle), expected);
}
