use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, duplex,
};
use tokio::time::Instant;

use super::*;

const CONNECT: &[u8] = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x00\x00\x03dev";
const CONNACK: &[u8] = b"\x20\x02\x00\x00";

fn pair() -> (ClientLink<DuplexStream>, ServerLink<DuplexStream>) {
    let (near, far) = duplex(64 * 1024);
    (
        ClientLink::client(near, Limits::default()),
        ServerLink::server(far, Limits::default()),
    )
}

async fn opened(keep_alive: u16) -> (ClientLink<DuplexStream>, ServerLink<DuplexStream>) {
    let (mut client, mut server) = pair();
    let connect = Connect {
        keep_alive,
        ..Connect::new("dev01")
    };
    client.connect(&connect).unwrap();
    client.flush().await.unwrap();
    assert_eq!(server.next().await.unwrap(), Incoming::Connect(connect));
    server.accept(true).unwrap();
    server.flush().await.unwrap();
    let ack = Incoming::ConnectAck {
        session_present: true,
        code: ReturnCode::Accepted,
    };
    assert_eq!(client.next().await.unwrap(), ack);
    (client, server)
}

/// A server that gets `bytes` and then the end; what it hands out is answered
/// as a hub would. Gives the reason of the end.
async fn fed(bytes: &[u8]) -> (Vec<Incoming>, LinkError, Vec<u8>) {
    let (mut near, far) = duplex(1 << 20);
    near.write_all(bytes).await.unwrap();
    near.shutdown().await.unwrap();
    let mut server = ServerLink::server(far, Limits::default());
    let (seen, end) = attend(&mut server).await;
    server.close().await;
    drop(server);
    let mut answers = Vec::new();
    near.read_to_end(&mut answers).await.unwrap();
    (seen, end, answers)
}

/// Takes what comes and answers it as a hub would, to the end; gives its reason.
pub(super) async fn attend<S>(server: &mut ServerLink<S>) -> (Vec<Incoming>, LinkError)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut seen = Vec::new();
    loop {
        let incoming = match server.next().await {
            Ok(incoming) => incoming,
            Err(end) => return (seen, end),
        };
        match &incoming {
            Incoming::Connect(_) => server.accept(false).unwrap(),
            Incoming::Subscribe { id, filters } => {
                server.suback(*id, &vec![None; filters.len()]).unwrap();
            }
            Incoming::Unsubscribe { id, .. } => server.unsuback(*id).unwrap(),
            _ => {}
        }
        seen.push(incoming);
    }
}

/// A client that has sent its CONNECT and gets `bytes` and then the end.
async fn told(bytes: &[u8]) -> LinkError {
    let (near, mut far) = duplex(1 << 20);
    far.write_all(bytes).await.unwrap();
    far.shutdown().await.unwrap();
    let mut client = ClientLink::client(near, Limits::default());
    client.connect(&Connect::new("dev")).unwrap();
    loop {
        match client.next().await {
            Err(end) => return end,
            Ok(Incoming::ConnectAck {
                code: ReturnCode::Accepted,
                ..
            }) => {
                client.subscribe(&[("a/#", Qos::AtMostOnce)]).unwrap();
                client.publish("a/b", b"x", Qos::AtLeastOnce).unwrap();
            }
            Ok(_) => {}
        }
    }
}

