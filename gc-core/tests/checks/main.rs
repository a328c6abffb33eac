//! Every check that gc-core states fires from an injected fault, is reported with what it knows,
//! and is contained: the heap goes on serving, live objects are intact, the accounts balance.
#![allow(unsafe_code)]

mod blind;
mod classes;
mod cycles;
mod fields;
mod gates;
mod generations;
mod objects;
mod origins;
mod pointers;
mod quarantine;
mod sites;
mod spans;
mod stores;
mod support;
mod types;
