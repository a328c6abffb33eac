//! The shop that the service runs: a catalogue of products that all workers share, and the basket of
//! each worker's customer, with the oracle beside them.
//!
//! The catalogue is a graph with rings: the products of a category lead to one another in a ring, each
//! leads to its category and the category to its first product, and products recommend each other at
//! random. A basket is a list whose lines lead to products and back to the basket; it is dropped as a
//! whole when it is paid for.
//!
//! Called by workers, each on its own thread with its own mutator. Invariants: the catalogue and its
//! books are changed together, under one lock that is taken outside `enter` and held into it; a
//! basket and its books belong to one worker.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gc_core::{Edge, Gc, Heap, Mutator, Root, Scope, Trace};

use crate::audit::Audit;
use crate::error::Error;
use crate::hash::content_hash;
use crate::rng::Rng;

/// Products of the catalogue.
const PRODUCTS: usize = 240;
/// Categories: product `i` belongs to category `i` modulo this.
const CATEGORIES: usize = 12;
/// Lines of a basket when it is paid for.
const LINES_MAX: usize = 12;
/// Products of a category that a customer looks at.
const LOOKED_AT: usize = 4;

#[derive(Trace)]
struct Category<'gc> {
    id: u64,
    first: Edge<'gc, Product<'gc>>,
}

/// A product as it is sold.
#[derive(Trace)]
struct Product<'gc> {
    id: u64,
    category: Gc<'gc, Category<'gc>>,
    description: Edge<'gc, str>,
    /// The next product of the category; the last leads to the first.
    next: Edge<'gc, Product<'gc>>,
    /// What people who buy this one also buy.
    also: Edge<'gc, Product<'gc>>,
}

/// What a customer is about to buy.
#[derive(Trace)]
struct Basket<'gc> {
    newest: Edge<'gc, Line<'gc>>,
}

#[derive(Trace)]
struct Line<'gc> {
    product: Gc<'gc, Product<'gc>>,
    basket: Gc<'gc, Basket<'gc>>,
    older: Edge<'gc, Line<'gc>>,
}

/// What the oracle knows of a product.
struct Listing {
    object: Root<Product<'static>>,
    description_hash: u64,
    /// Number of the product that is recommended beside it.
    also: usize,
}

/// The catalogue, and what the oracle knows of it.
struct Listings(Vec<Listing>);

/// The catalogue. Clones are handles to the same one.
#[derive(Clone)]
pub(super) struct Catalogue {
    listings: Arc<Mutex<Listings>>,
}

impl Catalogue {
    /// Puts the products on the shelves.
    pub(super) fn open(heap: &Heap, rng: &mut Rng) -> Result<Self, Error> {
        let listings = heap.mutator().enter(|scope| stock(scope, rng))?;
        Ok(Catalogue {
            listings: Arc::new(Mutex::new(listings)),
        })
    }

    /// A lock that a panic has poisoned guards what the oracle would find damaged, and says so.
    fn lock(&self) -> MutexGuard<'_, Listings> {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stock(scope: Scope<'_>, rng: &mut Rng) -> Result<Listings, Error> {
    let mut categories = Vec::new();
    for id in 0..CATEGORIES as u64 {
        let first = Edge::none();
        categories.push(scope.try_alloc(Category { id, first })?);
    }
    let (mut products, mut hashes) = (Vec::new(), Vec::new());
    for id in 0..PRODUCTS {
        let text = rng.text(16..=120);
        hashes.push(content_hash(text.as_bytes()));
        products.push(scope.try_alloc(Product {
            id: id as u64,
            category: categories[id % CATEGORIES],
            description: Edge::to(scope.try_alloc_str(&text)?),
            next: Edge::none(),
            also: Edge::none(),
        })?);
    }
    let mut listings = Vec::new();
    for (id, description_hash) in hashes.into_iter().enumerate() {
        let also = rng.index(PRODUCTS);
        products[id].next.set(scope, products[next_of(id)]);
        products[id].also.set(scope, products[also]);
        if id < CATEGORIES {
            categories[id].first.set(scope, products[id]);
        }
        listings.push(Listing {
            object: scope.root(products[id]),
            description_hash,
            also,
        });
    }
    Ok(Listings(listings))
}

/// The next product of the same category.
const fn next_of(id: usize) -> usize {
    (id + CATEGORIES) % PRODUCTS
}

/// One worker's customer.
pub(super) struct Customer {
    catalogue: Catalogue,
    mutator: Mutator,
    basket: Root<Basket<'static>>,
    /// The products in the basket, the newest last.
    lines: Vec<usize>,
    rng: Rng,
}

impl Customer {
    pub(super) fn enter_shop(heap: &Heap, catalogue: &Catalogue, rng: Rng) -> Result<Self, Error> {
        let mut mutator = heap.mutator();
        Ok(Customer {
            catalogue: catalogue.clone(),
            basket: mutator.enter(new_basket)?,
            mutator,
            lines: Vec::new(),
            rng,
        })
    }

    /// Looks at a product and its neighbours, perhaps changes it, and puts it into the basket. Answers
    /// what the oracle saw on the way.
    pub(super) fn shop(&mut self) -> Result<Audit, Error> {
        let id = self.rng.index(PRODUCTS);
        let (basket, lines, rng) = (&self.basket, &mut self.lines, &mut self.rng);
        let mut listings = self.catalogue.lock();
        let audit = self.mutator.enter(|scope| {
            let mut audit = look(scope, &listings, id)?;
            match rng.below(8) {
                0 => recommend(scope, &mut listings, id, rng.index(PRODUCTS))?,
                1 | 2 => describe(scope, &mut listings, id, &rng.text(16..=120))?,
                _ => {}
            }
            let basket = scope.get(basket)?;
            put(scope, basket, scope.get(&listings.0[id].object)?)?;
            lines.push(id);
            audit += look_into(basket, lines);
            Ok::<_, Error>(audit)
        })?;
        drop(listings);
        if self.lines.len() == LINES_MAX {
            self.basket = self.mutator.enter(new_basket)?;
            self.lines.clear();
        }
        Ok(audit)
    }
}

