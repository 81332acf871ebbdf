//! Benchmarks of the actor kit beside the plain alternatives.