#[tokio::test]
async fn a_whole_conversation() {
    let (mut client, mut server) = opened(60).await;
    let id = client
        .subscribe(&[("a/#", Qos::AtLeastOnce), ("b/#", Qos::AtMostOnce)])
        .unwrap();
    client.flush().await.unwrap();
    let filters = vec![
        ("a/#".to_owned(), Qos::AtLeastOnce),
        ("b/#".to_owned(), Qos::AtMostOnce),
    ];
    assert_eq!(
        server.next().await.unwrap(),
        Incoming::Subscribe { id, filters }
    );
    server.suback(id, &[Some(Qos::AtLeastOnce), None]).unwrap();
    server.publish("a/x", b"down", Qos::AtMostOnce).unwrap();
    server.flush().await.unwrap();
    let granted = vec![Some(Qos::AtLeastOnce), None];
    assert_eq!(
        client.next().await.unwrap(),
        Incoming::SubscribeAck { id, granted }
    );
    let publish = |topic: &str, payload: &'static [u8], qos| {
        Incoming::Publish(Publish {
            topic: topic.to_owned(),
            payload: Bytes::from_static(payload),
            qos,
            retain: false,
        })
    };
    assert_eq!(
        client.next().await.unwrap(),
        publish("a/x", b"down", Qos::AtMostOnce)
    );

    let id = client.publish("c", b"up", Qos::AtLeastOnce).unwrap();
    client.flush().await.unwrap();
    assert_eq!(
        server.next().await.unwrap(),
        publish("c", b"up", Qos::AtLeastOnce)
    );
    server.flush().await.unwrap();
    assert_eq!(
        client.next().await.unwrap(),
        Incoming::PublishAck { id: id.unwrap() }
    );

    let id = client.unsubscribe(&["a/#"]).unwrap();
    client.flush().await.unwrap();
    let filters = vec!["a/#".to_owned()];
    assert_eq!(
        server.next().await.unwrap(),
        Incoming::Unsubscribe { id, filters }
    );
    server.unsuback(id).unwrap();
    server.flush().await.unwrap();
    assert_eq!(
        client.next().await.unwrap(),
        Incoming::UnsubscribeAck { id }
    );

    client.disconnect().unwrap();
    client.close().await;
    assert!(matches!(server.next().await, Err(LinkError::Disconnected)));
    assert!(matches!(server.next().await, Err(LinkError::Closed)));
}

#[tokio::test]
async fn all_that_a_connect_says_arrives_and_the_password_is_not_shown() {
    let (mut client, mut server) = pair();
    let connect = Connect {
        client_id: "dev01".to_owned(),
        user_name: Some("hub/dev01/?api-version=2021-04-12".to_owned()),
        password: Some(b"SharedAccessSignature sig=secret".to_vec()),
        clean_session: true,
        keep_alive: 240,
        will: Some(Will {
            topic: "devices/dev01/messages/events/".to_owned(),
            payload: Bytes::from_static(b"gone"),
            qos: Qos::AtLeastOnce,
            retain: true,
        }),
    };
    client.connect(&connect).unwrap();
    client.flush().await.unwrap();
    let Incoming::Connect(got) = server.next().await.unwrap() else {
        panic!("no CONNECT");
    };
    assert_eq!(got, connect);
    assert!(!format!("{got:?}").contains("secret"));
}

#[tokio::test]
async fn a_refusal_arrives_and_ends_both_ends() {
    let (mut client, mut server) = pair();
    client.connect(&Connect::new("dev01")).unwrap();
    client.flush().await.unwrap();
    server.next().await.unwrap();
    server.refuse(ReturnCode::NotAuthorized).unwrap();
    assert!(matches!(server.next().await, Err(LinkError::Refused)));
    let refused = Incoming::ConnectAck {
        session_present: false,
        code: ReturnCode::NotAuthorized,
    };
    assert_eq!(client.next().await.unwrap(), refused);
    assert!(matches!(client.next().await, Err(LinkError::Closed)));
}

#[tokio::test]
async fn what_follows_a_connect_at_once_waits_for_its_answer() {
    let subscribe = b"\x82\x06\x00\x07\x00\x01a\x01";
    let publish = b"\x32\x06\x00\x01t\x00\x09!";
    let bytes = [CONNECT, subscribe, publish].concat();
    let (seen, end, answers) = fed(&bytes).await;
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(matches!(end, LinkError::Closed));
    let want = [CONNACK, b"\x90\x03\x00\x07\x80", b"\x40\x02\x00\x09"].concat();
    assert_eq!(answers, want);
}

