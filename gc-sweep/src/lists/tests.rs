//! Lists and flips on a small table, in one thread.

use super::*;
use crate::span_state::Cut;

const TERMS: Terms = Terms {
    generation: 2,
    looks_at_generations: true,
    looks_at_seals: true,
};

fn lists() -> Lists {
    Lists::new(0, Arc::new(ArrayQueue::new(4)))
}

fn next_due<'a>(lists: &mut Lists, table: &'a SpanTable) -> Option<&'a Span> {
    lists.claim_due(table, TERMS).map(|(span, _)| span)
}

fn table() -> SpanTable {
    let table = SpanTable::new(1 << 40, 16).unwrap();
    for first_page in 0..16 {
        let shape = Cut {
            first_page,
            pages: 1,
            slot_bytes: 64,
            slots: 128,
            type_index: 0,
            class: 0,
            is_pointer_free: true,
            needs_drop: false,
            is_large: false,
        };
        table.record(first_page).unwrap().cut(shape, 1);
        table.enter(first_page, 1);
    }
    table
}

fn pop_front<'a>(list: &mut List, table: &'a SpanTable) -> Option<&'a Span> {
    let span = table.record(list.first?)?;
    assert!(list.is_linked(table, table.page_of(span)));
    list.remove(table, span);
    Some(span)
}

fn pages(list: &List, table: &SpanTable) -> Vec<u32> {
    let mut pages = Vec::new();
    let mut next = list.first;
    while let Some(page) = next {
        pages.push(page);
        next = table.record(page).unwrap().link().next();
    }
    let mut back = Vec::new();
    let mut previous = list.last;
    while let Some(page) = previous {
        back.push(page);
        previous = table.record(page).unwrap().link().previous();
    }
    back.reverse();
    assert_eq!(pages, back, "links run both ways");
    assert_eq!(pages.len(), list.spans as usize);
    pages
}

#[test]
fn a_list_keeps_the_order_in_which_spans_came() {
    let table = table();
    let span = |page| table.record(page).unwrap();
    let (mut list, mut other) = (List::default(), List::default());
    list.append(&table, &mut other);
    for page in [4, 2, 9, 1] {
        list.push_back(&table, span(page));
    }
    list.remove(&table, span(2));
    list.remove(&table, span(1));
    assert_eq!(pages(&list, &table), [4, 9]);
    other.push_back(&table, span(7));
    other.append(&table, &mut list);
    list.append(&table, &mut other);
    assert_eq!(pages(&list, &table), [7, 4, 9]);
    assert!(pages(&other, &table).is_empty());
    assert_eq!(pop_front(&mut list, &table).unwrap().first_page(), 7);
    list.remove(&table, span(4));
    list.remove(&table, span(9));
    assert!(pages(&list, &table).is_empty() && pop_front(&mut list, &table).is_none());
}

#[test]
fn a_flip_makes_every_span_due_and_each_is_found_once() {
    let table = table();
    let span = |page| table.record(page).unwrap();
    let mut lists = lists();
    let places = [
        Listed::Partial,
        Listed::Full,
        Listed::Leased,
        Listed::Leased,
        Listed::Quarantined,
    ];
    for (page, listed) in (0..).zip(places) {
        lists.add_span(span(page));
        lists.put(&table, span(page), listed);
    }
    assert!(next_due(&mut lists, &table).is_none());
    assert_eq!(lists.flip(&table, 2, true), 5);
    assert_eq!(lists.standing(span(1)), Listed::Unswept);
    for (page, listed) in [(9, Listed::Leased), (10, Listed::Partial)] {
        lists.add_span(span(page));
        lists.put(&table, span(page), listed);
    }
    let found: Vec<u32> = std::iter::from_fn(|| next_due(&mut lists, &table))
        .map(Span::first_page)
        .collect();
    assert_eq!(found, [0, 1, 2, 3, 4]);
    assert_eq!(pages(&lists.leased, &table), [9, 2, 3]);
    assert_eq!(pages(&lists.partial, &table), [10]);
}

#[test]
fn a_span_in_hand_at_a_flip_is_found_as_due_wherever_it_is_put() {
    let table = table();
    let span = |page| table.record(page).unwrap();
    let mut lists = lists();
    for page in 0..6 {
        lists.add_span(span(page));
    }
    lists.put(&table, span(5), Listed::Partial);
    assert_eq!(lists.take_partial(&table).unwrap().first_page(), 5);
    assert_eq!(lists.flip(&table, 2, true), 6);
    lists.add_span(span(6));
    lists.put(&table, span(6), Listed::Leased);
    let places = [
        Listed::Partial,
        Listed::Full,
        Listed::Leased,
        Listed::Leased,
    ];
    for (page, listed) in (0..).zip(places) {
        assert_eq!(lists.generation_of(span(page)), 0);
        lists.put(&table, span(page), listed);
    }
    lists.put(&table, span(4), Listed::Quarantined);
    lists.put(&table, span(5), Listed::Partial);
    let found: Vec<u32> = std::iter::from_fn(|| next_due(&mut lists, &table))
        .map(Span::first_page)
        .collect();
    assert_eq!(found, [0, 1, 5, 3, 2, 4]);
    assert_eq!(pages(&lists.leased, &table), [6, 3, 2]);
    assert_eq!(lists.generation_of(span(3)), 2);
}

#[test]
fn a_span_is_taken_out_of_whichever_list_it_stands_in() {
    let table = table();
    let span = |page| table.record(page).unwrap();
    let mut lists = lists();
    lists.put(&table, span(0), Listed::Partial);
    lists.put(&table, span(1), Listed::Partial);
    lists.flip(&table, 2, true);
    lists.add_span(span(2));
    lists.put(&table, span(2), Listed::Partial);
    assert!(lists.remove(&table, span(0)), "due among the unswept");
    assert!(!lists.remove(&table, span(2)), "not due");
    assert!(!lists.remove(&table, span(2)), "in no list");
    lists.put_unswept(&table, span(2));
    assert_eq!(pages(&lists.unswept, &table), [1, 2]);
    assert!(pages(&lists.partial, &table).is_empty());
}
