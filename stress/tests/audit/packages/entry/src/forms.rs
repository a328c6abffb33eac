//! Each form of unsafe code, once reached and once not.

pub struct Shared(*const u8);

// Reached with its type.
unsafe impl Send for Shared {}

pub struct Lonely(*const u8);

// Not reached: nobody makes a `Lonely`.
unsafe impl Send for Lonely {}

// Reached with the function that asks for it.
pub unsafe trait Zeroed {}

unsafe extern "C" {
    fn getpid() -> i32;
}

unsafe fn read(at: *const u8) -> u8 {
    unsafe { *at }
}

unsafe fn never(at: *const u8) -> u8 {
    unsafe { *at }
}

fn ask<T: Zeroed>(_: Option<T>) {}

unsafe impl Zeroed for u8 {}

pub fn sum(byte: &u8) -> u8 {
    let shared = Shared(byte);
    ask::<u8>(None);
    let pid = unsafe { getpid() };
    unsafe { read(shared.0) }.wrapping_add(pid as u8)
}

#[unsafe(no_mangle)]
pub extern "C" fn exported(at: *const u8) -> u8 {
    // Reached: whoever links the program can call it.
    unsafe { *at }
}
