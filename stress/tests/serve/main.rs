//! The service over HTTP, healthy and unhealthy, and its way out: what balancers, supervisors and
//! clients see of it.
#![cfg(feature = "serve")]

mod endpoints;
mod fleet;
mod process;
mod support;
mod way_out;
