//! The HTTP server under clients that misbehave.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

impl Bench {
    /// A stream to the service API.
    async fn https(&self) -> TlsStream<TcpStream> {
        self.tls_to(self.emulator.https()).await
    }

    fn head(&self, line: &str, more: &str) -> String {
        let token = self.token("iothubowner");
        format!("{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n{more}\r\n")
    }
}

/// All that comes until the end.
async fn rest(stream: &mut TlsStream<TcpStream>) -> String {
    let mut all = Vec::new();
    // An end without a goodbye is one as well.
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8(all).unwrap()
}

/// All that comes up to and with `end`.
async fn until(stream: &mut TlsStream<TcpStream>, end: &str) -> String {
    let mut all = String::new();
    while !all.ends_with(end) {
        let byte = stream.read_u8().await.unwrap();
        all.push(char::from(byte));
    }
    all
}

/// Clients that hold a connection each: silent ones, and in the middle of
/// something.
async fn holders(bench: &Bench) -> Vec<TlsStream<TcpStream>> {
    let body = "Content-Length: 1000\r\n";
    let patch = bench.head("PATCH /twins/dev-0001", body);
    let read = bench.head("GET /twins/dev-0001", "");
    let beginnings = [
        String::new(),
        "GET /devices HTT".to_owned(),
        "GET /devices HTTP/1.1\r\nHost: local".to_owned(),
        format!("{patch}{{\"tags\":"),
        read,
    ];
    let mut streams = Vec::new();
    for beginning in beginnings {
        let mut stream = bench.https().await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    // The last one has its answer and rests.
    until(
        streams.last_mut().unwrap(),
        "\"capabilities\":{\"iotEdge\":false}}",
    )
    .await;
    streams
}

#[tokio::test]
async fn who_holds_connections_holds_no_shutdown() {
    let bench = Bench::start().await;
    bench.device();
    let held = holders(&bench).await;
    let Bench { emulator, .. } = bench;
    let tasks = emulator.tasks.clone();
    emulator.shutdown().await;
    assert!(tasks.is_empty(), "{} tasks go on", tasks.len());
    for mut stream in held {
        rest(&mut stream).await;
    }
}

#[tokio::test]
async fn who_says_nothing_is_let_go() {
    let bench = Bench::start().await;
    bench.device();
    let held = holders(&bench).await;
    // From here on time passes by itself while everybody waits.
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let mut answers = Vec::new();
    for mut stream in held {
        answers.push(rest(&mut stream).await);
    }
    let waited = begun.elapsed();
    assert!(waited <= Duration::from_secs(125), "{waited:?}");
    assert_eq!(answers[0], "", "no word");
    assert_eq!(answers[1], "", "half a line");
    assert_eq!(answers[2], "", "half a head");
    assert!(answers[3].starts_with("HTTP/1.1 408 "), "{}", answers[3]);
    assert!(answers[3].contains("iothub-errorcode: RequestTimeout"));
    assert!(answers[3].contains("connection: close"));
    assert_eq!(answers[4], "", "a rest that was too long");
}

#[tokio::test]
async fn a_body_may_be_asked_for_first() {
    let bench = Bench::start().await;
    bench.device();
    let body = r#"{"tags":{"a":1}}"#;
    let more = format!("Content-Length: {}\r\nExpect: 100-continue\r\n", body.len());
    let head = bench.head("PATCH /twins/dev-0001", &more);
    let mut stream = bench.https().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(
        until(&mut stream, "\r\n\r\n").await,
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    stream.write_all(body.as_bytes()).await.unwrap();
    let answer = until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // Who may not gets no invitation.
    let mut stream = bench.https().await;
    let head = head.replace("sig=", "sig=A");
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[tokio::test]
async fn other_versions_and_nonsense_get_no_answer_of_the_hubs() {
    let bench = Bench::start().await;
    for nonsense in [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "hello\r\n\r\n",
        "\u{1}\u{2}\r\n",
    ] {
        let mut stream = bench.https().await;
        stream.write_all(nonsense.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
    }
    let mut stream = bench.https().await;
    let large = bench.head("GET /devices", &format!("X: {}\r\n", "x".repeat(400_000)));
    // It may be cut off before all is said.
    let _ = stream.write_all(large.as_bytes()).await;
    let answer = rest(&mut stream).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
}

#[tokio::test]
async fn a_head_has_no_body_and_a_wrong_way_says_the_right_ones() {
    let bench = Bench::start().await;
    bench.device();
    for (method, path, sentence) in [
        ("HEAD", "/twins/dev-0001", ""),
        ("DELETE", "/twins/dev-0001", "only GET, PATCH and PUT there"),
        (
            "POST",
            "/devices/dev-0001",
            "only GET, PUT and DELETE there",
        ),
        ("GET", "/twins/dev-0001/methods", "only POST there"),
        ("OPTIONS", "/devices", "no OPTIONS /devices"),
        ("GET", "/", "no GET /"),
        ("POST", "/devices", "bulk registry"),
        ("GET", "/devices/dev-0001/modules", "modules"),
        ("PUT", "/devices/dev-0001/modules/m", "modules"),
        ("GET", "/twins/dev-0001/modules/m", "modules"),
        ("PUT", "/jobs/v2/job01", "scheduled jobs"),
        ("GET", "/jobs/v2/query", "scheduled jobs"),
        ("POST", "/jobs/create", "import and export jobs"),
        ("GET", "/jobs", "import and export jobs"),
        (
            "GET",
            "/configurations/fw",
            "automatic device configurations",
        ),
        (
            "POST",
            "/devices/dev-0001/applyConfigurationContent",
            "automatic device",
        ),
        ("GET", "/$iothub/websocket", "MQTT over WebSocket"),
        (
            "POST",
            "/devices/dev-0001/messages/events",
            "device messages over HTTPS",
        ),
        ("POST", "/messages/devicebound", "cloud-to-device"),
        ("GET", "/digitaltwins/dev-0001", "digital twins"),
    ] {
        let refused = bench.send(method, path, &[], None).await;
        assert_eq!(refused.status(), 400, "{method} {path}");
        let headers = refused.headers();
        assert_eq!(headers["iothub-errorcode"], "InvalidOperation");
        assert_eq!(headers["content-type"], "application/json; charset=utf-8");
        let text = refused.text().await.unwrap();
        if method == "HEAD" {
            assert_eq!(text, "");
            continue;
        }
        let body: Value = serde_json::from_str(&text).unwrap();
        let message = body["Message"].as_str().unwrap();
        assert!(
            message.starts_with("ErrorCode:InvalidOperation;"),
            "{message}"
        );
        assert!(message.contains(sentence), "{message}");
    }
}
