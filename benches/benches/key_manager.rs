//! The simulator's start, and single calls of the client to it, over a socket as in a cloud.

use crate::stack::{self, PASSWORD};
use barbican_client::{Attributes, Barbican, ContentType, KeyBytes, SecretType};
use criterion::Criterion;
use openstack_http::{Limits, Tls, Wire};
use simulator::server::Running;
use simulator::{Config, Simulator};
use std::sync::Arc;

pub(crate) fn benches(criterion: &mut Criterion) {
    let runtime = stack::runtime();
    let mut group = criterion.benchmark_group("key manager");
    group.bench_function("simulator: start", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            let simulator = Simulator::new(Config::new(PASSWORD)).expect("starts");
            Running::on_loopback(&simulator).await.expect("listens").stop().await;
        });
    });
    let (server, barbican, caller) = runtime.block_on(async {
        let simulator = Simulator::new(Config::new(PASSWORD)).expect("starts");
        let server = Running::on_loopback(&simulator).await.expect("listens");
        let wire = Wire::new(&Tls::default(), Limits::default()).expect("a client");
        let url = server.urls().key_manager.parse().expect("an address");
        let caller = stack::caller(&simulator, "x", "donor").await;
        (server, Barbican::new(&url, Arc::new(wire)), caller)
    });
    let attributes = Attributes {
        secret_type: SecretType::Symmetric,
        algorithm: Some("aes".to_owned()),
        bit_length: Some(256),
        mode: None,
        expiration: None,
    };
    let token = &caller.token;
    let secret = runtime.block_on(async {
        let shell = barbican.create_shell(token, "bench", &attributes).await.expect("created");
        let key = KeyBytes::new(vec![7; 32]);
        barbican.fill(token, &shell, ContentType::OctetStream, &key).await.expect("filled");
        shell
    });
    group.bench_function("GET metadata", |bencher| {
        bencher.to_async(&runtime).iter(|| barbican.metadata(token, &secret));
    });
    group.bench_function("GET payload", |bencher| {
        bencher.to_async(&runtime).iter(|| barbican.payload(token, &secret));
    });
    group.bench_function("POST and DELETE a shell", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            let shell = barbican.create_shell(token, "bench", &attributes).await.expect("created");
            barbican.delete(token, &shell).await.expect("deleted");
        });
    });
    group.finish();
    runtime.block_on(server.stop());
}