fn new_basket(scope: Scope<'_>) -> Result<Root<Basket<'static>>, Error> {
    let newest = Edge::none();
    Ok(scope.root(scope.try_alloc(Basket { newest })?))
}

/// Compares a product and some of its category with the books.
fn look(scope: Scope<'_>, listings: &Listings, id: usize) -> Result<Audit, Error> {
    let mut audit = Audit::default();
    let (mut product, mut expected) = (scope.get(&listings.0[id].object)?, id);
    for _ in 0..LOOKED_AT {
        let listing = &listings.0[expected];
        let text = product.description.get();
        let (category, also) = (product.category, product.also.get());
        audit.book(product.id == expected as u64);
        audit.book(
            text.is_some_and(|text| content_hash(text.as_bytes()) == listing.description_hash),
        );
        audit.book(also.is_some_and(|also| also.id == listing.also as u64));
        audit.book(category.id == (expected % CATEGORIES) as u64 && category.first.get().is_some());
        expected = next_of(expected);
        match product.next.get() {
            Some(next) => product = next,
            None => audit.damaged += 1,
        }
    }
    Ok(audit)
}

fn recommend(
    scope: Scope<'_>,
    listings: &mut Listings,
    id: usize,
    also: usize,
) -> Result<(), Error> {
    let product = scope.get(&listings.0[id].object)?;
    product
        .also
        .set(scope, scope.get(&listings.0[also].object)?);
    listings.0[id].also = also;
    Ok(())
}

fn describe(scope: Scope<'_>, listings: &mut Listings, id: usize, text: &str) -> Result<(), Error> {
    let managed = scope.try_alloc_str(text)?;
    let product = scope.get(&listings.0[id].object)?;
    product.description.set(scope, managed);
    listings.0[id].description_hash = content_hash(text.as_bytes());
    Ok(())
}

fn put<'gc>(
    scope: Scope<'gc>,
    basket: Gc<'gc, Basket<'gc>>,
    product: Gc<'gc, Product<'gc>>,
) -> Result<(), Error> {
    let line = scope.try_alloc(Line {
        product,
        basket,
        older: Edge::from(basket.newest.get()),
    })?;
    basket.newest.set(scope, line);
    Ok(())
}

/// Compares a basket with its books.
fn look_into<'gc>(basket: Gc<'gc, Basket<'gc>>, lines: &[usize]) -> Audit {
    let mut audit = Audit::default();
    let mut line = basket.newest.get();
    for (left, id) in lines.iter().enumerate().rev() {
        let Some(found) = line else {
            audit.book_missing(left as u64 + 1);
            return audit;
        };
        audit.book(found.product.id == *id as u64 && Gc::ptr_eq(found.basket, basket));
        line = found.older.get();
    }
    audit.damaged += u64::from(line.is_some());
    audit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> (Heap, Catalogue, Customer) {
        let heap = Heap::builder().reserve_bytes(1 << 26).build().unwrap();
        let mut rng = Rng::for_purpose(1, "test");
        let catalogue = Catalogue::open(&heap, &mut rng).unwrap();
        let customer = Customer::enter_shop(&heap, &catalogue, rng).unwrap();
        (heap, catalogue, customer)
    }

    #[test]
    fn what_customers_find_is_what_the_books_say() {
        let (heap, _catalogue, mut customer) = shop();
        let mut sum = Audit::default();
        for _ in 0..300 {
            sum += customer.shop().unwrap();
        }
        heap.collect().unwrap();
        sum += customer.shop().unwrap();
        assert!(sum.checked > 300 * 4 * LOOKED_AT as u64, "{sum:?}");
        assert_eq!(sum.damaged, 0);
        assert!(heap.verify().unwrap().is_clean());
    }

    #[test]
    fn the_oracle_notices_every_kind_of_damage() {
        let (_heap, catalogue, mut customer) = shop();
        customer.shop().unwrap();
        let damaged = |customer: &mut Customer| {
            let listings = catalogue.lock();
            let looked = customer.mutator.enter(|scope| look(scope, &listings, 0));
            looked.unwrap().damaged
        };
        assert_eq!(damaged(&mut customer), 0);
        catalogue.lock().0[0].description_hash ^= 1;
        assert_eq!(damaged(&mut customer), 1);
        catalogue.lock().0[next_of(0)].also = PRODUCTS;
        assert_eq!(damaged(&mut customer), 2);
        let in_basket = |customer: &mut Customer, lines: &[usize]| {
            let basket = &customer.basket;
            let found = customer
                .mutator
                .enter(|scope| Ok::<_, Error>(look_into(scope.get(basket)?, lines)));
            found.unwrap().damaged
        };
        let lines = customer.lines.clone();
        assert_eq!(in_basket(&mut customer, &lines), 0);
        assert_eq!(in_basket(&mut customer, &[]), 1);
        assert_eq!(in_basket(&mut customer, &[lines[0] + 1]), 1);
        assert_eq!(in_basket(&mut customer, &[lines[0], lines[0]]), 1);
    }
}
