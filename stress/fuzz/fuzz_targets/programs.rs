//! Bytes are the decisions of a program that breaks nothing; a heap that answers it wrongly is a finding.
//!
//! The trace of a finding is written where the fuzzer runs, for `gc-stress replay` and `shrink`; the fuzzer keeps the bytes.
#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(finding) = stress::search::fuzz(bytes, Path::new(".")) {
        panic!("{finding}");
    }
});
