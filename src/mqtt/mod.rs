//! One guarded MQTT 3.1.1 link that serves both ends: the emulator's
//! ([`ServerLink`]) and the simulated device's ([`ClientLink`]).
//!
//! The protocol itself is the crate `mqtt-protocol-core`, which does no I/O.
//! [`Link`] gives it a stream, timers and a guard, and hands out plain values
//! ([`Incoming`]) so that neither room depends on the crate's packet types.
//!
//! ```text
//!            server                                       client
//!  Incoming::Connect ◄── CONNECT ──────────────────── connect(&Connect)
//!  accept(..) / refuse(..) ─── CONNACK ──────► Incoming::ConnectAck
//!  Incoming::Subscribe ◄── SUBSCRIBE ──────────────── subscribe(..)
//!  suback(..) ──────────────── SUBACK ───────► Incoming::SubscribeAck
//!  Incoming::Publish ◄──── PUBLISH (QoS 0, 1) ──────► Incoming::Publish
//!              PUBACK, PINGREQ and PINGRESP are the link's own business
//!  LinkError::… from `next()`: gone, silent, said goodbye, or broke the rules
//! ```
//!
//! # Use
//!
//! Call [`Link::next`] in a loop, for example as a branch of `select!` (it is
//! cancel-safe). Everything to be sent is queued by a plain method (`publish`,
//! `suback`, …) and leaves at the next call of `next()` or [`Link::flush`]. A
//! link ends with the first `Err` of `next()`; drop it, or [`Link::close`] it
//! to say goodbye properly.
//!
//! ```
//! use otadeck::mqtt::{ClientLink, Connect, Incoming, Limits, Qos, ReturnCode, ServerLink};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), otadeck::mqtt::LinkError> {
//! let (near, far) = tokio::io::duplex(1024);
//! let mut client = ClientLink::client(near, Limits::default());
//! let mut server = ServerLink::server(far, Limits::default());
//!
//! client.connect(&Connect::new("dev01"))?;
//! client.flush().await?;
//! let Incoming::Connect(connect) = server.next().await? else { unreachable!() };
//! assert_eq!(connect.client_id, "dev01");
//! server.accept(false)?;
//! server.publish("$iothub/methods/POST/ping/?$rid=1", b"null", Qos::AtMostOnce)?;
//! server.flush().await?;
//!
//! let Incoming::ConnectAck { code, .. } = client.next().await? else { unreachable!() };
//! assert_eq!(code, ReturnCode::Accepted);
//! let Incoming::Publish(publish) = client.next().await? else { unreachable!() };
//! assert_eq!(publish.payload, "null");
//! # Ok(()) }
//! ```
//!
//! # The guard
//!
//! `mqtt-protocol-core` 0.7.9 panics on a QoS 1 or 2 PUBLISH with packet id 0
//! when it answers by itself, and on a repeated QoS 2 one with id 0 even when
//! it does not; it hands over packets that come before CONNECT, and reports
//! some violations without asking for the connection's end. So the link
//!
//! * keeps the crate's automatic PUBACK off and builds it itself;
//! * looks at each packet before the crate gets the next byte;
//! * ends on QoS 2 (IoT Hub closes the connection as well), on a packet id 0,
//!   and on any error that the crate reports;
//! * takes nothing before CONNECT (server) or CONNACK (client), and reads
//!   nothing more until the server has answered the CONNECT.
//!
//! Topics and filters are handed over as they come: they may be empty or hold
//! `#`, `+` and NUL. Who uses them must match them whole.

mod client;
#[cfg(test)]
mod fuzz;
mod guard;
mod link;
mod packet;
mod server;
#[cfg(test)]
mod tests;

pub use client::ClientLink;
pub use link::{Limits, Link, LinkError};
pub use packet::{Connect, Incoming, PacketId, Publish, Qos, ReturnCode, Will};
pub use server::ServerLink;
