//! `Box` on the system's allocator, freed by hand.

fn main() {
    peers::main::<peers::boxed::Boxed>();
}
