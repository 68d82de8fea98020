//! What is left of a panic: the line of our source where it happened.
//!
//! Its message stays unread. A failed slice or `unwrap` quotes what it failed on, and that may be
//! a line with a password.

use std::cell::RefCell;
use std::panic::{Location, PanicHookInfo};

use super::Unknown;

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Lets panics pass in silence, without a message on standard error; only their place is kept.
pub fn stay_silent() {
    std::panic::set_hook(Box::new(note));
}

/// Notes the place of a panic, for a hook that does more than [`stay_silent`].
pub fn note(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(spelled);
    // The thread may be past the life of its variables; then there is nobody left to ask.
    let _ = PLACE.try_with(|slot| *slot.borrow_mut() = place);
}

/// Where this thread panicked last, once the panic has been caught.
pub fn place() -> String {
    PLACE.take().unwrap_or_else(|| "at an unknown place".to_owned())
}

/// The reply of a look, and the verdict of a check, that panicked on this thread.
pub(crate) fn here() -> Unknown {
    Unknown::Crashed(place())
}

/// `src/parse/der.rs:12`; for a library its name as well, but not where the compiler found it.
fn spelled(location: &Location<'_>) -> String {
    let file = location.file();
    let start = file.rfind("/src/").and_then(|end| file[..end].rfind('/')).map_or(0, |at| at + 1);
    format!("{}:{}", &file[start..], location.line())
}

#[test]
fn only_the_place_of_a_panic_is_kept() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(note));
    let panicked = std::panic::catch_unwind(|| std::panic::panic_any("s3cret".to_owned()));
    std::panic::set_hook(before);
    assert!(panicked.is_err());
    let Unknown::Crashed(place) = here() else { panic!("not a crash") };
    assert!(place.starts_with("src/host/crash.rs:"), "{place}");
    assert_eq!(self::place(), "at an unknown place");
}
