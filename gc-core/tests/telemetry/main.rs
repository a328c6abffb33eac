//! What a heap tells the world of itself, read as its readers do.
#![allow(unsafe_code)]

mod exposition;
mod facade;
mod heapsnapshot;
mod lines;
mod profile;
mod prometheus;
mod snapshot;
mod support;
mod trace;
