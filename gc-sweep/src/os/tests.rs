//! What a reservation does to memory. The rooms above never touch the memory that they hand out, so these tests are
//! where it is written and read.

use super::*;
use fault::{Persistence, Target, fail_nth};

fn write(reservation: &Reservation, offset: usize, value: u8) {
    // SAFETY: the tests write at offsets that they have committed, from one thread.
    unsafe { reservation.pointer(offset).write(value) }
}

fn read(reservation: &Reservation, offset: usize) -> u8 {
    // SAFETY: the tests read at offsets that they have committed, from one thread.
    unsafe { reservation.pointer(offset).read() }
}

/// The access that the system grants at an address, as four letters; `None` if nothing is mapped there.
fn access_at(address: usize) -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().find_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        (start..end)
            .contains(&address)
            .then(|| rest[..4].to_owned())
    })
}

#[test]
fn reserved_memory_is_out_of_reach_until_it_is_committed() {
    let reservation = Reservation::new(64 << 20, CHUNK_BYTES).unwrap();
    let base = reservation.base();
    assert_eq!(base % CHUNK_BYTES, 0);
    assert_eq!(reservation.bytes(), 64 << 20);
    assert_eq!(access_at(base).unwrap(), "---p");
    reservation.commit(0..CHUNK_BYTES).unwrap();
    assert_eq!(access_at(base).unwrap(), "rw-p");
    assert_eq!(access_at(base + CHUNK_BYTES - 1).unwrap(), "rw-p");
    assert_eq!(access_at(base + CHUNK_BYTES).unwrap(), "---p");
    assert_eq!(access_at(base + reservation.bytes() - 1).unwrap(), "---p");
}

#[test]
fn committed_memory_is_zero_and_keeps_what_is_written() {
    let reservation = Reservation::new(4 * CHUNK_BYTES, CHUNK_BYTES).unwrap();
    let last = reservation.bytes() - 1;
    reservation.commit(0..reservation.bytes()).unwrap();
    for offset in [0, 4095, CHUNK_BYTES, last] {
        assert_eq!(read(&reservation, offset), 0);
        write(&reservation, offset, 0xA5);
    }
    reservation.commit(0..reservation.bytes()).unwrap();
    assert_eq!(
        read(&reservation, last),
        0xA5,
        "a second commit changes nothing"
    );
}

#[test]
fn released_memory_reads_as_zero_and_may_be_written_again() {
    let reservation = Reservation::new(4 * CHUNK_BYTES, CHUNK_BYTES).unwrap();
    reservation.commit(0..2 * CHUNK_BYTES).unwrap();
    for offset in (0..2 * CHUNK_BYTES).step_by(4096) {
        write(&reservation, offset, 0xA5);
    }
    reservation.release(CHUNK_BYTES..2 * CHUNK_BYTES).unwrap();
    for offset in (0..CHUNK_BYTES).step_by(4096) {
        assert_eq!(read(&reservation, offset), 0xA5);
        assert_eq!(read(&reservation, CHUNK_BYTES + offset), 0);
    }
    write(&reservation, CHUNK_BYTES, 1);
    assert_eq!(read(&reservation, CHUNK_BYTES), 1);
}

#[test]
fn an_address_of_the_heap_may_be_turned_back_into_a_pointer() {
    let reservation = Reservation::new(CHUNK_BYTES, CHUNK_BYTES).unwrap();
    reservation.commit(0..PAGE_BYTES).unwrap();
    write(&reservation, 64, 7);
    let pointer = std::ptr::with_exposed_provenance_mut::<u8>(reservation.base() + 64);
    // SAFETY: the byte is committed, and its address was exposed when the reservation was made.
    let value = unsafe { pointer.read() };
    assert_eq!(value, 7);
}

/// Whether AddressSanitizer would object to an access; `None` in a build without it.
fn is_poisoned(address: usize) -> Option<bool> {
    #[cfg(softfail_asan)]
    {
        unsafe extern "C" {
            fn __asan_address_is_poisoned(address: *const c_void) -> i32;
        }
        // SAFETY: the call reads shadow memory alone and never follows the pointer.
        let answer = unsafe { __asan_address_is_poisoned(std::ptr::without_provenance(address)) };
        Some(answer != 0)
    }
    #[cfg(not(softfail_asan))]
    {
        let _ = address;
        None
    }
}

