//! The numbers of orders: taken from the counter in small blocks, so that checkouts do not queue for one row.
//!
//! A number is for people and gives no access (INV-O7). Numbers grow on a node and never repeat; a restart or a failed checkout leaves
//! some out: none is given back, because a commit that seemed to fail may have used it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use kernel::{Ctx, Result};

use crate::orders::store;

/// How many numbers a node takes at once.
const BLOCK: i64 = 20;
const COUNTER: &str = "orders";

/// The numbers that this node has taken and not used.
#[derive(Debug, Default)]
pub(crate) struct OrderNumbers(Mutex<BTreeSet<i64>>);

impl OrderNumbers {
    fn pop(&self) -> Option<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_first()
    }

    fn add(&self, numbers: impl IntoIterator<Item = i64>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(numbers);
    }
}

/// A number that nobody else has.
pub(crate) async fn take(ctx: &Ctx) -> Result<i64> {
    let numbers = ctx.state::<OrderNumbers>();
    if let Some(number) = numbers.pop() {
        return Ok(number);
    }
    let last = ctx.write(|tx| Ok(store::advance_counter(tx, COUNTER, BLOCK)?)).await?;
    let first = last - BLOCK + 1;
    numbers.add(first + 1..=last);
    Ok(first)
}
