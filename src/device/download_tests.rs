use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::tls;
use super::*;

#[rstest::rstest]
#[case("https://hub.test/packages/fw.bin", true)]
#[case("https://HUB.test:8443/packages/a/b?x=1", true)]
#[case("http://localhost:1/packages/fw.bin", true)]
#[case("http://127.9.9.9/packages/fw.bin", true)]
#[case("http://[::1]:1/packages/fw.bin", true)]
#[case("https://hub.test/other/fw.bin", false)]
#[case("https://hub.test/packages", false)]
#[case("https://hub.test/x/../../packages/fw.bin", true)]
#[case("https://hub.test.evil.test/packages/fw.bin", false)]
#[case("https://evil.test/packages/fw.bin", false)]
#[case("https://hub.test@evil.test/packages/fw.bin", false)]
#[case("https://localhost.evil.test/packages/fw.bin", false)]
#[case("file:///packages/fw.bin", false)]
#[case("hub.test/packages/fw.bin", false)]
#[case("", false)]
fn only_the_emulators_packages_are_really_fetched(#[case] uri: &str, #[case] want: bool) {
    assert_eq!(is_own_package(uri, "hub.test"), want);
}

/// Serves `answer` to one request and gives the URI.
async fn serve(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/packages/fw.bin", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 2048];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
        let _ = stream.read(&mut request).await;
    });
    uri
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n").into_bytes();
    answer.extend_from_slice(body);
    answer
}

async fn downloaded(uri: &str, least: Duration) -> (Vec<f64>, Result<(), String>) {
    let (tell, mut told) = mpsc::channel(64);
    let client = client(&tls::test_config()).unwrap();
    tokio::spawn(run(client, uri.to_owned(), least, tell));
    let mut percents = Vec::new();
    loop {
        match told.recv().await.unwrap() {
            Progress::Percent(percent) => percents.push(percent),
            Progress::Done(result) => return (percents, result),
        }
    }
}

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[rstest::rstest]
#[case::right(&format!("200 OK\r\ncontent-length: 3\r\nx-package-sha256: {ABC}"), b"abc", Ok(()))]
#[case::capitals(&format!("200 OK\r\ncontent-length: 3\r\nX-Package-Sha256: {}", ABC.to_uppercase()), b"abc", Ok(()))]
#[case::no_hash("200 OK\r\ncontent-length: 3", b"abc", Ok(()))]
#[case::wrong_hash(&format!("200 OK\r\ncontent-length: 3\r\nx-package-sha256: {ABC}"), b"abd", Err("SHA-256 is a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9"))]
#[case::cut_short("200 OK\r\ncontent-length: 4", b"abc", Err("the download broke"))]
#[case::forbidden("403 Forbidden\r\ncontent-length: 0", b"", Err("403 Forbidden"))]
#[case::moved(
    "302 Found\r\nlocation: /x\r\ncontent-length: 0",
    b"",
    Err("302 Found")
)]
#[tokio::test]
async fn size_hash_and_status_are_checked(
    #[case] head: &str,
    #[case] body: &[u8],
    #[case] want: Result<(), &str>,
) {
    let uri = serve(answer(head, body)).await;
    let (_, got) = downloaded(&uri, Duration::ZERO).await;
    match (&got, want) {
        (Ok(()), Ok(())) => {}
        (Err(got), Err(want)) => assert!(got.contains(want), "{got}"),
        _ => panic!("{got:?} instead of {want:?}"),
    }
}

#[test]
fn an_announced_size_is_held_against_what_came() {
    assert_eq!(
        checked(Some(4), 3, None, ""),
        Err("the package has 3 bytes, 4 were announced".to_owned())
    );
}

#[tokio::test]
async fn nobody_there_is_said_without_the_uri() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!(
        "http://{}/packages/a?sig=s3cret",
        listener.local_addr().unwrap()
    );
    drop(listener);
    let (_, got) = downloaded(&uri, Duration::ZERO).await;
    let reason = got.unwrap_err();
    assert!(reason.starts_with("no connection to the package server"));
    assert!(!reason.contains("s3cret"), "{reason}");
}

#[tokio::test]
async fn a_download_lasts_as_long_as_the_scenario_says_and_tells_how_far_it_is() {
    let body = vec![7; 300_000];
    let head = format!("200 OK\r\ncontent-length: {}", body.len());
    let uri = serve(answer(&head, &body)).await;
    let begin = Instant::now();
    let (percents, result) = downloaded(&uri, Duration::from_millis(900)).await;
    assert_eq!(result, Ok(()));
    assert!(begin.elapsed() >= Duration::from_millis(900));
    assert!((2..=4).contains(&percents.len()), "{percents:?}");
    assert!(percents.is_sorted() && percents.iter().all(|p| (0.0..=100.0).contains(p)));
}
