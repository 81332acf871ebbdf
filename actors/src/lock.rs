//! The lock of lanes and reply slots: every message passes through one.
//!
//! Its release is a plain store, which halves what an uncontended lock costs. For that it never
//! parks: who finds it held pauses briefly, then gives up its turn until it is free. So it guards
//! only what is done in a few instructions; nothing is written out, logged, woken or dropped under
//! it, and nobody awaits while holding it.

/// Guards a few instructions' work.
pub(crate) type Mutex<T> = spin::mutex::SpinMutex<T, GiveWay>;

/// Pauses before a holder is taken to be off its processor.
const PAUSES: u32 = 16;

/// Lets the holder run: it may need the processor of the one that waits.
pub(crate) struct GiveWay;

impl spin::RelaxStrategy for GiveWay {
    fn relax() {
        for _ in 0..PAUSES {
            std::hint::spin_loop();
        }
        std::thread::yield_now();
    }
}
