//! What `#[trace(...)]` does not take.

use gc_core::Trace;

#[derive(Trace)]
#[trace(leave)]
struct Misspelt(u32);

#[derive(Trace)]
#[trace(leaf, drop)]
struct Undecided(u32);

#[derive(Trace)]
#[trace]
struct Bare(u32);

#[derive(Trace)]
#[trace()]
struct Empty(u32);

#[derive(Trace)]
struct Fields {
    #[trace(skip)]
    unknown: u32,
    #[trace(drop)]
    misplaced: u32,
    #[trace(leaf)]
    #[trace(leaf)]
    repeated: u32,
    #[trace(leaf = true)]
    valued: u32,
}

#[derive(Trace)]
enum Variants {
    #[trace(leaf)]
    One(u32),
}

fn main() {}
