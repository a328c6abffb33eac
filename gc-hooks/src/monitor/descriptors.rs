//! The descriptors that came with the birth of the monitor's process.
//!
//! Owns the one unsafe thing of the monitor: closing what nobody in this process has opened. Called
//! once, before the program's own code has run. Invariant: standard input, output and error stay open.
//! Deliberately absent: what is done with those three.

#![allow(unsafe_code)]

use std::fs;

/// Standard input, output and error.
const STANDARD: i32 = 3;

/// Closes everything but the standard three, so that the monitor keeps no file, socket or lock of the
/// process it watches. Where the system does not say what is open, nothing is closed.
pub(super) fn close_inherited() {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return;
    };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // All are known before the first is closed; the list itself is closed by then.
    let numbers: Vec<i32> = numbers.filter(|number| *number >= STANDARD).collect();
    for number in numbers {
        if fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok() {
            // SAFETY: the descriptor is open and no value of this process owns it: no code of the
            // program has run yet, and the list of descriptors is closed.
            unsafe { rustix::io::close(number) };
        }
    }
}
