//! Pure readers: bytes in, facts out. Nothing here opens a file or knows where one lies.

pub mod certificate;
