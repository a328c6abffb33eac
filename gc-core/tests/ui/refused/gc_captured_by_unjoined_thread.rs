//! A `Gc` is not sent to a thread that may outlive the scope.

use gc_core::Heap;

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    mutator.enter(|scope| {
        let number = scope.alloc(7_u32);
        std::thread::spawn(move || println!("{}", *number));
    });
}
