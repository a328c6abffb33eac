//! What a heap tells the world of itself, read as its readers do.

mod exposition;
mod prometheus;
mod support;
