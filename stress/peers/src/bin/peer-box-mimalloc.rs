//! `Box` on mimalloc, freed by hand.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    peers::main::<peers::boxed::Boxed>();
}
