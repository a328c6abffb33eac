//! Bytes are the decisions of a program that breaks nothing; a heap that answers it wrongly is a finding.
//!
//! The trace of a finding is written where the fuzzer runs, for `gc-stress replay` and `shrink`; the fuzzer keeps the bytes.
//! With `SOFTFAIL_FUZZ_FAULT` every heap has the fault of that name, which a fuzzer that is not blind finds.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

static FAULT: LazyLock<Option<String>> =
    LazyLock::new(|| std::env::var("SOFTFAIL_FUZZ_FAULT").ok());

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(finding) = stress::search::fuzz(bytes, Path::new("."), FAULT.as_deref()) {
        panic!("{finding}");
    }
});
