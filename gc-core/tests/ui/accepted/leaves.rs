//! Types and fields that hold no `Gc`: they may implement `Drop` and need not be `Trace`.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use gc_core::{Gc, Heap, Trace};

#[derive(Trace)]
#[trace(leaf)]
struct Socket {
    sender: mpsc::Sender<u32>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = self.sender.send(1);
    }
}

#[derive(Trace)]
#[trace(leaf)]
enum Source<T> {
    Open(File),
    Other(T),
    Closed,
}

#[derive(Trace)]
#[trace(drop)]
struct Traced {
    name: String,
    hits: Cell<u32>,
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.name.clear();
    }
}

#[derive(Trace)]
struct Connection<'gc> {
    peer: Option<Gc<'gc, Connection<'gc>>>,
    socket: Socket,
    source: Source<u8>,
    traced: Traced,
    hits: Cell<u32>,
    log: RefCell<Vec<String>>,
    shared: Arc<AtomicU32>,
    locked: Mutex<Option<Box<u8>>>,
    #[trace(leaf)]
    native: for<'a> fn(&'a str) -> &'a str,
    #[trace(leaf)]
    callback: Box<dyn Fn(u32) -> u32 + Send>,
}

fn connection<'gc>(
    peer: Option<Gc<'gc, Connection<'gc>>>,
    sender: &mpsc::Sender<u32>,
) -> Connection<'gc> {
    Connection {
        peer,
        socket: Socket {
            sender: sender.clone(),
        },
        source: Source::Other(1),
        traced: Traced {
            name: String::from("traced"),
            hits: Cell::new(0),
        },
        hits: Cell::new(0),
        log: RefCell::default(),
        shared: Arc::default(),
        locked: Mutex::new(None),
        native: str::trim,
        callback: Box::new(|number| number + 1),
    }
}

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    let (sender, receiver) = mpsc::channel();
    let root = mutator.enter(|scope| {
        let peer = scope.alloc(connection(None, &sender));
        scope.root(scope.alloc(connection(Some(peer), &sender)))
    });
    heap.collect().unwrap();
    mutator.enter(|scope| {
        let peer = scope.get(&root).unwrap().peer.unwrap();
        peer.hits.set((peer.callback)(peer.hits.get()));
        peer.traced.hits.set(1);
        peer.log
            .borrow_mut()
            .push((peer.native)(" text ").to_owned());
        peer.shared.fetch_add(1, Ordering::Relaxed);
        *peer.locked.lock().unwrap() = Some(Box::new(1));
        assert!(!matches!(peer.source, Source::Open(_) | Source::Closed));
        assert_eq!(
            (peer.hits.get(), peer.log.borrow()[0].as_str()),
            (1, "text")
        );
    });
    assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Empty));
    drop(root);
    heap.collect().unwrap();
    assert_eq!(receiver.iter().take(2).sum::<u32>(), 2);
}
