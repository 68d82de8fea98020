//! README.md and tests/cmd/*.md, run as they stand.
//!
//! `TRYCMD=overwrite cargo test --test cli` writes what the program prints now.

#[test]
fn the_console_blocks_say_what_the_program_says() {
    trycmd::TestCases::new()
        .env("LC_ALL", "C.UTF-8")
        .env("NO_COLOR", "1")
        .case("README.md")
        .case("tests/cmd/*.md");
}
