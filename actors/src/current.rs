//! Whose work is done on this thread, for log lines that nobody hands a scope.
//!
//! A handler and the tasks of an actor run with the origin of the message they serve as the current
//! one. It is for observation only: decisions are made on the [`Scope`](crate::Scope) at hand.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use crate::scope::Origin;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Origin>>> = const { RefCell::new(None) };
}

/// Looks at the origin of the work that is done on this thread, if it has one.
pub fn current_origin<R>(look: impl FnOnce(&Origin) -> R) -> Option<R> {
    CURRENT.try_with(|current| current.try_borrow().ok()?.as_deref().map(look)).ok().flatten()
}

/// Makes `origin` the current one from here on; [`in_origin`] keeps it for its future's polls.
#[inline]
pub(crate) fn set_current(origin: Option<Arc<Origin>>) {
    CURRENT.set(origin);
}

/// Polls `future` with `origin` as the current one.
pub async fn in_origin<F: Future>(mut origin: Option<Arc<Origin>>, future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(move |context| {
        poll_in_origin(&mut origin, || future.as_mut().poll(context))
    })
    .await
}

/// Makes one poll with `origin` as the current one, and keeps what the poll left as the current.
pub(crate) fn poll_in_origin<T>(origin: &mut Option<Arc<Origin>>, poll: impl FnOnce() -> T) -> T {
    let entered = Entered::new(origin.take());
    let polled = poll();
    *origin = entered.leave();
    polled
}

/// Does `work` with `origin` as the current one.
pub(crate) fn with_origin<R>(origin: Option<Arc<Origin>>, work: impl FnOnce() -> R) -> R {
    let _entered = Entered::new(origin);
    work()
}

/// While it lives, its origin is the current one; then the one before is again, even after a panic.
struct Entered {
    outer: Option<Arc<Origin>>,
}

impl Entered {
    fn new(origin: Option<Arc<Origin>>) -> Self {
        Self { outer: CURRENT.replace(origin) }
    }

    fn leave(mut self) -> Option<Arc<Origin>> {
        let mine = CURRENT.replace(self.outer.take());
        std::mem::forget(self);
        mine
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.outer.take());
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use uuid::Uuid;

    use super::*;

    fn origin(id: u128) -> Option<Arc<Origin>> {
        Some(Arc::new(Origin::new(Uuid::from_u128(id))))
    }

    fn seen() -> Option<u128> {
        current_origin(|origin| origin.request.as_u128())
    }

    #[tokio::test]
    async fn a_future_has_its_origin_in_every_poll_and_nobody_else_has() {
        let work = in_origin(origin(1), async {
            let first = seen();
            tokio::task::yield_now().await;
            let inner = in_origin(origin(2), async { seen() }).await;
            (first, inner, seen())
        });
        let (inside, beside) = tokio::join!(work, async { seen() });
        assert_eq!(inside, (Some(1), Some(2), Some(1)));
        assert_eq!((beside, seen()), (None, None));
    }

    #[test]
    fn a_panic_leaves_the_origin_behind() {
        let work = AssertUnwindSafe(|| with_origin(origin(1), || panic!("boom")));
        assert!(catch_unwind(work).is_err());
        assert_eq!(seen(), None);
    }
}