#[rstest::rstest]
#[case::publish_before_connect(b"", b"\x30\x04\x00\x01t!", "while Opening")]
#[case::ping_before_connect(b"", b"\xc0\x00", "while Opening")]
#[case::connack_from_a_client(b"", b"\x20\x02\x00\x00", "ProtocolError")]
#[case::second_connect(CONNECT, CONNECT, "ProtocolError")]
#[case::qos_1_with_id_0(CONNECT, b"\x32\x05\x00\x01t\x00\x00", "packet id 0")]
#[case::qos_2_with_id_0(
    CONNECT,
    b"\x34\x05\x00\x01t\x00\x00\x34\x05\x00\x01t\x00\x00",
    "QoS 2"
)]
#[case::qos_2(CONNECT, b"\x34\x05\x00\x01t\x00\x01", "QoS 2")]
#[case::a_wildcard(CONNECT, b"\x30\x05\x00\x03t/#", "wildcard")]
#[case::qos_3(CONNECT, b"\x36\x05\x00\x01t\x00\x01", "MalformedPacket")]
#[case::subscribe_with_id_0(CONNECT, b"\x82\x06\x00\x00\x00\x01a\x01", "packet id 0")]
#[case::unsubscribe_with_id_0(CONNECT, b"\xa2\x05\x00\x00\x00\x01a", "packet id 0")]
#[case::pubrel(CONNECT, b"\x62\x02\x00\x01", "not taken")]
#[case::unknown_puback(CONNECT, b"\x40\x02\x00\x01", "ProtocolError")]
#[case::half_a_gigabyte(CONNECT, b"\x30\xff\xff\xff\x7f", "PacketTooLarge")]
#[case::level_3(b"", b"\x10\x0f\x00\x04MQTT\x03\x02\x00\x00\x00\x03dev", "Unsupported")]
#[tokio::test]
async fn broken_rules_end_the_link(#[case] before: &[u8], #[case] bytes: &[u8], #[case] why: &str) {
    let (_, end, _) = fed(&[before, bytes].concat()).await;
    assert!(matches!(end, LinkError::Protocol(_)), "{end:?}");
    assert!(end.to_string().contains(why), "{end}");
}

#[tokio::test]
async fn another_protocol_level_is_refused_with_its_code() {
    let (_, _, answers) = fed(b"\x10\x0f\x00\x04MQTT\x03\x02\x00\x00\x00\x03dev").await;
    assert_eq!(answers, b"\x20\x02\x00\x01");
}

#[rstest::rstest]
#[case::publish_before_connack(b"\x30\x04\x00\x01t!".to_vec())]
#[case::qos_1_with_id_0([CONNACK, b"\x32\x05\x00\x01t\x00\x00"].concat())]
#[case::qos_2_twice([CONNACK, b"\x34\x05\x00\x01t\x00\x00\x34\x05\x00\x01t\x00\x00"].concat())]
#[case::a_ping([CONNACK, b"\xc0\x00"].concat())]
#[case::too_large([CONNACK, b"\x30\xff\xff\xff\x7f"].concat())]
#[tokio::test]
async fn a_client_guards_itself_too(#[case] bytes: Vec<u8>) {
    let end = told(&bytes).await;
    assert!(matches!(end, LinkError::Protocol(_)), "{end:?}");
}

