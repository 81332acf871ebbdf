//! An asynchronous closure whose future may move between threads.
//!
//! The future type of an `AsyncFnOnce` cannot be named yet, so its `Send` bound needs a trait of its own
//! (diesel-async has the same one, but private). You never implement it: write `async |uow| …`.

/// `AsyncFnOnce(T) -> R` with a nameable future.
pub trait Callback<T, R>:
    AsyncFnOnce(T) -> R + FnOnce(T) -> <Self as Callback<T, R>>::Running
{
    /// The closure's future.
    type Running: Future<Output = R>;
}

impl<F, T, R, Running> Callback<T, R> for F
where
    F: AsyncFnOnce(T) -> R + FnOnce(T) -> Running,
    Running: Future<Output = R>,
{
    type Running = Running;
}
