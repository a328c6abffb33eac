//! Generations: what a heap does about objects that die young.

use super::{Builder, Error};

/// The smallest nursery: one span.
const NURSERY_MIN_BYTES: usize = 64 << 10;

impl Builder {
    /// Runs young cycles, which look at what was born since the last cycle and take the rest for alive, each time
    /// `nursery_bytes` were allocated, or an eighth of what lived at the last full cycle if that is more. Full cycles
    /// run as they do without, when the heap has grown by
    /// [`growth_percent`](Builder::growth_percent), and where they are asked for.
    ///
    /// Pays where most objects die young and little that is young is stored into what is old: a young cycle costs what
    /// the young that live cost. Every store of a pointer pays for it, also between cycles, with a look at the object that is
    /// stored; one that is stored anywhere while it is young lives to the next full cycle. 4 MiB are a good start.
    ///
    /// Default: none, every cycle is full.
    pub fn generational(mut self, nursery_bytes: usize) -> Self {
        self.nursery_bytes = Some(nursery_bytes);
        self
    }

    pub(super) fn check_nursery(&self) -> Result<(), Error> {
        match self.nursery_bytes {
            Some(found) if found < NURSERY_MIN_BYTES => Err(Error::Nursery {
                found,
                least: NURSERY_MIN_BYTES,
            }),
            _ => Ok(()),
        }
    }
}
