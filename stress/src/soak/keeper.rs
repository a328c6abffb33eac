//! Keepers: threads that are parked until somebody brings a graph.
//!
//! A keeper holds one graph on its value stack, where the collector finds it on the keeper's behalf,
//! for however long nobody comes. What it is brought takes that place; what it kept goes to a locker.

use std::sync::mpsc::Receiver;

use super::shared::{Order, Parcel, Shared};
use crate::error::Error;
use crate::graph::{Graph, Hub};
use crate::options::CopyBack;
use crate::reflect::{Running, Runtime, Slot, Value};
use crate::rng::Rng;

/// Where the graph is kept.
const KEPT: Slot = Slot::Local(0);

/// The life of a keeper.
pub(super) fn keep(shared: &Shared, inbox: &Receiver<Order>) -> Result<(), Error> {
    let mut runtime = Runtime::new(&shared.heap, 1, 1, CopyBack::Plain);
    runtime.enter(0, |running| running.push_frame(1, 0))?;
    let mut kept: Option<Graph> = None;
    let mut rng = Rng::for_purpose(shared.options.seed, "keeper");
    loop {
        let Ok(Order::Keep(parcel)) = runtime.parked(|| inbox.recv()) else {
            return runtime.enter(0, |running| give_away(shared, running, &mut kept).map(drop));
        };
        let before = runtime.enter(0, |running| {
            let before = give_away(shared, running, &mut kept)?;
            let scope = running.scope();
            shared.book(parcel.audit(scope)?, || {
                format!("{}, brought to a keeper", parcel.graph.name())
            });
            running.store(KEPT, Value::of(scope.get(&parcel.root)?))?;
            Ok(before)
        })?;
        kept = Some(parcel.graph);
        if let Some(before) = before {
            shared.leave(before, &mut rng);
        }
    }
}

/// Looks at what is kept, and roots it.
fn give_away(
    shared: &Shared,
    running: Running<'_, '_>,
    kept: &mut Option<Graph>,
) -> Result<Option<Parcel>, Error> {
    let Some(graph) = kept.take() else {
        return Ok(None);
    };
    let scope = running.scope();
    let hub = running.load(KEPT)?.downcast::<Hub<'static>>(scope)?;
    shared.book(graph.audit(scope, hub), || {
        format!("{}, kept by a keeper", graph.name())
    });
    let root = scope.root(hub);
    Ok(Some(Parcel { root, graph }))
}
