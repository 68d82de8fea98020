//! Servers that misbehave on purpose, for what no real program can be made to do.
//!
//! They run inside the test on a socket that [`Node::listen`](crate::node::Node::listen) or
//! [`Node::udp`](crate::node::Node::udp) made, or on one of loopback where no lab is needed. A
//! port that refuses needs no server at all, and one that swallows packets is
//! [`Node::filter`](crate::node::Node::filter).

pub(crate) mod dns;
pub(crate) mod ntp;
pub(crate) mod tcp;
