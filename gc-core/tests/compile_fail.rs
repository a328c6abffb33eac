//! What the compiler must refuse, and what it must accept.
//!
//! Each file in `ui/refused` is one way to break the rules of brands, of traced types or of
//! threads, and stands beside the message a user gets for it. Each file in `ui/accepted` is code
//! that the derive must not stand in the way of; it is compiled and run. The messages are those of
//! the toolchain the workspace is developed with; after a change of toolchain, `TRYBUILD=overwrite
//! cargo test -p gc-core --test compile_fail` writes them anew, and the difference is read before
//! it is kept.
#![cfg(not(any(loom, shuttle, softfail_asan, softfail_tsan)))]

#[test]
fn rules_are_kept_by_the_compiler() {
    // One run for both, which makes it build: some refusals come only when code is generated.
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/refused/*.rs");
    cases.pass("tests/ui/accepted/*.rs");
}
