//! A dependency that is reached through a method of its trait alone.

pub trait Sound {
    fn sound(&self) -> u8;

    fn silence(&self) -> u8;
}

pub struct Bell(u8);

pub fn bell() -> Bell {
    Bell(7)
}

impl Sound for Bell {
    fn sound(&self) -> u8 {
        // Reached: the entry makes a bell and calls `sound` on what it has.
        unsafe { *(&raw const self.0) }
    }

    fn silence(&self) -> u8 {
        // Not reached: nobody calls `silence`.
        unsafe { *(&raw const self.0) }
    }
}

pub struct Drum(u8);

impl Drum {
    pub fn sound(&self) -> u8 {
        // Not reached: nobody makes or names a drum.
        unsafe { *(&raw const self.0) }
    }
}
