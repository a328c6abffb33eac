//! A dependency that the entry has and does not name.

pub fn alone(at: &u8) -> u8 {
    unsafe { *(at as *const u8) }
}
