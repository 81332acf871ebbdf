//! What this node could not tell the others yet. It is told before the node reads from Redis again.

use std::sync::Arc;

use parking_lot::Mutex;

use super::news::News;

/// News that are kept; more than that are told as one: everything.
const NEWS_MAX: usize = 4096;

/// News that wait for Redis. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Pending(Arc<Mutex<Vec<News>>>);

impl Pending {
    pub(super) fn add(&self, news: News) {
        let mut waiting = self.0.lock();
        if waiting.len() >= NEWS_MAX {
            *waiting = vec![News::Everything];
        }
        let everything = matches!(waiting.first(), Some(News::Everything));
        if !everything {
            waiting.push(news);
        }
    }

    /// All that wait, to be told now; those that fail are added again.
    pub(super) fn take(&self) -> Vec<News> {
        std::mem::take(&mut *self.0.lock())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// News that are added when the promise is dropped unkept.
    pub(super) fn promise(&self, news: News) -> Promise {
        Promise { pending: self.clone(), news: Some(news) }
    }
}

/// News on their way. Whoever gives up on the way leaves them to be told later.
pub(super) struct Promise {
    pending: Pending,
    news: Option<News>,
}

impl Promise {
    /// They are told.
    pub(super) fn kept(mut self) {
        self.news = None;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(news) = self.news.take() {
            self.pending.add(news);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> News {
        News::Key(number.to_string())
    }

    #[test]
    fn too_many_become_everything_and_nothing_is_added_to_that() {
        let pending = Pending::default();
        for number in 0..NEWS_MAX {
            pending.add(key(number));
        }
        assert_eq!(pending.take().len(), NEWS_MAX);
        for number in 0..NEWS_MAX + 5 {
            pending.add(key(number));
        }
        let waiting = pending.take();
        assert!(matches!(waiting[..], [News::Everything]), "{} wait", waiting.len());
        assert!(pending.is_empty());
    }

    #[test]
    fn a_promise_that_is_dropped_is_told_later_and_a_kept_one_is_not() {
        let pending = Pending::default();
        pending.promise(key(1)).kept();
        assert!(pending.is_empty());
        drop(pending.promise(key(2)));
        assert_eq!(pending.take().len(), 1);
    }
}
