//! A dependency that the entry calls into, by another name.

pub fn poke(at: &u8) -> u8 {
    // Reached: the entry calls `poke` as `nudge`.
    unsafe { *(at as *const u8) }
}

pub fn unused(at: &u8) -> u8 {
    // Not reached: nobody names `unused`.
    unsafe { *(at as *const u8) }
}
