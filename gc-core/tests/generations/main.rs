//! Heaps with generations: what young cycles free and keep, when a cycle is young, and that no driver, no number of
//! mutators and no voided cycle changes what a program sees.
//!
//! The random graphs and the limits of the threaded tests run here once more, on heaps with a small nursery: their
//! modules are those of `tests/threads`, and take their heaps from the support below.
#![allow(unsafe_code)]

#[path = "../threads/churn.rs"]
mod churn;
#[path = "../threads/graph.rs"]
mod graph;
mod kinds;
mod limits;
mod looks;
#[allow(dead_code)]
#[path = "../threads/support.rs"]
mod plain;
mod scene;
mod steps;
mod stores;
mod support;
mod threads;
mod voids;
mod weak;
#[path = "../threads/weak.rs"]
mod weak_threads;
