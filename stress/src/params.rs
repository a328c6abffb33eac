//! The runtime-parameter package: named values that an operator may change while the service runs.
//!
//! A handler looks a parameter up by name through the typed function that `make_func` made when
//! the package was set up, and gets a pointer to the managed parameter. The number of arguments
//! differs from type to type, and so does the word of the outgoing area that the result lands in.
//!
//! The oracle's half stands beside it: what each parameter holds, kept outside the heap. Invariant:
//! parameters, their names and the fallbacks live as long as the package, so a word that a lookup
//! leaves behind on a stack never becomes stale; texts, which do die, are never on a stack.

use std::cell::Cell;
use std::rc::Rc;

use gc_core::{Edge, Gc, Root, RootError, Scope, Trace};

use crate::audit::Audit;
use crate::error::Error;
use crate::hash::content_hash;
use crate::recorder;
use crate::reflect::{Func, Running, Value, make_func};
use crate::rng::Rng;

/// Parameters of each type, the fallback not counted.
const PARAMETERS_PER_SORT: usize = 8;

/// A managed parameter.
#[derive(Trace)]
pub(crate) struct Parameter<'gc> {
    id: u64,
    content: Content<'gc>,
}

/// What recordings call the type: its name, its words, and which of these are pointers.
const PARAMETER: (&str, u32, &[u32]) = ("Parameter", 3, &[TEXT]);
const TEXT: u32 = 1;

/// Changes what a parameter holds.
fn change<'gc>(
    parameter: Gc<'gc, Parameter<'gc>>,
    scope: Scope<'gc>,
    rng: &mut Rng,
) -> Result<(), Error> {
    parameter.content.change(scope, rng)?;
    if let Content::Text(text) = &parameter.content {
        recorder::set(parameter, TEXT, text.get());
    }
    Ok(())
}

/// What a parameter holds.
#[derive(Trace)]
enum Content<'gc> {
    Text(Edge<'gc, str>),
    Integer(Cell<i64>),
    Switch(Cell<bool>),
    Milliseconds(Cell<u64>),
}

impl<'gc> Content<'gc> {
    /// An empty content of a sort.
    fn of(sort: Sort) -> Self {
        match sort {
            Sort::Text => Content::Text(Edge::none()),
            Sort::Integer => Content::Integer(Cell::new(0)),
            Sort::Switch => Content::Switch(Cell::new(false)),
            Sort::Duration => Content::Milliseconds(Cell::new(0)),
        }
    }

    /// Changes what is held.
    fn change(&self, scope: Scope<'gc>, rng: &mut Rng) -> Result<(), Error> {
        match self {
            Content::Text(edge) => {
                edge.set(scope, recorder::alloc_text(scope, &rng.text(4..=40))?);
            }
            Content::Integer(cell) => cell.set(rng.next_u64() as i64),
            Content::Switch(cell) => cell.set(rng.one_in(2)),
            Content::Milliseconds(cell) => cell.set(rng.below(60_000)),
        }
        Ok(())
    }

    fn hash(&self) -> u64 {
        match self {
            Content::Text(edge) => edge.get().map_or(0, |text| content_hash(text.as_bytes())),
            Content::Integer(cell) => content_hash(&cell.get().to_le_bytes()),
            Content::Switch(cell) => content_hash(&[u8::from(cell.get())]),
            Content::Milliseconds(cell) => content_hash(&cell.get().to_le_bytes()),
        }
    }
}

/// The types of parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sort {
    Text,
    Integer,
    Switch,
    Duration,
}

impl Sort {
    const ALL: [Sort; 4] = [Sort::Text, Sort::Integer, Sort::Switch, Sort::Duration];

    /// Arguments of the lookup: the name, then as many fallbacks as fill the rest.
    const fn arguments(self) -> usize {
        match self {
            Sort::Switch => 1,
            Sort::Integer => 2,
            Sort::Duration => 3,
            Sort::Text => 4,
        }
    }
}

/// One parameter, and what the oracle knows of it.
struct Entry {
    name: String,
    object: Root<Parameter<'static>>,
    id: u64,
    hash: Cell<u64>,
}

/// All parameters of one type.
struct Table {
    /// Searched by name. The last one is the fallback.
    entries: Rc<Vec<Entry>>,
    /// The managed name of each entry, which handlers ask with.
    names: Vec<Root<str>>,
    lookup: Func,
}

/// The package.
pub(crate) struct Params {
    tables: Vec<Table>,
}

impl Params {
    /// Parameters whose ids are those after `last_id`.
    pub(crate) fn new(scope: Scope<'_>, rng: &mut Rng, last_id: u64) -> Result<Self, Error> {
        let mut next_id = last_id + 1;
        let tables = Sort::ALL
            .iter()
            .map(|sort| table(scope, *sort, &mut next_id, rng))
            .collect::<Result<_, _>>()?;
        Ok(Params { tables })
    }

