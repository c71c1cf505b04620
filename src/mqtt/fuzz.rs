//! Bytes that no client would send, in pieces of any size: no link panics, each
//! byte is read once and looked at once, and where the pieces end does not
//! matter.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use proptest::prelude::*;
use proptest::sample::select;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::tests::attend;
use super::*;

/// A stream that gives its pieces one a read, then its end, and swallows what
/// is written.
struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    reads: Arc<AtomicUsize>,
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if let Some(mut piece) = self.pieces.pop_front() {
            let now = piece.len().min(buffer.remaining());
            let later = piece.split_off(now);
            buffer.put_slice(&piece);
            if !later.is_empty() {
                self.pieces.push_front(later);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What came of some bytes.
struct Heard {
    seen: Vec<Incoming>,
    end: String,
    reads: usize,
    /// How often the protocol was given bytes.
    turns: usize,
}

/// A server that gets `bytes` in pieces of at most `size`, answers as a hub
/// would, and meets the end.
fn heard(bytes: &[u8], size: usize) -> Heard {
    let reads = Arc::new(AtomicUsize::new(0));
    let stream = Pieces {
        pieces: bytes.chunks(size).map(<[u8]>::to_vec).collect(),
        reads: Arc::clone(&reads),
    };
    let mut server = ServerLink::server(stream, Limits::default());
    let (seen, end) = run(attend(&mut server));
    Heard {
        seen,
        end: end.to_string(),
        reads: reads.load(Ordering::Relaxed),
        turns: server.turns,
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(future)
}

/// What must hold for any bytes, however they are cut.
fn check(bytes: &[u8], size: usize) -> Result<(), TestCaseError> {
    let whole = heard(bytes, bytes.len().max(1));
    let cut = heard(bytes, size);
    prop_assert_eq!(&cut.seen, &whole.seen);
    prop_assert_eq!(&cut.end, &whole.end);
    for (heard, size) in [(&whole, bytes.len().max(1)), (&cut, size)] {
        // A read takes 4 KB at most; one more meets the end.
        let most = bytes.len().div_ceil(size) + bytes.len() / 4_096 + 1;
        prop_assert!(heard.reads <= most, "{} reads, {most} at most", heard.reads);
        // A packet has two bytes at least, and a read may end within one.
        let most = bytes.len() / 2 + most;
        prop_assert!(heard.turns <= most, "{} turns, {most} at most", heard.turns);
    }
    Ok(())
}

fn field(text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    [&length[..], text].concat()
}

fn packet(head: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![head];
    let mut length = body.len();
    loop {
        let more = if length > 127 { 0x80 } else { 0 };
        out.push(u8::try_from(length % 128).unwrap() | more);
        length /= 128;
        if length == 0 {
            break;
        }
    }
    out.extend(body);
    out
}

fn topic() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        select(vec![
            "$iothub/twin/GET/?$rid=1",
            "$iothub/methods/POST/#",
            "a/+/#",
            "",
            "é"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
    ]
}

fn connect() -> impl Strategy<Value = Vec<u8>> {
    let parts = (any::<u8>(), any::<u16>(), topic(), topic(), topic());
    parts.prop_map(|(flags, keep_alive, client, user, password)| {
        let mut body = b"\x00\x04MQTT\x04".to_vec();
        body.push(flags);
        body.extend(keep_alive.to_be_bytes());
        for (present, text) in [
            (true, &client),
            (flags & 4 != 0, &user),
            (flags & 4 != 0, &user),
        ] {
            if present {
                body.extend(field(text));
            }
        }
        for (bit, text) in [(0x80, &user), (0x40, &password)] {
            if flags & bit != 0 {
                body.extend(field(text));
            }
        }
        packet(0x10, &body)
    })
}

/// Packets of every kind, most of them as they should be.
fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    let publish = (
        0u8..16,
        topic(),
        0u16..3,
        prop::collection::vec(any::<u8>(), 0..300),
    );
    let publish = publish.prop_map(|(flags, topic, id, payload)| {
        let mut body = field(&topic);
        if flags & 6 != 0 {
            body.extend(id.to_be_bytes());
        }
        body.extend(payload);
        packet(0x30 | flags, &body)
    });
    let filters = prop::collection::vec((topic(), 0u8..4), 0..4);
    let subscribe = (0u16..3, filters, any::<bool>()).prop_map(|(id, filters, on)| {
        let mut body = id.to_be_bytes().to_vec();
        for (filter, qos) in filters {
            body.extend(field(&filter));
            if on {
                body.push(qos);
            }
        }
        packet(if on { 0x82 } else { 0xa2 }, &body)
    });
    let other = (any::<u8>(), prop::collection::vec(any::<u8>(), 0..8))
        .prop_map(|(head, body)| packet(head, &body));
    prop_oneof![
        3 => publish,
        2 => subscribe,
        1 => connect(),
        1 => other,
        1 => Just(packet(0xc0, &[])),
    ]
}

const CONNECT: &[u8] = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x00\x00\x03dev";

fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let begins = prop_oneof![4 => Just(CONNECT.to_vec()), 1 => connect(), 1 => Just(Vec::new())];
    let packets = prop::collection::vec(any_packet(), 0..12);
    (begins, packets).prop_map(|(begin, packets)| [begin, packets.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn packets_in_any_order(bytes in conversation(), size in 1usize..64) {
        check(&bytes, size)?;
    }

    #[test]
    fn packets_with_bits_turned(
        bytes in conversation(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0u32..8), 1..4),
        size in 1usize..64,
    ) {
        let mut bytes = bytes;
        for (at, bit) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
        }
        check(&bytes, size)?;
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2_000), size in 1usize..64) {
        check(&bytes, size)?;
        check(&[CONNECT, &bytes].concat(), size)?;
    }
}

/// The largest packet, byte by byte, and a stream of the smallest.
#[test]
fn many_bytes_cost_no_more_than_their_number() {
    let payload = vec![0; 256 * 1024];
    let large = packet(0x30, &[field(b"t"), payload].concat());
    let small = packet(0xc0, &[]).repeat(100_000);
    for (bytes, packets) in [(large, 1), (small, 0)] {
        let bytes = [CONNECT, &bytes].concat();
        for size in [1, 1_000, bytes.len()] {
            check(&bytes, size).unwrap();
            assert_eq!(heard(&bytes, size).seen.len(), 1 + packets);
        }
    }
}
