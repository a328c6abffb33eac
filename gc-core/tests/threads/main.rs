//! The heap under several threads: mutators that come, go, block, panic and race, collector threads
//! beside them, and a process that forks. Everything goes through the public interface. Nothing here
//! waits for time to pass: threads meet at channels and barriers, or look until a condition holds.
#![allow(unsafe_code)]

mod callbacks;
mod churn;
mod ends;
mod faults;
mod fork;
mod graph;
mod handles;
mod hooks;
mod lifecycle;
mod limits;
mod stalls;
mod support;
mod weak;