    /// Calls the lookup of a random parameter, as a handler does, and compares what it answers
    /// with what the oracle remembers.
    pub(crate) fn look_up<'gc>(
        &self,
        running: Running<'gc, '_>,
        rng: &mut Rng,
        audit: &mut Audit,
    ) -> Result<Gc<'gc, Parameter<'gc>>, Error> {
        let scope = running.scope();
        let sort = Sort::ALL[rng.index(Sort::ALL.len())];
        let table = &self.tables[sort as usize];
        let asked = rng.index(table.names.len());
        let entry = &table.entries[asked];
        let fallback = &table.entries[PARAMETERS_PER_SORT].object;
        let fallback = Value::of(recorder::get(scope, fallback)?);
        let mut arguments = vec![fallback; sort.arguments()];
        arguments[0] = Value::of(recorder::get(scope, &table.names[asked])?);
        let found = table.lookup.call(running, &arguments)?;
        let found = found.downcast::<Parameter<'static>>(scope)?;
        audit.book(found.id == entry.id && found.content.hash() == entry.hash.get());
        Ok(found)
    }

    /// An operator changes a random parameter.
    pub(crate) fn change(&self, scope: Scope<'_>, rng: &mut Rng) -> Result<(), Error> {
        let table = &self.tables[rng.index(self.tables.len())];
        let entry = &table.entries[rng.index(PARAMETERS_PER_SORT)];
        let object = recorder::get(scope, &entry.object)?;
        change(object, scope, rng)?;
        entry.hash.set(object.content.hash());
        Ok(())
    }

    /// Compares every parameter with what the oracle remembers.
    pub(crate) fn audit(&self, scope: Scope<'_>) -> Result<Audit, RootError> {
        let mut audit = Audit::default();
        for entry in self.tables.iter().flat_map(|table| table.entries.iter()) {
            let object = scope.get(&entry.object)?;
            audit.book(object.id == entry.id && object.content.hash() == entry.hash.get());
        }
        for (name, entry) in self
            .tables
            .iter()
            .flat_map(|table| table.names.iter().zip(table.entries.iter()))
        {
            audit.book(*scope.get(name)? == entry.name);
        }
        Ok(audit)
    }
}

/// Creates the parameters of one type, and their lookup.
fn table(scope: Scope<'_>, sort: Sort, next_id: &mut u64, rng: &mut Rng) -> Result<Table, Error> {
    let (mut entries, mut names) = (Vec::new(), Vec::new());
    for index in 0..=PARAMETERS_PER_SORT {
        let object = scope.try_alloc(Parameter {
            id: *next_id,
            content: Content::of(sort),
        })?;
        recorder::object(object.address(), PARAMETER, &[]);
        change(object, scope, rng)?;
        let name = if index == PARAMETERS_PER_SORT {
            format!("{sort:?}-fallback")
        } else {
            format!("{sort:?}-{index}-{}", rng.text(4..=16))
        };
        let managed_name = recorder::alloc_text(scope, &name)?;
        names.push(recorder::root(scope, managed_name));
        let hash = Cell::new(object.content.hash());
        entries.push(Entry {
            name,
            object: recorder::root(scope, object),
            id: *next_id,
            hash,
        });
        *next_id += 1;
    }
    let entries = Rc::new(entries);
    let known = Rc::clone(&entries);
    let lookup = make_func(sort.arguments(), move |scope, arguments| {
        find(&known, scope, arguments)
    });
    Ok(Table {
        entries,
        names,
        lookup,
    })
}

/// What every lookup does: the parameter of that name, or else the fallback.
fn find<'gc>(
    entries: &[Entry],
    scope: Scope<'gc>,
    arguments: &[Value<'gc>],
) -> Result<Value<'gc>, Error> {
    let name = match arguments {
        [name, ..] => name.downcast::<str>(scope)?,
        [] => {
            return Err(Error::Arguments {
                expected: 1,
                found: 0,
            });
        }
    };
    match entries.iter().find(|entry| *name == *entry.name) {
        Some(entry) => Ok(Value::of(recorder::get(scope, &entry.object)?)),
        None => Ok(arguments[arguments.len() - 1]),
    }
}

#[cfg(test)]
mod tests {
    use gc_core::Heap;

    use super::*;
    use crate::options::CopyBack;
    use crate::reflect::Runtime;

    #[test]
    fn lookups_answer_what_the_oracle_remembers_and_damage_is_noticed() {
        let heap = Heap::builder().reserve_bytes(1 << 26).build().unwrap();
        let mut rng = Rng::for_purpose(1, "test");
        let mut runtime = Runtime::new(&heap, 1, 16, CopyBack::Plain);
        let params = runtime
            .enter(0, |running| Params::new(running.scope(), &mut rng, 0))
            .unwrap();
        let mut looked = Audit::default();
        for _ in 0..500 {
            let answer = runtime.enter(0, |running| {
                running.push_frame(0, 8)?;
                params.look_up(running, &mut rng, &mut looked)?;
                params.change(running.scope(), &mut rng)?;
                running.pop_frame()
            });
            answer.unwrap();
        }
        assert_eq!(
            looked,
            Audit {
                checked: 500,
                damaged: 0
            }
        );

        let audit = |runtime: &mut Runtime| {
            runtime
                .enter(0, |running| Ok(params.audit(running.scope())?))
                .unwrap()
        };
        let entries = (Sort::ALL.len() * (PARAMETERS_PER_SORT + 1)) as u64;
        assert_eq!(
            audit(&mut runtime),
            Audit {
                checked: 2 * entries,
                damaged: 0
            }
        );
        let hash = &params.tables[0].entries[0].hash;
        hash.set(hash.get() ^ 1);
        assert_eq!(
            audit(&mut runtime),
            Audit {
                checked: 2 * entries,
                damaged: 1
            }
        );
    }
}
