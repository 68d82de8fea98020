//! A few of many, chosen so that equal trees give equal answers.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// How many of the many are kept: enough to see a pattern, few enough to read.
const KEPT: usize = 50;

/// How many there are, and the first of them. Whatever the order in which they come, the smallest
/// are kept, in constant memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample<T: Ord> {
    /// All of them, with those that are not kept.
    pub count: u64,
    /// The smallest, sorted.
    pub first: BTreeSet<T>,
}

impl<T: Ord> Default for Sample<T> {
    fn default() -> Self {
        Self { count: 0, first: BTreeSet::new() }
    }
}

impl<T: Ord> Sample<T> {
    /// One more.
    pub(in crate::host) fn add(&mut self, item: T) {
        self.count += 1;
        self.keep(item);
    }

    /// All that another has seen.
    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        for item in other.first {
            self.keep(item);
        }
    }

    fn keep(&mut self, item: T) {
        if self.first.len() == KEPT && self.first.last().is_some_and(|last| *last <= item) {
            return;
        }
        self.first.insert(item);
        if self.first.len() > KEPT {
            self.first.pop_last();
        }
    }
}

#[test]
fn the_smallest_are_kept_whatever_the_order() {
    let mut upwards = Sample::default();
    let mut downwards = Sample::default();
    for n in 0..1000 {
        upwards.add(n);
        downwards.add(999 - n);
    }
    assert_eq!(upwards, downwards);
    assert_eq!(upwards.count, 1000);
    assert!(upwards.first.into_iter().eq(0..50));
}

#[test]
fn parts_add_up_to_the_whole() {
    let (mut left, mut right, mut whole) =
        (Sample::default(), Sample::default(), Sample::default());
    for n in 0..200 {
        whole.add(n);
        if n % 3 == 0 { left.add(n) } else { right.add(n) }
    }
    left.merge(right);
    assert_eq!(left, whole);
}
