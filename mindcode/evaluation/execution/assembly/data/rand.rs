//! The part of the crate rand 0.4 that HumanEvalPack's tests use, on a xorshift generator.
//!
//! Its numbers are the same in every run: a verdict must not depend on chance.

use std::sync::atomic::{AtomicU64, Ordering};

pub trait Rand { fn from_bits(bits: u64) -> Self; }
macro_rules! integers { ($($kind:ty),*) => { $(
    impl Rand for $kind { fn from_bits(bits: u64) -> Self { bits as $kind } }
    impl Between for $kind {
        fn between(low: Self, high: Self, bits: u64) -> Self {
            (low as i128 + bits as i128 % (high as i128 - low as i128)) as $kind
        }
    }
)* } }
macro_rules! floats { ($($kind:ty),*) => { $(
    impl Rand for $kind { fn from_bits(bits: u64) -> Self { (bits >> 11) as $kind / (1u64 << 53) as $kind } }
    impl Between for $kind {
        fn between(low: Self, high: Self, bits: u64) -> Self { low + <Self as Rand>::from_bits(bits) * (high - low) }
    }
)* } }
impl Rand for bool { fn from_bits(bits: u64) -> Self { bits & 1 == 1 } }

pub trait Between: PartialOrd { fn between(low: Self, high: Self, bits: u64) -> Self; }
integers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);
floats!(f32, f64);

pub trait Rng {
    fn next_u64(&mut self) -> u64;
    fn gen<T: Rand>(&mut self) -> T where Self: Sized { T::from_bits(self.next_u64()) }
    fn gen_range<T: Between>(&mut self, low: T, high: T) -> T where Self: Sized {
        assert!(low < high, "Rng.gen_range called with low >= high");
        T::between(low, high, self.next_u64())
    }
}

pub struct ThreadRng { state: u64 }
impl Rng for ThreadRng {
    fn next_u64(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

static STREAMS: AtomicU64 = AtomicU64::new(1);

pub fn thread_rng() -> ThreadRng {
    let stream = STREAMS.fetch_add(1, Ordering::Relaxed);
    ThreadRng { state: stream.wrapping_mul(0x9E37_79B9_7F4A_7C15) }
}

pub fn random<T: Rand>() -> T { thread_rng().gen() }
