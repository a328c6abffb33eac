//! Unsafe code in the arguments of macros and in their definitions.

macro_rules! peek {
    ($at:expr) => {
        unsafe { *$at }
    };
}

macro_rules! unused {
    ($at:expr) => {
        unsafe { *$at }
    };
}

pub fn sum(byte: &u8) -> u8 {
    let at: *const u8 = byte;
    assert_eq!(unsafe { *at }, *byte);
    peek!(at)
}
