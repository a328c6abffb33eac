//! The durable record through real files and real processes.
//!
//! Where a process has to end, a test runs itself again in a child process, with a variable set that
//! names the record and makes it do the deed.

mod creating;
mod failing;
mod forked;
mod killed;
mod malformed;
mod reading;
mod support;