#[tokio::test]
async fn nothing_goes_out_of_turn() {
    let (mut client, mut server) = pair();
    assert!(matches!(
        client.publish("t", b"", Qos::AtMostOnce),
        Err(LinkError::Unsendable(_))
    ));
    assert!(matches!(
        server.accept(false),
        Err(LinkError::Unsendable(_))
    ));
    client.connect(&Connect::new("dev")).unwrap();
    assert!(client.connect(&Connect::new("dev")).is_err());
    let (mut client, mut server) = opened(0).await;
    assert!(server.suback(1, &[]).is_err());
    assert!(server.suback(0, &[None]).is_err());
    assert!(server.unsuback(0).is_err());
    assert!(client.subscribe(&[]).is_err());
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_left() {
    let (_client, mut server) = opened(0).await;
    let payload = vec![b'x'; 200 * 1024];
    let end = loop {
        if let Err(end) = server.publish("t", &payload, Qos::AtMostOnce) {
            break end;
        }
    };
    assert!(matches!(end, LinkError::Overflow(n) if n > 1024 * 1024));
    assert!(matches!(server.next().await, Err(LinkError::Overflow(_))));
}

#[tokio::test]
async fn large_packets_pass_in_small_pieces() {
    let (mut client, mut server) = opened(0).await;
    let payload: Vec<u8> = (0..200_000u32).map(|n| n.to_le_bytes()[0]).collect();
    client.publish("t", &payload, Qos::AtMostOnce).unwrap();
    let (sent, got) = tokio::join!(client.flush(), server.next());
    sent.unwrap();
    assert!(matches!(got, Ok(Incoming::Publish(publish)) if publish.payload == payload));
}

#[tokio::test]
async fn next_may_be_dropped_at_any_time() {
    let (mut near, far) = duplex(1024);
    let mut server = ServerLink::server(far, Limits::default());
    for byte in CONNECT {
        let early = tokio::select! {
            biased;
            early = server.next() => Some(early),
            () = tokio::task::yield_now() => None,
        };
        assert!(early.is_none());
        near.write_all(&[*byte]).await.unwrap();
    }
    assert!(matches!(server.next().await, Ok(Incoming::Connect(_))));
}

#[rstest::rstest]
#[case::none(0)]
#[case::more_than_a_hub_allows(u16::MAX)]
#[tokio::test(start_paused = true)]
async fn nobody_is_silent_for_ever(#[case] keep_alive: u16) {
    let (mut client, mut server) = opened(keep_alive).await;
    let begun = Instant::now();
    tokio::time::advance(Duration::from_secs(1_000)).await;
    // Any packet counts, and the time begins anew.
    client.publish("t", b"", Qos::AtMostOnce).unwrap();
    client.flush().await.unwrap();
    server.next().await.unwrap();
    assert!(matches!(server.next().await, Err(LinkError::KeepAlive)));
    let silence = begun.elapsed().as_secs();
    assert!((2_767..=2_768).contains(&silence), "{silence} s");
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_left_after_one_and_a_half_keep_alives() {
    let (mut near, far) = duplex(1024);
    let mut server = ServerLink::server(far, Limits::default());
    near.write_all(b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x0a\x00\x03dev")
        .await
        .unwrap();
    server.next().await.unwrap();
    server.accept(false).unwrap();
    let start = Instant::now();
    assert!(matches!(server.next().await, Err(LinkError::KeepAlive)));
    assert_eq!(start.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_client_pings_by_itself_and_stays() {
    let (mut client, mut server) = opened(10).await;
    let hour = tokio::time::sleep(Duration::from_secs(3600));
    tokio::select! {
        end = client.next() => panic!("{end:?}"),
        end = server.next() => panic!("{end:?}"),
        () = hour => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_leaves_a_server_that_answers_no_ping() {
    let (mut client, _server) = opened(10).await;
    let start = Instant::now();
    assert!(matches!(client.next().await, Err(LinkError::KeepAlive)));
    assert_eq!(start.elapsed().as_secs(), 30);
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

/// Packets of every kind, some with the ids that bite.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(any::<u8>(), 0..12);
    let packet = (any::<u8>(), body).prop_map(|(head, body)| {
        let mut packet = vec![head, u8::try_from(body.len()).unwrap()];
        packet.extend(body);
        packet
    });
    let publish = (
        prop::sample::select(vec![0x30u8, 0x32, 0x34, 0x3a, 0x3c]),
        0u8..2,
    )
        .prop_map(|(head, id)| vec![head, 5, 0, 1, b't', 0, id]);
    let subscribe = (0u8..2).prop_map(|id| vec![0x82, 6, 0, id, 0, 1, b'a', 1]);
    let ack = (4u8..8, 0u8..3).prop_map(|(kind, id)| vec![kind << 4 | 2, 2, 0, id]);
    let known = prop::sample::select(vec![CONNECT.to_vec(), CONNACK.to_vec(), vec![0xc0, 0]]);
    let any = prop_oneof![packet, publish, subscribe, ack, known];
    prop::collection::vec(any, 0..20).prop_map(|packets| packets.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_make_a_link_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        run(fed(&bytes));
        run(fed(&[CONNECT, &bytes].concat()));
        run(told(&bytes));
        run(told(&[CONNACK, &bytes].concat()));
    }

    #[test]
    fn no_packets_make_a_link_panic(bytes in packets()) {
        run(fed(&bytes));
        run(fed(&[CONNECT, &bytes].concat()));
        run(told(&bytes));
        run(told(&[CONNACK, &bytes].concat()));
    }
}
