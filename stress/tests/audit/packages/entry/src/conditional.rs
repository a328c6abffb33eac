//! Unsafe code behind conditions, which are told and not decided.

#[cfg(feature = "loud")]
fn quiet(at: *const u8) -> u8 {
    unsafe { *at }
}

#[cfg(all(unix, not(feature = "loud")))]
fn quiet(at: *const u8) -> u8 {
    unsafe { at.read() }
}

pub fn sum(byte: &u8) -> u8 {
    #[cfg(windows)]
    let _ = unsafe { std::ptr::read(byte) };
    quiet(byte)
}
