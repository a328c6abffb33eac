//! Modules that take all names of each other, and aliases of aliases: names that lead around in rings.

mod a {
    pub use super::b::*;
    pub use super::c::*;
    pub use super::d::*;
}

mod b {
    pub use super::a::*;
    pub use super::c::*;
    pub use super::d::*;
}

mod c {
    pub use super::a::*;
    pub use super::b::*;
    pub use super::d::*;
}

mod d {
    pub use super::a::*;
    pub use super::b::*;
    pub use super::c::*;

    pub fn at_the_end(at: &u8) -> u8 {
        unsafe { *(at as *const u8) }
    }
}

struct Real;

type First = Real;
type Second = First;

impl Real {
    fn behind_aliases(at: &u8) -> u8 {
        unsafe { *(at as *const u8) }
    }
}

pub fn start(at: &u8) -> u8 {
    use a::*;
    at_the_end(at) + Second::behind_aliases(at)
}
