//! What a run of the workload does to its heap, written down as operations while it does it.
//!
//! The workload tells each thing after it has done it; what the checks have said meanwhile is noted with
//! it. Objects are known by their addresses, each of which stands for the last object that was made there.
//! Used by the one thread that runs the workload; where nobody records, telling costs a look at a
//! thread-local flag.
//!
//! Invariant: everything that the heap is asked for by a recorded run is told, loads from fields and slots
//! aside, which the heap knows nothing of.

use std::cell::RefCell;
use std::collections::HashMap;

use gc_core::{AllocError, Check, Gc, Health, Object, Root, RootError, Scope};

use crate::ops::{Expected, Kind, ObjectId, Op, Program, Word, Write};

thread_local! {
    static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
}

/// See the module.
pub(crate) struct Recorder {
    health: Health,
    program: Program,
    expected: Vec<Expected>,
    objects: HashMap<usize, ObjectId>,
    last_object: ObjectId,
    mutators: u32,
    /// Violations accounted for.
    total: u64,
    counts: Vec<u64>,
    /// Several things are being told as one.
    is_quiet: bool,
}

/// Begins to record what this thread does to the heap of that health.
pub(crate) fn start(health: Health) {
    RECORDER.set(Some(Recorder {
        counts: Check::ALL
            .iter()
            .map(|check| health.count(*check))
            .collect(),
        total: health.total(),
        health,
        program: Program::default(),
        expected: Vec::new(),
        objects: HashMap::new(),
        last_object: 0,
        mutators: 0,
        is_quiet: false,
    }));
}

/// Ends a recording.
pub(crate) fn finish() -> Option<(Program, Vec<Expected>)> {
    let recorder = RECORDER.take()?;
    Some((recorder.program, recorder.expected))
}

/// Tells one operation, if somebody records.
pub(crate) fn tell(op: impl FnOnce(&mut Recorder) -> Op) {
    RECORDER.with_borrow_mut(|recorder| {
        if let Some(recorder) = recorder.as_mut().filter(|recorder| !recorder.is_quiet) {
            let op = op(recorder);
            recorder.program.ops.push(op);
            recorder.account();
        }
    });
}

/// Does several things that are told as one operation.
pub(crate) fn tell_as_one<R>(
    body: impl FnOnce() -> R,
    op: impl FnOnce(&mut Recorder, &R) -> Op,
) -> R {
    let be_quiet = |is_quiet| {
        RECORDER.with_borrow_mut(|recorder| {
            if let Some(recorder) = recorder {
                recorder.is_quiet = is_quiet;
            }
        });
    };
    be_quiet(true);
    let result = body();
    be_quiet(false);
    tell(|recorder| op(recorder, &result));
    result
}

/// The number of a new mutator.
pub(crate) fn mutator() -> u32 {
    RECORDER.with_borrow_mut(|recorder| match recorder {
        Some(recorder) => {
            recorder.mutators += 1;
            recorder.mutators - 1
        }
        None => 0,
    })
}

/// Makes a managed text.
pub(crate) fn alloc_text<'gc>(scope: Scope<'gc>, text: &str) -> Result<Gc<'gc, str>, AllocError> {
    let managed = scope.try_alloc_str(text)?;
    tell(|recorder| Op::Bytes {
        object: recorder.number(managed.address()),
        bytes: text.len() as u32,
    });
    Ok(managed)
}

/// Reads an object through its root.
pub(crate) fn get<'gc, T: Object + ?Sized>(
    scope: Scope<'gc>,
    root: &Root<T>,
) -> Result<Gc<'gc, T::At<'gc>>, RootError> {
    let object = scope.get(root)?;
    tell(|recorder| Op::Get {
        object: recorder.known(object.address()),
    });
    Ok(object)
}

/// Makes a root of an object.
pub(crate) fn root<'gc, T: Object + ?Sized>(
    scope: Scope<'gc>,
    object: Gc<'gc, T>,
) -> Root<T::At<'static>> {
    let root = scope.root(object);
    tell(|recorder| Op::Root {
        object: recorder.known(object.address()),
    });
    root
}

/// A store through the barrier into a field.
pub(crate) fn set<T: ?Sized, V: ?Sized>(holder: Gc<'_, T>, field: u32, value: Option<Gc<'_, V>>) {
    tell(|recorder| Op::Write {
        how: Write::Set,
        object: recorder.known(holder.address()),
        field,
        value: recorder.word(value.map_or(0, Gc::address)),
    });
}

/// An object with pointer fields.
pub(crate) fn object(address: usize, kind: (&str, u32, &[u32]), fields: &[(u32, usize)]) {
    tell(|recorder| {
        let kind = recorder.kind(kind.0, kind.1, kind.2);
        let fields = fields
            .iter()
            .filter(|(_, value)| *value != 0)
            .map(|(field, value)| (*field, recorder.word(*value)))
            .collect();
        Op::New {
            object: recorder.number(address),
            kind,
            fields,
        }
    });
}

impl Recorder {
    /// A number for the object that was just made at an address.
    pub(crate) fn number(&mut self, address: usize) -> ObjectId {
        self.last_object += 1;
        self.objects.insert(address, self.last_object);
        self.last_object
    }

    /// Numbers for objects that were made one after the other. Answers the first.
    pub(crate) fn numbers(&mut self, addresses: &[usize]) -> ObjectId {
        let first = self.last_object + 1;
        for address in addresses {
            self.number(*address);
        }
        first
    }

    /// The number of the object at an address; 0, which no object has, if it was never told of.
    pub(crate) fn known(&self, address: usize) -> ObjectId {
        self.objects.get(&address).copied().unwrap_or(0)
    }

    /// The address as an operand.
    pub(crate) fn word(&self, address: usize) -> Word {
        if address == 0 {
            Word::Null
        } else {
            Word::Object(self.known(address))
        }
    }

    /// The number of a kind, which is new at its first sight.
    pub(crate) fn kind(&mut self, name: &str, words: u32, pointers: &[u32]) -> u16 {
        let kinds = &mut self.program.kinds;
        let known = kinds.iter().position(|kind| kind.name == name);
        let at = known.unwrap_or_else(|| {
            kinds.push(Kind {
                name: name.to_string(),
                words,
                pointers: pointers.to_vec(),
            });
            kinds.len() - 1
        });
        at as u16
    }

    /// Notes what the checks have said since the last operation.
    fn account(&mut self) {
        if self.health.total() == self.total {
            return;
        }
        self.total = self.health.total();
        for (check, seen) in Check::ALL.iter().zip(&mut self.counts) {
            let count = self.health.count(*check);
            if count > *seen {
                self.expected.push(Expected {
                    op: self.program.ops.len() - 1,
                    check: *check,
                    count: count - *seen,
                });
                *seen = count;
            }
        }
    }
}
