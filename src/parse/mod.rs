//! Pure readers: bytes in, facts out. Nothing here opens a file or knows where one lies.

pub(crate) mod base64;
pub mod der;
pub mod key;
pub mod pem;
