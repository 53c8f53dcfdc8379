//! The services on sockets: what a client of HTTP sees of faults, and how serving ends.

use simulator::Service::{Barbican, Keystone};
use simulator::faults::{Action, Rule};
use simulator::server::Running;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::cloud::Cloud;

/// Sends a request over a connection of its own and reads until the other side closes it.
async fn exchange(url: &str, head: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{head}\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.unwrap();
    String::from_utf8(reply).unwrap()
}

#[tokio::test]
async fn the_services_are_found_where_the_catalogue_says() {
    let cloud = Cloud::new();
    let running = Running::on_loopback(&cloud.simulator).await.unwrap();
    let urls = running.urls().clone();
    assert_eq!(cloud.simulator.urls(), urls);
    let reply = exchange(&urls.key_manager, "GET / HTTP/1.1").await;
    assert!(reply.starts_with("HTTP/1.1 300 Multiple Choices\r\n"), "{reply}");
    assert!(reply.contains(&format!("{}/v1/", urls.key_manager)));
    let reply = exchange(&urls.identity, "GET /v3 HTTP/1.1").await;
    assert!(reply.contains(&format!("{}/v3/", urls.identity)), "{reply}");
    running.stop().await;
}

#[tokio::test]
async fn a_broken_connection_is_closed_without_a_byte() {
    let cloud = Cloud::new();
    let running = Running::on_loopback(&cloud.simulator).await.unwrap();
    for action in [Action::DropBefore, Action::DropAfter] {
        cloud.simulator.faults().add(Rule::on(Barbican, action));
        assert_eq!(exchange(&running.urls().key_manager, "GET / HTTP/1.1").await, "");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_cut_reply_ends_before_its_announced_length() {
    let cloud = Cloud::new();
    let running = Running::on_loopback(&cloud.simulator).await.unwrap();
    let whole = exchange(&running.urls().identity, "GET /v3 HTTP/1.1").await;
    cloud.simulator.faults().add(Rule::on(Keystone, Action::Cut));
    let cut = exchange(&running.urls().identity, "GET /v3 HTTP/1.1").await;
    let length = |reply: &str| {
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let announced = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        (announced.unwrap().parse::<usize>().unwrap(), body.len())
    };
    let (announced, sent) = length(&whole);
    assert_eq!(announced, sent);
    assert_eq!(length(&cut), (announced, announced / 2));
    running.stop().await;
}

#[tokio::test]
async fn stopping_waits_for_a_request_in_progress() {
    let cloud = Cloud::new();
    let running = Running::on_loopback(&cloud.simulator).await.unwrap();
    let url = running.urls().identity.clone();
    let fault = cloud.simulator.faults().add(Rule::on(Keystone, Action::HoldAfter));
    let caller = tokio::spawn(async move { exchange(&url, "GET /v3 HTTP/1.1").await });
    fault.reached().await;
    let stopping = tokio::spawn(running.stop());
    tokio::task::yield_now().await;
    assert!(!stopping.is_finished());
    fault.release();
    stopping.await.unwrap();
    assert!(caller.await.unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let cloud = Cloud::new();
    let running = Running::on_loopback(&cloud.simulator).await.unwrap();
    let url = running.urls().identity.clone();
    let fault = cloud.simulator.faults().add(Rule::on(Keystone, Action::HoldAfter));
    let caller = tokio::spawn(async move { exchange(&url, "GET /v3 HTTP/1.1").await });
    fault.reached().await;
    tokio::time::pause();
    running.stop().await;
    assert_eq!(caller.await.unwrap(), "");
}
