//! One order, one call: whatever comes back.

use std::io::{Read, Write};
use std::sync::Arc;

use otadeck::domain::method::MethodCall;
use otadeck::hub::Service;
use otadeck::hub::error::Delivery;
use serde_json::json;

use super::support::program::{Emulator, Home};
use super::support::server::{Reaction, Request, Server, Upstream};
use super::support::{id, permit, with_port};

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
        (redirect(307), Delivery::Unknown),
        (redirect(308), Delivery::Unknown),
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
        // A library's documentation is no help to an operator.
        assert!(!error.to_string().contains("://"), "{reaction:?}: {error}");
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

/// A proxy of the test's own before a real emulator: it passes everything on,
/// method calls too, and answers those in its own way.
async fn proxy(emulator: &Emulator, instead: Reaction) -> Server {
    let hub = Upstream::of(emulator);
    Server::start(move |request: Request| {
        let (hub, instead) = (hub.clone(), instead.clone());
        async move {
            let answer = hub.pass(&request).await;
            match request.is_method_call() {
                true => instead,
                false => answer,
            }
        }
    })
    .await
}

/// The whole program, with a hub and a device that did get the order: never more
/// than one method call, and what became of it is read from the twin.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_calls_once_and_finds_out_from_the_twin() {
    let emulator = Emulator::start(&["--devices", "1"]);
    let location = format!("https://localhost:{}/", emulator.ready["httpsPort"]);
    let redirect = Reaction::Answer(307, vec![("location".into(), location)], vec![]);
    for instead in [
        redirect,
        Reaction::json(503, "{}"),
        Reaction::Cut,
        Reaction::Torn,
    ] {
        let proxy = proxy(&emulator, instead.clone()).await;
        let home = Home::new()
            .env(
                "OTADECK_CONNECTION_STRING",
                &with_port(&emulator.service(), proxy.addr.port()),
            )
            .env("OTADECK_CA_FILE", proxy.ca.path().to_str().unwrap());
        let ended = home.run(&["update", "sim-0001", "--uri", "https://x.test/fw", "--json"]);
        let names = ended.names();
        assert_eq!(ended.code, 0, "{instead:?} {ended:?}");
        assert!(names.contains(&"update.state".to_owned()), "{names:?}");
        let calls = proxy
            .requests()
            .iter()
            .filter(|r| r.is_method_call())
            .count();
        assert_eq!(calls, 1, "{instead:?}");
    }
}

/// A proxy that wants a sign-in is told apart from a hub that is not there.
#[test]
fn a_proxy_that_refuses_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heads = std::thread::spawn(move || {
        let mut heads = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            let mut head = [0; 4_096];
            let n = stream.read(&mut head).unwrap();
            if n == 0 {
                return heads;
            }
            heads.push(String::from_utf8_lossy(&head[..n]).into_owned());
            let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).unwrap();
        }
        heads
    });
    let home = Home::new()
        .env(
            "OTADECK_CONNECTION_STRING",
            "HostName=hub.invalid;SharedAccessKeyName=s;SharedAccessKey=AAEC",
        )
        .env("HTTPS_PROXY", &format!("http://{address}"));
    let ended = home.run(&["devices"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("proxy"), "{}", ended.stderr);
    // The end of the thread: a connection without a word.
    drop(std::net::TcpStream::connect(address).unwrap());
    let heads = heads.join().unwrap();
    assert!(heads[0].starts_with("CONNECT hub.invalid:443"), "{heads:?}");
}
