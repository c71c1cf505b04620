//! One order, one call: whatever comes back.

use std::sync::Arc;

use otadeck::domain::method::MethodCall;
use otadeck::hub::Service;
use otadeck::hub::error::Delivery;
use serde_json::json;

use super::support::server::{Reaction, Server};
use super::support::{id, permit};

fn call() -> MethodCall {
    MethodCall {
        device: id("press-7"),
        method: "firmwareUpdate".into(),
        payload: json!({"fwPackageUri": "https://x.test/fw"}),
        response_timeout: 5,
        connect_timeout: 0,
    }
}

/// The client alone makes one request, follows no redirect and knows whether
/// the order may have arrived.
#[tokio::test]
async fn the_client_calls_once() {
    let elsewhere = Arc::new(
        Server::start(|_| std::future::ready(Reaction::json(200, json!({"status": 200})))).await,
    );
    let location = format!("https://localhost:{}/", elsewhere.addr.port());
    let redirect =
        |status| Reaction::Answer(status, vec![("location".into(), location.clone())], vec![]);
    let cases = [
        (redirect(307), Delivery::No),
        (redirect(308), Delivery::No),
        (Reaction::json(503, "{}"), Delivery::Unknown),
        (Reaction::json(500, "<html>"), Delivery::Unknown),
        (Reaction::json(429, "{}"), Delivery::No),
        (Reaction::json(200, "<html>"), Delivery::Unknown),
        (Reaction::Cut, Delivery::Unknown),
        (Reaction::Torn, Delivery::Unknown),
    ];
    for (reaction, delivery) in cases {
        let answer = reaction.clone();
        let server = Server::start(move |_| std::future::ready(answer.clone())).await;
        let client = server.client();
        let error = client.invoke(permit(call()).await).await.unwrap_err();
        assert_eq!(error.delivery(), delivery, "{reaction:?}: {error}");
        assert_eq!(server.requests().len(), 1, "{reaction:?}");
        // Also on a connection that is kept from an earlier call.
        let _ = client.twin(&id("press-7")).await;
        let _ = client.invoke(permit(call()).await).await;
        let calls = server
            .requests()
            .iter()
            .filter(|r| r.is_method_call())
            .count();
        assert_eq!(calls, 2, "{reaction:?}");
    }
    assert_eq!(elsewhere.requests().len(), 0, "no redirect is followed");
}
