//! A module whose file stands somewhere else under another name.

pub fn moved(at: &u8) -> u8 {
    unsafe { *(at as *const u8) }
}