#[test]
fn poison_stands_where_it_was_put_and_ends_with_the_reservation() {
    let reservation = Reservation::new(CHUNK_BYTES, CHUNK_BYTES).unwrap();
    reservation.commit(0..CHUNK_BYTES).unwrap();
    let base = reservation.base();
    poison(base, 2 * PAGE_BYTES);
    unpoison(base, PAGE_BYTES);
    write(&reservation, PAGE_BYTES - 1, 1);
    assert_ne!(is_poisoned(base + PAGE_BYTES - 1), Some(true));
    assert_ne!(is_poisoned(base + PAGE_BYTES), Some(false));
    assert_ne!(is_poisoned(base + 2 * PAGE_BYTES), Some(true));
    // Whatever is mapped in this place next must be usable.
    drop(reservation);
    assert_ne!(is_poisoned(base + PAGE_BYTES), Some(true));
}

#[test]
fn a_range_that_is_no_part_of_the_reservation_is_refused() {
    let reservation = Reservation::new(2 * CHUNK_BYTES, CHUNK_BYTES).unwrap();
    let end = reservation.bytes();
    let strays = [
        0..0,
        0..end + PAGE_BYTES,
        end..end + PAGE_BYTES,
        1..PAGE_BYTES,
        0..PAGE_BYTES - 1,
        usize::MAX - PAGE_BYTES + 1..usize::MAX,
        Range {
            start: 2 * PAGE_BYTES,
            end: PAGE_BYTES,
        },
    ];
    for range in strays {
        let invalid = |call| OsError { call, errno: 22 };
        assert_eq!(
            reservation.commit(range.clone()),
            Err(invalid(OsCall::Commit))
        );
        assert_eq!(reservation.release(range), Err(invalid(OsCall::Release)));
    }
    assert_eq!(access_at(reservation.base()).unwrap(), "---p");
}

#[test]
fn a_refused_reservation_is_halved_down_to_the_minimum() {
    for call in [OsCall::Reserve, OsCall::Protect] {
        let armed = fail_nth(Target::Call(call), 0, Persistence::Once);
        let reservation = Reservation::new(64 << 20, CHUNK_BYTES).unwrap();
        assert_eq!(reservation.bytes(), 32 << 20);
        drop(armed);

        let armed = fail_nth(Target::Call(call), 0, Persistence::Persistent);
        let calls = fault::calls(Target::Call(call));
        let error = Reservation::new(64 << 20, 5 << 20).unwrap_err();
        assert_eq!(error, OsError { call, errno: 12 });
        // 64, 32, 16, 8 and at last the minimum itself.
        assert_eq!(fault::calls(Target::Call(call)) - calls, 5);
        drop(armed);
    }
}

#[test]
fn a_wish_beyond_the_address_space_is_halved_until_it_fits() {
    let reservation = Reservation::new(usize::MAX, CHUNK_BYTES).unwrap();
    assert!(reservation.bytes() >= CHUNK_BYTES && reservation.bytes() < 1 << 57);
    assert_eq!(reservation.base() % CHUNK_BYTES, 0);
    let error = Reservation::new(usize::MAX, usize::MAX).unwrap_err();
    assert_eq!(error.call, OsCall::Reserve);
    let error = Reservation::new(1 << 62, 1 << 62).unwrap_err();
    assert_eq!(error.call, OsCall::Reserve);
}

#[test]
fn refused_huge_pages_are_counted_and_cost_nothing_else() {
    let reservation = Reservation::new(CHUNK_BYTES, CHUNK_BYTES).unwrap();
    let target = Target::Call(OsCall::AdviseHuge);
    let armed = fail_nth(target, 0, Persistence::Persistent);
    reservation.commit(0..CHUNK_BYTES).unwrap();
    assert_eq!(reservation.huge_refusals(), 1);
    write(&reservation, 0, 1);
    drop(armed);
    let tried = fault::calls(target);
    reservation.commit(0..CHUNK_BYTES).unwrap();
    assert_eq!(
        fault::calls(target) - tried,
        1,
        "the next commit asks again"
    );
}

#[test]
fn a_fault_strikes_the_chosen_call_of_its_own_thread_alone() {
    let armed = fail_nth(Target::Call(OsCall::MapTable), 1, Persistence::Once);
    let elsewhere = std::thread::spawn(|| (0..3).all(|_| Mapped::zeroed(1).is_ok()));
    assert!(elsewhere.join().unwrap());
    assert!(Mapped::zeroed(1).is_ok());
    assert!(Reservation::new(CHUNK_BYTES, CHUNK_BYTES).is_ok());
    assert!(Mapped::zeroed(1).is_err());
    assert!(Mapped::zeroed(1).is_ok());
    drop(armed);
    let _armed = fail_nth(Target::Any, 0, Persistence::Persistent);
    assert!(Mapped::zeroed(1).is_err() && Mapped::zeroed(1).is_err());
}
